"""The rule ``allowed``: a value is one of the declared values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from etl_assets.errors import DeclarationError
from etl_assets.model.expectation_types import ROWS
from etl_assets.schema import sql
from etl_assets.schema.expressions import among
from etl_assets.schema.rules.base import ColumnRule

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from etl_assets.model.expectation import Expectation
    from etl_assets.schema.types import DataType

_INTEGERS: Final = range(-(2**63), 2**63)
_FOUR_BYTES: Final = range(-(2**31), 2**31)


@dataclass(frozen=True)
class Allowed(ColumnRule):
    """The only values allowed, for text and integer."""

    values: tuple[str | int, ...]

    kind: ClassVar[str] = "allowed"
    keyword: ClassVar[str] = "tuple[str | int, ...]"

    def words(self, type_: DataType) -> str:  # noqa: ARG002 -- the same for every type
        """See `ColumnRule.words`."""
        return "is one of " + ", ".join(map(str, self.values))

    def check(self, type_: DataType, where: str) -> None:
        """See `ColumnRule.check`."""
        member = {"text": str, "integer": int}.get(type_.name)
        if member is None or not self.values or any(type(value) is not member for value in self.values):
            raise DeclarationError(
                where, "allowed", f"does not fit type {type_.name!r}", "List texts for text, integers for integer"
            )

    def violated(self, type_: DataType, cell: pl.Expr, value: pl.Expr) -> pl.Expr:  # noqa: ARG002 -- of values alone
        """See `ColumnRule.violated`. Integers that no cell can have are left out."""
        return ~among(value, [member for member in self.values if isinstance(member, str) or member in _INTEGERS])

    def audit(self, column: str, type_: DataType, key: Sequence[str]) -> Expectation:
        """See `ColumnRule.audit`. It is a query if Great Expectations would send an integer of more than four bytes."""
        if all(isinstance(value, str) or value in _FOUR_BYTES for value in self.values):
            expectation = "expect_column_values_to_be_in_set"
            return self.expectation(expectation, column, type_, column=column, value_set=list(self.values))
        condition = f"child.{sql.name(column)} NOT IN ({', '.join(map(str, self.values))})"
        return self.expectation(ROWS, column, type_, unexpected_rows_query=sql.rows_where(condition, key))
