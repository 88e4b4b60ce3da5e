"""`OrderedHistory`: the form that `History` has for a schema with ``order_by``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from etl_assets.errors import DeclarationError
from etl_assets.load.writers.base import Writer
from etl_assets.load.writers.ordered_history_rows import OrderedHistoryRows
from etl_assets.postgres.tables.history_table import VALID_TO, VersionsForm, ensure_history, history_of
from etl_assets.postgres.tables.ordered_versions import count_misplaced, validity_of

if TYPE_CHECKING:
    from etl_assets.load.writers.base import WriterContext
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.tables.ddl import Extension
    from etl_assets.schema import Column, PartitionBy, Schema


@dataclass(frozen=True)
class OrderedHistory(Writer):
    """Keeps every version of a row, each valid from its own value of the order column.

    The table has a row for each key and value of the order column that valid records have.

    Attributes:
        key: Names of the columns that identify a row, of which there are versions.
        order: The order column.
        columns: The columns that count, as `History` has them.
    """

    key: tuple[str, ...]
    order: Column
    columns: tuple[str, ...] = ()

    can_partition = False

    @property
    def extension(self) -> Extension:
        """See `Writer.extension`."""
        return validity_of(self.order)

    def row_schema(self, schema: Schema) -> Schema:
        """See `Writer.row_schema`."""
        return replace(schema, key=(*self.key, self.order.name), order_by=None)

    def stored_in(self, table: str) -> str:
        """See `Writer.stored_in`."""
        return history_of(table)

    def keyed_in(self, table: str) -> str:
        """See `Writer.keyed_in`."""
        return history_of(table)

    def ensure_table(
        self, connection: Connection, table: str, schema: Schema, partition_by: PartitionBy | None = None
    ) -> None:
        """See `Writer.ensure_table`; also makes the view and the function. The table is never partitioned."""
        del partition_by
        ensure_history(connection, table, schema, VersionsForm(self.extension, self.key, VALID_TO))

    def differences(self, connection: Connection, table: str, schema: Schema) -> list[str]:
        """See `Writer.differences`."""
        misplaced = count_misplaced(connection, history_of(table), schema, self.columns)
        return [f"has {misplaced} versions that do not end where the next one begins"] if misplaced else []

    def open(self, context: WriterContext) -> OrderedHistoryRows:
        """See `Writer.open`."""
        return OrderedHistoryRows(context, self.columns)


def check_order(schema: Schema, where: str) -> None:
    """Raise a `DeclarationError` unless the order column of a schema has moments from which versions can be valid."""
    name = schema.order_by or ""
    column = schema[name]
    if name in schema.key:
        problem = f"is {name!r}, which is in the key, so that each key has one version"
        raise DeclarationError(where, "order_by", problem, "Leave it out of the key")
    if column.type.name != "date" and not column.type.is_instant:
        problem = f"is {name!r}, a {column.type.name} without a time zone" if column.type.name == "timestamp" else ""
        raise DeclarationError(
            where,
            "order_by",
            problem or f"is {name!r}, which is {column.type.name}, and versions of History are valid from moments",
            "Declare its zone" if problem else "Name a column of type date, or timestamp with a zone",
        )
