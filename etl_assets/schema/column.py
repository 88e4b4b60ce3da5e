"""One column of a table: its type, its rules, and what the publisher calls it."""

from __future__ import annotations

import builtins  # noqa: TC003 -- the class has an attribute of that name
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, TypeVar

from etl_assets.errors import DeclarationError
from etl_assets.model.rule import RuleInfo
from etl_assets.schema.names import BOOKKEEPING, check_identifier
from etl_assets.schema.rules import KINDS
from etl_assets.schema.rules.required import Required
from etl_assets.schema.types import MAX_DECIMAL_DIGITS, DataType

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Unpack

    from etl_assets.schema.rules import ColumnRule
    from etl_assets.schema.rules.keywords import RuleKeywords
    from etl_assets.schema.types import TypeName

    Kind = TypeVar("Kind", bound=ColumnRule)

_DEFAULTS: Final[Mapping[str, Any]] = {
    "published_as": None,
    "derived": False,
    "default": None,
    "description": "",
    "sensitive": False,
    "formats": None,
    "zone": None,
    "precision": MAX_DECIMAL_DIGITS,
    "scale": None,
    "true": ("true",),
    "false": ("false",),
    "null": (),
    "strip": False,
}


@dataclass(frozen=True, init=False, repr=False)
class Column:
    """One column of the table and the rules its values must keep.

    Attributes:
        name: The column's name in the table: lower-case letters, digits and underscores, at most 63 bytes.
        type: What values it holds, and how they are written.
        rules: What every value must keep, in the order in which broken rules are listed.
        published_as: The name, or the names over time, under which the publisher sends the column; the first that a
            delivery has counts. By default the column's own name.
        derived: Whether the transformer makes the column; it is then not looked for in the delivery.
        default: Value, written as the publisher would write it, for records that have none.
        description: Shown in Dagster and in the database.
        sensitive: Whether values are hidden wherever people look: metadata, exports, the quarantine's listing.
        null: Words that mean 'no value' in this column, beside the format's own.
        strip: Whether blanks around a value are removed before anything else.
    """

    name: str
    type: DataType
    rules: tuple[ColumnRule, ...]
    published_as: str | tuple[str, ...] | None
    derived: bool
    default: str | None
    description: str
    sensitive: bool
    null: tuple[str, ...]
    strip: bool

    def __init__(
        self,
        name: str,
        type: TypeName,  # noqa: A002 -- the word of a declaration
        *,
        published_as: str | tuple[str, ...] | None = None,
        derived: bool = False,
        default: str | None = None,
        description: str = "",
        sensitive: bool = False,
        formats: tuple[str, ...] | None = None,
        zone: str | None = None,
        precision: int = MAX_DECIMAL_DIGITS,
        scale: int | None = None,
        true: tuple[str, ...] = ("true",),
        false: tuple[str, ...] = ("false",),
        null: tuple[str, ...] = (),
        strip: bool = False,
        **rules: Unpack[RuleKeywords],
    ) -> None:
        """Declare a column; every argument but those below is an attribute.

        Args:
            name: Of the column.
            type: One of ``TYPES``. Values are cast by the declared format and nothing else; a cell that is not it is
                rejected, never guessed.
            published_as: See the attribute.
            derived: See the attribute.
            default: See the attribute.
            description: See the attribute.
            sensitive: See the attribute.
            formats: For date, timestamp and time: the formats accepted, tried in this order; see ``DIRECTIVES``.
            zone: For timestamp: the IANA zone that values without an offset are in. A column with a zone, or with
                ``%z`` in every format, is stored as an instant; any other is stored as the wall-clock reading it is.
            precision: For decimal: the number of digits in all, at most 38.
            scale: For decimal: the number of digits after the point; a value with more (other than zeros) is rejected.
            true: For boolean: the words that mean true, exactly as written.
            false: For boolean: the words that mean false.
            null: See the attribute.
            strip: See the attribute.
            **rules: What every value must keep, by kind; ``KINDS`` holds them all.

        Raises:
            DeclarationError: If there is no such argument.
        """
        type_ = DataType(type, formats, zone, precision, scale, true, false)
        vars(self).update(
            name=name,
            type=type_,
            rules=_declared(name, type_, dict(rules)),
            published_as=published_as,
            derived=derived,
            default=default,
            description=description,
            sensitive=sensitive,
            null=null,
            strip=strip,
        )

    def __repr__(self) -> str:
        """As one would write it, without what goes without saying."""
        named = [f"{name}={value!r}" for name, value in self._arguments.items()]
        return f"Column({', '.join([repr(self.name), repr(self.type.name), *named])})"

    @property
    def _arguments(self) -> dict[str, Any]:
        """The arguments other than the first two that say something, by name."""
        type_ = self.type
        of_type = {"formats": type_.declared_formats}
        of_type |= {name: getattr(type_, name) for name in ("zone", "precision", "scale", "true", "false")}
        given = {name: of_type[name] if name in of_type else getattr(self, name) for name in _DEFAULTS}
        said = {name: value for name, value in given.items() if value != _DEFAULTS[name]}
        return {rule.kind: rule.argument for rule in self.rules if rule.keyword} | said

    def replace(self, **changes: Any) -> Column:
        """The column with other arguments; a rule that becomes None is gone."""
        arguments = {"name": self.name, "type": self.type.name, **self._arguments, **changes}
        return Column(**arguments)

    def find(self, kind: builtins.type[Kind]) -> Kind | None:
        """The rule of a kind; None when the column has none."""
        return next((rule for rule in self.rules if isinstance(rule, kind)), None)

    @property
    def required(self) -> bool:
        """Whether a record without a value is rejected."""
        return self.find(Required) is not None

    @property
    def published_names(self) -> tuple[str, ...]:
        """The names to look for in a delivery, in order; empty for a derived column."""
        if self.derived:
            return ()
        if self.published_as is None:
            return (self.name,)
        return (self.published_as,) if isinstance(self.published_as, str) else self.published_as

    @property
    def rule_infos(self) -> tuple[RuleInfo, ...]:
        """The rules as they are listed."""
        return tuple(
            RuleInfo(rule.name(self.name), f"{self.name} {rule.words(self.type)}", (self.name,), rule.by_consent)
            for rule in self.rules
        )

    def check(self, where: str) -> None:
        """Raise unless the declaration is sound.

        Args:
            where: What to call the owner in the error, e.g. ``source 'flights'``.

        Raises:
            DeclarationError: With the field and the remedy.
        """
        here = f"column {self.name!r} of {where}"
        check_identifier(self.name, here, "name")
        if self.name in BOOKKEEPING:
            raise DeclarationError(here, "name", "is kept for bookkeeping", "Choose another name")
        if self.derived and self.published_as is not None:
            raise DeclarationError(here, "published_as", "contradicts derived=True", "Remove one of the two")
        if self.published_as == () or any(not isinstance(name, str) for name in self.published_names):
            raise DeclarationError(here, "published_as", "names nothing", "Give the publisher's name or leave it out")
        self.type.check(here)
        for rule in self.rules:
            rule.check(self.type, here)
        for rule in self.rules:
            rule.check_beside(self.rules, self.type, here)


def _declared(column: str, type_: DataType, arguments: Mapping[str, Any]) -> tuple[ColumnRule, ...]:
    """The rules that some arguments and a type ask for."""
    known = [kind for kind, rule in KINDS.items() if rule.keyword]
    for unknown in arguments.keys() - set(known):
        close = get_close_matches(unknown, [*known, *_DEFAULTS], n=1)
        remedy = f"Write {close[0]}" if close else f"Write one of {', '.join([*known, *_DEFAULTS])}"
        raise DeclarationError(f"column {column!r}", unknown, "is not known", remedy)
    asked = (rule.declared(arguments.get(kind)) or rule.of_type(type_) for kind, rule in KINDS.items())
    return tuple(rule for rule in asked if rule is not None)
