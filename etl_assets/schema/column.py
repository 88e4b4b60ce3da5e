"""One column of a table: its type, its rules, and its published names."""

from __future__ import annotations

import builtins  # noqa: TC003 -- the class has an attribute of that name
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from etl_assets.errors import DeclarationError
from etl_assets.model.declaration import Declaration, unknown_argument
from etl_assets.model.declared_types import check_value, resolve
from etl_assets.model.rule import RuleInfo
from etl_assets.schema.names import KEPT_BY_POSTGRES, RESERVED, check_identifier
from etl_assets.schema.rules import KINDS, ColumnRule
from etl_assets.schema.rules.required import Required
from etl_assets.schema.types import FALSE, MAX_DECIMAL_DIGITS, TRUE, DataType, TypeName  # noqa: TC001 -- read at runtime

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Unpack

    from etl_assets.schema.rules.keywords import RuleKeywords

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
    "true": TRUE,
    "false": FALSE,
    "null": (),
    "strip": False,
}


@dataclass(frozen=True, init=False, repr=False)
class Column(Declaration):
    """One column of the table and the rules its values must keep.

    Attributes:
        name: The column's name in the table: lower-case letters, digits and underscores, at most 63 bytes.
        type: Type of its values, and how they are written.
        rules: The rules that every value must keep, in the order in which broken rules are listed.
        published_as: The name, or the names over time, under which the publisher sends the column. The first one that
            a delivery has is used. By default the column's own name.
        derived: Whether the transformer makes the column; it is then not expected in the delivery.
        default: Value for records without one, written as the publisher would write it.
        description: Shown in Dagster and in the database.
        sensitive: Whether values are hidden from people: in metadata, exports and the listing of the quarantine.
        null: Words that mean 'no value' in this column, in addition to the format's own.
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
        true: tuple[str, ...] = TRUE,
        false: tuple[str, ...] = FALSE,
        null: tuple[str, ...] = (),
        strip: bool = False,
        **rules: Unpack[RuleKeywords],
    ) -> None:
        """Declare a column; every argument but those below is an attribute.

        Args:
            name: Of the column.
            type: One of ``TYPES``. A cell is cast only if it is written as declared; any other cell is rejected, never
                guessed.
            published_as: See the attribute.
            derived: See the attribute.
            default: See the attribute.
            description: See the attribute.
            sensitive: See the attribute.
            formats: For date, timestamp and time: the formats accepted, tried in this order; see ``DIRECTIVES``.
            zone: For timestamp: the IANA zone of values without an offset. A column with a zone, or with ``%z`` in
                every format, is stored as an instant; any other is stored as a wall-clock reading.
            precision: For decimal: the total number of digits, at most 38.
            scale: For decimal: the number of digits after the point; a value with more (other than zeros) is rejected.
            true: For boolean: the words that mean true, exactly as written.
            false: For boolean: the words that mean false.
            null: See the attribute.
            strip: See the attribute.
            **rules: The rules that every value must keep, by kind; see ``KINDS``.

        Raises:
            DeclarationError: If there is no such argument.
        """
        type_ = DataType(type, formats, zone, precision, scale, true, false)
        vars(self).update(
            name=name,
            type=type_,
            rules=_declared_rules(name, type_, dict(rules)),
            published_as=published_as,
            derived=derived,
            default=default,
            description=description,
            sensitive=sensitive,
            null=null,
            strip=strip,
        )

    def __repr__(self) -> str:
        """Return the declaration of the column, without arguments that have their defaults."""
        named = [f"{name}={value!r}" for name, value in self.arguments.items()]
        return f"Column({', '.join([repr(self.name), repr(self.type.name), *named])})"

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments after the first two that differ from their defaults, by name."""
        type_ = self.type
        of_type = {"formats": type_.declared_formats}
        of_type |= {name: getattr(type_, name) for name in ("zone", "precision", "scale", "true", "false")}
        values = {name: of_type[name] if name in of_type else getattr(self, name) for name in _DEFAULTS}
        changed = {name: value for name, value in values.items() if value != _DEFAULTS[name]}
        return {rule.kind: rule.argument for rule in self.rules if rule.keyword} | changed

    def replace(self, **changes: Any) -> Column:
        """Return the column with other arguments; None removes a rule."""
        arguments = {"name": self.name, "type": self.type.name, **self.arguments, **changes}
        return Column(**arguments)

    def find(self, kind: builtins.type[Kind]) -> Kind | None:
        """Return the rule of a kind; None when the column has none."""
        return next((rule for rule in self.rules if isinstance(rule, kind)), None)

    @property
    def required(self) -> bool:
        """Whether a record without a value is rejected."""
        return self.find(Required) is not None

    @property
    def published_names(self) -> tuple[str, ...]:
        """The possible names of the column in a delivery, in order; empty for a derived column."""
        if self.derived:
            return ()
        if self.published_as is None:
            return (self.name,)
        return (self.published_as,) if isinstance(self.published_as, str) else self.published_as

    @property
    def rule_infos(self) -> tuple[RuleInfo, ...]:
        """The descriptions of the rules."""
        return tuple(
            RuleInfo(rule.name(self.name), f"{self.name} {rule.words(self.type)}", (self.name,), rule.by_consent)
            for rule in self.rules
        )

    def check(self, where: str) -> None:
        """Raise unless the declaration is sound.

        Args:
            where: How the error names the owner, e.g. ``source 'flights'``.

        Raises:
            DeclarationError: With the field and the remedy.
        """
        here = f"column {self.name!r} of {where}"
        check_identifier(self.name, here, "name")
        if self.name in RESERVED:
            raise DeclarationError(here, "name", "is kept for bookkeeping", "Choose another name")
        if self.name in KEPT_BY_POSTGRES:
            raise DeclarationError(
                here, "name", "is a column that Postgres gives every table", "Choose another, and write published_as"
            )
        if "\0" in self.description:
            raise DeclarationError(here, "description", "has a NUL, which Postgres cannot store", "Leave it out")
        if self.derived and self.published_as is not None:
            raise DeclarationError(here, "published_as", "contradicts derived=True", "Remove one of the two")
        if self.published_as == ():
            raise DeclarationError(here, "published_as", "has no name", "Write the publisher's name or leave it out")
        self.type.check(here)
        for rule in self.rules:
            rule.check(self.type, here)
        for rule in self.rules:
            rule.check_beside(self.rules, self.type, here)


def _declared_rules(column: str, type_: DataType, arguments: Mapping[str, Any]) -> tuple[ColumnRule, ...]:
    """Return the rules that the arguments declare, and those that come with the type."""
    known = [kind for kind, rule in KINDS.items() if rule.keyword]
    for kind, argument in arguments.items():
        if kind not in known:
            raise unknown_argument(f"column {column!r}", kind, [*known, *_DEFAULTS])
        check_value(argument, _type_of_argument(KINDS[kind]), f"column {column!r}", kind)
    rules = (rule.declared(arguments.get(kind)) or rule.of_type(type_) for kind, rule in KINDS.items())
    return tuple(rule for rule in rules if rule is not None)


@cache
def _type_of_argument(rule: type[ColumnRule]) -> Any:
    """Return the type of the argument that declares a kind of rule; None is the same as to leave it out."""
    return resolve(f"{rule.keyword} | None", rule.__module__)
