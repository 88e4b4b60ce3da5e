"""The transaction of a whole: rows are written, and those of the same partition that are not among them deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.load.transaction import BatchTransaction
from etl_assets.postgres.tables.replacing import remove_absent

if TYPE_CHECKING:
    from etl_assets.load.prepare import Prepared
    from etl_assets.postgres.tables.upsert import Written


class ReplaceTransaction(BatchTransaction):
    """Writes a delivery that is one batch and all that its partition holds."""

    def write_generation(self, prepared: Prepared) -> tuple[Written, int]:
        """Write the rows, then delete what earlier deliveries of the partition brought and this one lacks."""
        written, deleted = super().write_generation(prepared)
        gone = remove_absent(self.connection, self.target.table, self.target.schema, self.delivery, prepared.rows)
        return written, deleted + gone
