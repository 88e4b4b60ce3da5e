"""The rule ``length``: a text is not too long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from etl_assets.errors import DeclarationError
from etl_assets.schema.rules.base import ColumnRule

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from etl_assets.model.expectation import Expectation
    from etl_assets.schema.types import DataType


@dataclass(frozen=True)
class Length(ColumnRule):
    """The largest number of characters of a text."""

    most: int

    kind: ClassVar[str] = "length"
    keyword: ClassVar[str] = "int"

    def words(self, type_: DataType) -> str:  # noqa: ARG002 -- of texts alone
        """See `ColumnRule.words`."""
        return f"has at most {self.most} characters"

    def check(self, type_: DataType, where: str) -> None:
        """See `ColumnRule.check`."""
        if type_.name != "text":
            raise DeclarationError(where, "length", "is for texts", "Use minimum, maximum or allowed")
        if self.most < 1:
            raise DeclarationError(where, "length", "is below 1", "Write the largest number of characters")

    def violated(self, type_: DataType, cell: pl.Expr, value: pl.Expr) -> pl.Expr:  # noqa: ARG002 -- of texts alone
        """See `ColumnRule.violated`."""
        return value.str.len_chars() > self.most

    def audit(self, column: str, type_: DataType, key: Sequence[str]) -> Expectation:  # noqa: ARG002 -- counts alone
        """See `ColumnRule.audit`."""
        expectation = "expect_column_value_lengths_to_be_between"
        return self.expectation(expectation, column, type_, column=column, max_value=self.most)
