"""The rule ``unique``, of one column or of several together: no two rows of the table share the values.

It needs the table, so the loader evaluates it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from etl_assets.schema.names import check_no_twins
from etl_assets.schema.rules.base import ColumnRule, RecordRule, UniqueClaim, check_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from etl_assets.model.expectation import Expectation
    from etl_assets.schema.types import DataType


@dataclass(frozen=True)
class Unique(ColumnRule):
    """No two rows of the table share a value."""

    kind: ClassVar[str] = "unique"
    keyword: ClassVar[str] = "bool"

    def claim(self, column: str) -> UniqueClaim:
        """See `ColumnRule.claim`."""
        return UniqueClaim(self.name(column), (column,))

    def words(self, type_: DataType) -> str:  # noqa: ARG002 -- the same for every type
        """See `ColumnRule.words`."""
        return "stands in no other row"

    def check(self, type_: DataType, where: str) -> None:
        """Do nothing: any column may be unique."""

    def violated(self, type_: DataType, cell: pl.Expr, value: pl.Expr) -> None:
        """Return None: the loader evaluates the rule on the table."""

    def audit(self, column: str, type_: DataType, key: Sequence[str]) -> Expectation:  # noqa: ARG002 -- counts alone
        """See `ColumnRule.audit`."""
        return self.expectation("expect_column_values_to_be_unique", column, type_, column=column)


@dataclass(frozen=True, init=False)
class UniqueTogether(RecordRule):
    """No two rows of the table share the values of several columns, beyond the key.

    ``Schema(rules=(UniqueTogether("street", "number"),))``
    """

    columns: tuple[str, ...]

    def __init__(self, *columns: str) -> None:
        object.__setattr__(self, "columns", columns)
        object.__setattr__(self, "name", "__".join([*columns, Unique.kind]))
        object.__setattr__(self, "words", f"{' and '.join(columns)} stand together in no other row")

    @property
    def claim(self) -> UniqueClaim:
        """See `RecordRule.claim`."""
        return UniqueClaim(self.name, self.columns)

    def check(self, types: dict[str, DataType], where: str) -> None:
        """See `RecordRule.check`."""
        check_columns(self.columns, types, where, least=2)
        check_no_twins(self.columns, where, "rules", "name {!r} twice in one UniqueTogether")

    def violations(self, rows: pl.DataFrame) -> None:
        """Return None: the loader evaluates the rule on the table."""

    def audit(self, types: dict[str, DataType], key: Sequence[str]) -> Expectation:  # noqa: ARG002 -- counts alone
        """See `RecordRule.audit`."""
        return self.expectation(
            "expect_compound_columns_to_be_unique",
            column_list=list(self.columns),
            ignore_row_if="any_value_is_missing",
        )
