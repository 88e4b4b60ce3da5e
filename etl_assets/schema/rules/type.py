"""The rule ``type``: a value is written as its type requires, and stored in this type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from etl_assets.model.expectation import Expectation
from etl_assets.schema.rules.base import ColumnRule

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from etl_assets.schema.types import DataType


@dataclass(frozen=True)
class WrittenAsType(ColumnRule):
    """A value is written as its type requires: nothing is rounded, trimmed or guessed."""

    kind: ClassVar[str] = "type"

    @classmethod
    def of_type(cls, type_: DataType) -> Self | None:
        """See `ColumnRule.of_type`. A text column has no such rule: every cell is a text."""
        return None if type_.name == "text" else cls()

    def words(self, type_: DataType) -> str:
        """See `ColumnRule.words`."""
        return f"is {type_.words}"

    def check(self, type_: DataType, where: str) -> None:
        """Do nothing: the type checks itself."""

    def violated(self, type_: DataType, cell: pl.Expr, value: pl.Expr) -> pl.Expr:  # noqa: ARG002 -- the cast knows it
        """See `ColumnRule.violated`."""
        return value.is_null() & cell.is_not_null()

    def audit(self, column: str, type_: DataType, key: Sequence[str]) -> Expectation:  # noqa: ARG002 -- no row is read
        """Return the expectation that the column is stored as its type; the table no longer has the published cells."""
        stored = type_.postgres.upper().replace(",", ", ")
        return Expectation(
            "expect_column_type_to_be",
            name=self.name(column),
            blocking=True,
            description=f"{column} is stored as {stored}",
            column=column,
            type_=stored,
        )
