"""The transaction of a replay: like that of a batch, but it reads its records from the quarantine and updates them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from etl_assets.load.prepare import prepare
from etl_assets.load.transaction import BatchTransaction
from etl_assets.postgres.ledger import deliveries, entries, locks, replays

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Sequence

    from etl_assets.load.prepare import Prepared
    from etl_assets.model.batch import Batch
    from etl_assets.postgres.ledger.entries import Entry, Kind
    from etl_assets.postgres.ledger.quarantine import Rejected
    from etl_assets.postgres.tables.upsert import Written


class ReplayTransaction(BatchTransaction):
    """Writes records of the quarantine as if they had been valid from the start.

    Rows keep the delivery and the record number of their records, so that they never overwrite anything newer.
    """

    kind: Kind = "replay"
    _claimed: Sequence[Rejected] = ()

    def replay(self, ids: Sequence[int], make_batch: Callable[[Sequence[Rejected], int], Batch]) -> Entry | None:
        """Replay those records, of some records of one delivery, that still wait.

        Args:
            ids: Ids of the records.
            make_batch: Makes a batch, with a given number, from the claimed records.

        Returns:
            The ledger entry; None when none of the records waits any more.
        """
        with self.connection.transaction():
            locks.fence(self.connection, self.holder)
            self.lock_writes()
            self._claimed = replays.claim(self.connection, ids)
            if not self._claimed:
                return None
            number = entries.next_number(self.connection, self.delivery, self.kind)
            batch = make_batch(self._claimed, number)
            prepared = prepare(batch, self.target, self.delivery.id, self.seed)
            prepared, reported = self.look_up(prepared)
            prepared, written = self.write_rows(prepared)
            self.write_rejected(prepared)
            entry = self.entry(prepared, written, reported)
            self.write_entry(entry)
        return entry

    def write_rejected(self, prepared: Prepared) -> None:
        """Update every claimed record in the quarantine: replayed, or still waiting with the rules it breaks.

        If the delivery was loaded under another declaration, it is reloaded, even when that declaration comes back.
        """
        replays.finish(self.connection, self._claimed, prepared.rejected, self.target.fingerprint)
        deliveries.need_reload_if_loaded_otherwise(self.connection, self.delivery, self.target.fingerprint)

    def entry(self, prepared: Prepared, written: Written, reported: Counter[str]) -> Entry:
        """Return the ledger entry. Its range is from the first to the last replayed record, and may have gaps."""
        entry = super().entry(prepared, written, reported)
        return replace(entry, last_record=self._claimed[-1].record_no)
