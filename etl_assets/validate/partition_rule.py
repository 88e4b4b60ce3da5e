"""The rule ``COLUMN__partition``: a row belongs to the partition in which its record was delivered.

It is evaluated on the rows that go into the table, after the transformer.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from etl_assets.errors import DeclarationError
from etl_assets.model.batch import RECORD_NO
from etl_assets.model.partitions import Files, Periods
from etl_assets.model.rule import RuleInfo

if TYPE_CHECKING:
    from etl_assets.model.batch import Batch
    from etl_assets.model.partitions import Partitioning
    from etl_assets.schema import Column, Schema


@dataclass(frozen=True)
class PartitionRule:
    """The rule that the value of a column must belong to the partition of its record.

    Attributes:
        column: The column.
        partitions: How the source is cut by the column.
    """

    column: Column
    partitions: Partitioning

    @property
    def info(self) -> RuleInfo:
        """The rule as it is listed."""
        name = self.column.name
        return RuleInfo(f"{name}__partition", f"{name} lies in the partition that the record came in", (name,))

    @property
    def declaration(self) -> str:
        """A text that changes whenever the values that belong to a partition change."""
        value = self.partitions.value if isinstance(self.partitions, Files) else None
        code = inspect.getsource(value) if value is not None else ""
        return f"{type(self.partitions).__name__} {self.column.name} {self.column.type!r} {code}".strip()

    def check(self, schema: Schema, where: str) -> None:
        """Raise a `DeclarationError` unless the column's type fits the partitions and the column is in the key."""
        expected = ("date", "timestamp") if isinstance(self.partitions, Periods) else ("text",)
        if self.column.type.name not in expected:
            raise DeclarationError(
                where,
                "partitions",
                f"are cut by {self.column.name!r}, which is {self.column.type.name}",
                f"Cut them by a column of type {' or '.join(expected)}",
            )
        if schema.key and self.column.name not in schema.key:
            raise DeclarationError(
                where,
                "partitions",
                f"are cut by {self.column.name!r}, which is not in the key, so that a key can be in two of them",
                "Put the column into the key, or leave column= out",
            )
        try:
            _ = self.declaration
        except (OSError, TypeError) as error:
            raise DeclarationError(
                where, "partitions", "have a value= whose source cannot be read", "Define it with def in a module"
            ) from error

    def outside(self, key: str, values: pl.Series) -> pl.Series:
        """Return which values belong to another partition than that of a key."""
        value = pl.col("value")
        if self.column.type.is_instant:
            value = value.dt.convert_time_zone(self.column.type.zone or "UTC")
        if self.column.type.name == "timestamp":
            value = value.dt.date()
        return values.alias("value").to_frame().select(~self.partitions.holds(key, value)).to_series()

    def reject_outside(self, key: str, batch: Batch) -> Batch:
        """Return the batch with each record rejected that has a row of another partition than that of a key."""
        outside = self.outside(key, batch.rows.get_column(self.column.name))
        if not outside.any():
            return batch
        numbers = batch.rows.filter(outside).get_column(RECORD_NO).unique(maintain_order=True)
        return batch.with_rejected(numbers, [[self.info.name]] * len(numbers))
