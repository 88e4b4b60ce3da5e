"""The transactions of a DataFrame: a delivery that is a single batch and contains every row of its partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.errors import LoadError
from etl_assets.load.transaction import BatchTransaction
from etl_assets.postgres.tables.replacing import find_other_partition, keep_keys, remove_absent

if TYPE_CHECKING:
    from etl_assets.load.prepare import Prepared
    from etl_assets.postgres.tables.upsert import Written


class FrameTransaction(BatchTransaction):
    """Writes a frame, and refuses it if another partition has one of its keys.

    A frame is not frozen. So what another partition had for the key could not be read again, and which of the two rows
    stays would depend on which partition was computed last.
    """

    def write_generation(self, prepared: Prepared) -> tuple[Written, int]:
        """Write the rows."""
        table, schema = self.target.table, self.target.schema
        keep_keys(self.connection, table, schema, prepared.rows)
        other = find_other_partition(self.connection, table, schema, self.delivery)
        if other is not None:
            key = ", ".join(schema.key)
            raise LoadError(
                f"The frame for partition {self.delivery.partition!r} of {table} has keys that partition {other!r} has "
                f"too. Nothing was written. Add the column that decides the partition to metadata 'key', now {key}, or "
                "let each partition return only its own rows."
            )
        return super().write_generation(prepared)

    def ask_other_declarations(self) -> None:
        """Ask none: frames are not frozen, and those of other partitions have other keys."""


class ReplaceTransaction(FrameTransaction):
    """Writes a frame, and deletes the rows of its partition that the frame no longer has."""

    def write_generation(self, prepared: Prepared) -> tuple[Written, int]:
        """Write the rows, then delete rows of earlier deliveries of the partition that this one lacks."""
        written, deleted = super().write_generation(prepared)
        absent = remove_absent(self.connection, self.target.table, self.target.schema, self.delivery)
        return written, deleted + absent
