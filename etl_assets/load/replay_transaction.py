"""The transaction of a replay: the same as a batch's, with records claimed from the quarantine and settled there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from etl_assets.load.prepare import prepare
from etl_assets.load.transaction import BatchTransaction
from etl_assets.postgres.ledger import entries, locks, quarantine

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Sequence

    from etl_assets.load.prepare import Prepared
    from etl_assets.model.batch import Batch
    from etl_assets.postgres.ledger.entries import Entry, Kind
    from etl_assets.postgres.ledger.quarantine import Rejected, Status
    from etl_assets.postgres.tables.upsert import Written


class ReplayTransaction(BatchTransaction):
    """Writes records of the quarantine as if they had been right from the start.

    Rows keep the delivery and the record number they came with, so that they never beat anything newer.
    """

    kind: Kind = "replay"
    _claimed: Sequence[Rejected] = ()

    def replay(self, ids: Sequence[int], make_batch: Callable[[Sequence[Rejected], int], Batch]) -> Entry | None:
        """Replay what still waits among some records of one delivery.

        Args:
            ids: Of the records.
            make_batch: Reads claimed records into a batch of the number it is given.

        Returns:
            The ledger line; None when none of the records waits any more.
        """
        with self.connection.transaction():
            locks.fence(self.connection, self.holder)
            self._claimed = quarantine.claim(self.connection, ids)
            if not self._claimed:
                return None
            self.lock_writes()
            number = entries.next_number(self.connection, self.delivery, self.kind)
            batch = make_batch(self._claimed, number)
            prepared = prepare(batch, self.target, self.delivery.id, self.seed)
            prepared, reported = self.look_up(prepared)
            prepared, written, deleted = self.write_rows(prepared)
            self.write_rejected(prepared)
            entry = self.entry(prepared, written, deleted, reported)
            self.write_entry(entry)
        return entry

    def write_rejected(self, prepared: Prepared) -> None:
        """Settle every claimed record: replayed, or waiting on with the rules it still breaks."""
        still = {new.record_no: new for new in prepared.rejected}
        outcomes: list[tuple[int, Status, Sequence[str]]] = [
            (claimed.id, new.status, new.rules)
            if (new := still.get(claimed.record_no)) is not None
            else (claimed.id, "replayed", ())
            for claimed in self._claimed
        ]
        quarantine.finish_replay(self.connection, outcomes, self.target.fingerprint)

    def entry(self, prepared: Prepared, written: Written, deleted: int, reported: Counter[str]) -> Entry:
        """The ledger entry, from the first to the last record number replayed; those between need not be in it."""
        entry = super().entry(prepared, written, deleted, reported)
        return replace(entry, last_record=self._claimed[-1].record_no)

    def confirmed_after(self, prepared: Prepared) -> int:
        """The first record that is replayed: what came after it in its delivery was written before."""
        return prepared.batch.span.first_record
