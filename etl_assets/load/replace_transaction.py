"""The transaction of a delivery that is a whole partition: writes its rows, deletes the other rows of the partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.load.transaction import BatchTransaction
from etl_assets.postgres.tables.replacing import remove_absent

if TYPE_CHECKING:
    from etl_assets.load.prepare import Prepared
    from etl_assets.postgres.tables.upsert import Written


class ReplaceTransaction(BatchTransaction):
    """Writes a delivery that is a single batch and contains every row of its partition."""

    def write_generation(self, prepared: Prepared) -> tuple[Written, int]:
        """Write the rows, then delete rows of earlier deliveries of the partition that this one lacks."""
        written, deleted = super().write_generation(prepared)
        absent = remove_absent(self.connection, self.target.table, self.target.schema, self.delivery, prepared.rows)
        return written, deleted + absent
