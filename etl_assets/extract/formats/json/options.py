"""What Json and Ndjson have in common: how an object becomes the columns of one record, or of several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from etl_assets.errors import DeclarationError
from etl_assets.extract.base import BATCH_BYTES, LARGEST_BATCH
from etl_assets.extract.formats.json.objects import ARRAY_RULE, RULES
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from etl_assets.extract.base import Naming
    from etl_assets.model.rule import RuleInfo

MOST_NAMES: Final = 2_000
"""The largest number of names that a file may publish."""
_DEEPEST_LEVEL: Final = 16


@dataclass(frozen=True, kw_only=True)
class ObjectOptions:
    """How objects become records.

    Attributes:
        null: Texts that mean 'no value' in every column, in addition to JSON's null.
        batch_bytes: Largest size of a batch.
        flatten: Nested objects whose fields become columns, such as ``address.city``; each level is named, such as
            ``("address", "address.geo")``. True for all objects, up to 16 levels. The others stay JSON.
        explode: The key of an array, each element of which becomes a record of its own; the other fields of the object
            are repeated. The fields of an element are columns such as ``lines.sku``.
    """

    null: tuple[str, ...] = ()
    batch_bytes: int = BATCH_BYTES
    flatten: tuple[str, ...] | Literal[True] = ()
    explode: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.batch_bytes <= LARGEST_BATCH:
            raise self.mistake("batch_bytes", f"is {self.batch_bytes}", f"Write 1 to {LARGEST_BATCH} (1 GiB)")
        if self.explode in ("", RECORD_NO):
            raise self.mistake("explode", f"is {self.explode!r}", "Write the key of an array: 'lines'")
        if self.flatten is not True:
            self._check_flatten(self.flatten)

    def _check_flatten(self, names: tuple[str, ...]) -> None:
        if len(set(names)) < len(names) or not all(names):
            raise self.mistake("flatten", "names an object twice, or ''", "Name each object once: ('address',)")
        if self.explode in names:
            remedy = "Leave it out: fields of its elements are columns anyway"
            raise self.mistake("flatten", f"names {self.explode!r}, which is exploded", remedy)
        for name in names:
            outer = name.rpartition(".")[0]
            if outer and outer not in (*names, self.explode):
                raise self.mistake("flatten", f"names {name!r} without {outer!r}", f"Name the outer one too: {outer!r}")

    @property
    def naming(self) -> Naming:
        """See `Format.naming`."""
        return "union"

    @property
    def rules(self) -> tuple[RuleInfo, ...]:
        """The rules that a record can break."""
        return RULES if self.explode is None else (*RULES, ARRAY_RULE)

    def mistake(self, field: str, problem: str, remedy: str) -> DeclarationError:
        """Return the error for a wrong argument."""
        return DeclarationError(f"format {type(self).__name__}", field, problem, remedy)

    def flattens(self, name: str, level: int) -> bool:
        """Return whether the fields of an object under a name, at a level from 1, become columns."""
        return level <= _DEEPEST_LEVEL if self.flatten is True else name in self.flatten
