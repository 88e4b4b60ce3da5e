"""The rule ``references``, of one column or of several together: the values exist in another table.

It needs the database, so the loader evaluates it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from etl_assets.errors import DeclarationError
from etl_assets.model.expectation_types import ROWS
from etl_assets.schema import sql
from etl_assets.schema.names import check_identifier
from etl_assets.schema.rules.base import (
    ColumnRule,
    Lookup,
    NotAudited,
    OnMissing,
    RecordRule,
    check_columns,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from etl_assets.schema.rules.base import Audit
    from etl_assets.schema.types import DataType


@dataclass(frozen=True)
class References(ColumnRule):
    """The parent, `"core.airports.faa"` or `References(column, missing=…)`, whose values are the only ones allowed.

    Attributes:
        column: ``schema.table.column`` of the parent, e.g. ``core.airports.faa``.
        missing: What the loader does with a record whose parent is missing: ``park`` keeps it in the quarantine and
            releases it when the parent arrives; ``reject`` quarantines it; ``report`` loads it and counts it in a
            check.
    """

    column: str
    missing: OnMissing = "park"

    kind: ClassVar[str] = "references"
    keyword: ClassVar[str] = "str | References"

    @classmethod
    def declared(cls, argument: Any) -> Self | None:
        """See `ColumnRule.declared`. With a text, records without a parent are parked."""
        return argument if argument is None or isinstance(argument, cls) else cls(argument)

    @property
    def argument(self) -> str | Self:
        """See `ColumnRule.argument`."""
        return self.column if self.missing == "park" else self

    @property
    def table(self) -> str:
        """The parent table as ``schema.table``."""
        return self.column.rpartition(".")[0]

    def lookup(self, column: str) -> Lookup:
        """See `ColumnRule.lookup`."""
        return Lookup(self.name(column), (column,), self.table, (self.column.rpartition(".")[2],), self.missing)

    def words(self, type_: DataType) -> str:  # noqa: ARG002 -- the same for every type
        """See `ColumnRule.words`."""
        return f"exists in {self.column}"

    def check(self, type_: DataType, where: str) -> None:  # noqa: ARG002 -- the database compares
        """See `ColumnRule.check`."""
        if self.column.count(".") != 2:  # noqa: PLR2004 -- schema.table.column
            raise DeclarationError(where, "references", f"{self.column!r} is not a column", "Write schema.table.column")
        for part in self.column.split("."):
            check_identifier(part, where, "references")

    def violated(self, type_: DataType, cell: pl.Expr, value: pl.Expr) -> None:
        """Return None: the loader evaluates the rule in the database."""

    def audit(self, column: str, type_: DataType, key: Sequence[str]) -> Audit:
        """See `ColumnRule.audit`."""
        lookup = self.lookup(column)
        if self.missing == "report":
            return _REPORTED
        query = sql.rows_without_parent(lookup.columns, lookup.table, lookup.parent_columns, key)
        return self.expectation(ROWS, column, type_, unexpected_rows_query=query)


@dataclass(frozen=True)
class ForeignKey(RecordRule):
    """The values of several columns exist together in a row of another table.

    ``Schema(rules=(ForeignKey(("country", "region"), "core.regions"),))``

    Attributes:
        columns: The columns that refer to the parent.
        table: ``schema.table`` of the parent.
        parent_columns: The parent's columns, in the same order; the same names when empty.
        missing: What the loader does with a record whose parent is missing; see `References`.
    """

    columns: tuple[str, ...]
    table: str
    parent_columns: tuple[str, ...] = ()
    missing: OnMissing = "park"

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", "__".join([*self.columns, References.kind]))
        object.__setattr__(self, "words", f"{' and '.join(self.columns)} exist together in {self.table}")

    @property
    def lookup(self) -> Lookup:
        """See `RecordRule.lookup`."""
        return Lookup(self.name, self.columns, self.table, self.parent_columns or self.columns, self.missing)

    def check(self, types: dict[str, DataType], where: str) -> None:
        """See `RecordRule.check`."""
        check_columns(self.columns, types, where, least=2)
        if self.table.count(".") != 1:
            raise DeclarationError(where, "rules", f"refer to {self.table!r}, no table", "Write schema.table")
        if self.parent_columns and len(self.parent_columns) != len(self.columns):
            raise DeclarationError(
                where, "rules", f"compare {len(self.columns)} columns with {len(self.parent_columns)}", "Name as many"
            )
        for part in (*self.table.split("."), *self.parent_columns):
            check_identifier(part, where, "rules")

    def violations(self, rows: pl.DataFrame) -> None:
        """Return None: the loader evaluates the rule in the database."""

    def audit(self, types: dict[str, DataType], key: Sequence[str]) -> Audit:  # noqa: ARG002 -- the database compares
        """See `RecordRule.audit`."""
        if self.missing == "report":
            return _REPORTED
        lookup = self.lookup
        query = sql.rows_without_parent(lookup.columns, lookup.table, lookup.parent_columns, key)
        return self.expectation(ROWS, unexpected_rows_query=query)


_REPORTED: Final = NotAudited("rows without a parent are loaded by consent")
