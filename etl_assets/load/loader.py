"""The Postgres loader: takes the lock and the fence, goes on after what the ledger has, writes batch after batch."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

import psycopg
import stamina

from etl_assets.errors import BusyError, LoadError, TooManyRejectedError, TransientLoadError
from etl_assets.load.base import Loader, LoadReport
from etl_assets.load.lookups import Lookups
from etl_assets.load.prefetch import Ahead
from etl_assets.load.prepare import hash_seed, prepare
from etl_assets.load.slices import load_shares, share_name, shares
from etl_assets.load.transaction import BatchTransaction
from etl_assets.model.delivery import MOST_SLICES
from etl_assets.postgres.connection import connect
from etl_assets.postgres.faults import translate
from etl_assets.postgres.ledger import deliveries, entries, locks
from etl_assets.postgres.tables.ddl import ensure_table
from etl_assets.postgres.tables.upsert import TableWriter, is_empty

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from etl_assets.load.base import OpenBatches, SeenLater, Target
    from etl_assets.load.prepare import Prepared
    from etl_assets.model.batch import Batch
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.ledger.entries import Line
    from etl_assets.postgres.ledger.locks import Holder

T = TypeVar("T")
Transaction = TypeVar("Transaction", bound=BatchTransaction)
_TRIES: Final = 5
_LOCK_SECONDS: Final = 15.0


class PostgresLoader(Loader):
    """Loads deliveries into Postgres, from the thread that calls it; parsing runs ahead in another.

    Args:
        url: Of the warehouse.
        run_id: Of the run that loads.
        force: Whether to read a delivery anew that is complete.
        batches: Numbers of the only batches of a complete delivery to be read anew; none for no such wish.
        slices: How many processes share a large delivery that is the first into its table.
        slice_name: When several loaders share a delivery, which of them this is: each has a lock of its own, and the
            delivery has been begun for all of them.
        transaction: What a batch transaction does; tests put variants here.
        on_batch: Called after each commit with the number of records that the batch accounts for.
    """

    def __init__(
        self,
        url: str,
        run_id: str,
        *,
        force: bool = False,
        batches: Collection[int] = (),
        slices: int = 1,
        slice_name: str = "",
        transaction: type[BatchTransaction] = BatchTransaction,
        on_batch: Callable[[int], None] | None = None,
    ) -> None:
        self._url = url
        self._run_id = run_id
        self._force = force
        self._batches = frozenset(batches)
        self._slices = slices
        self._slice_name = slice_name
        self._transaction = transaction
        self._on_batch = on_batch

    def load(self, target: Target, delivery: Delivery, open_batches: OpenBatches) -> LoadReport:
        """Write what is missing of a delivery. See `Loader.load`."""
        session = Session(self._url, self._run_id, target, delivery, self._slice_name)
        try:
            if not self._slice_name:
                session.require_no_slices()
            if self._batches:
                session.begin_some(self._batches)
            elif not self._slice_name:
                session.begin(force=self._force)
            if session.delivery.status == "complete":
                return LoadReport(session.delivery, "unchanged")
            session.open_table()
            return self._load(session, open_batches)
        except psycopg.Error as error:
            raise translate(error, str(delivery)) from None
        except TooManyRejectedError as error:
            deliveries.refuse(session.connection, session.delivery, str(error))
            raise
        finally:
            session.close()

    def _load(self, session: Session, open_batches: OpenBatches) -> LoadReport:
        done = entries.lines(session.connection, session.delivery)
        missing = [span.batch for span in session.delivery.manifest.spans if span.batch not in done]
        seconds: defaultdict[str, float] = defaultdict(float)
        if len(missing) >= self._slices > 1 and is_empty(session.connection, session.target.table):
            with stopwatch(seconds, "slices"):
                cut = shares(missing, self._slices)
                load_shares(load_share, self._url, self._run_id, session.target, session.delivery, open_batches, cut)
        elif missing:
            self._load_here(session, open_batches, frozenset(done), seconds)
        if not deliveries.complete(session.connection, session.delivery) and not self._slice_name:
            raise TransientLoadError(
                f"{session.delivery}: batches that were committed are gone from the ledger, as after a crash of the "
                "server. The rows that are there are accounted for. Run it again: it goes on with what is missing."
            )
        everything = entries.lines(session.connection, session.delivery)
        counts, rules = entries.add_up(everything)
        return LoadReport(
            delivery=deliveries.by_id(session.connection, session.delivery.id) or session.delivery,
            status="resumed" if done else "loaded",
            counts=counts,
            rules=rules,
            written=entries.add_up({number: line for number, line in everything.items() if number not in done})[0],
            seconds=dict(seconds),
        )

    def _load_here(
        self, session: Session, open_batches: OpenBatches, done: frozenset[int], seconds: defaultdict[str, float]
    ) -> None:
        """Load batches in this process: one thread reads and prepares, this one writes."""
        batches = session.prepared(timed(open_batches(done), seconds, "read"))
        with Ahead(timed(batches, seconds, "read+prepare")) as ready:
            for prepared in timed(iter(ready), seconds, "wait"):
                with stopwatch(seconds, "database"):
                    line = session.write(prepared, self._transaction)
                if self._on_batch is not None:
                    self._on_batch(line.counts.read)
        seconds["prepare"] = seconds.pop("read+prepare", 0.0) - seconds["read"]


def load_share(
    url: str, run_id: str, slice_name: str, target: Target, delivery: Delivery, open_batches: OpenBatches
) -> None:
    """Load one process's share of a delivery. See `slices.load_shares`."""
    PostgresLoader(url, run_id, slice_name=slice_name).load(target, delivery, open_batches)


class Session:
    """One hold of a source partition: connection, lock, epoch, temporary tables; mended when the connection breaks."""

    def __init__(
        self,
        url: str,
        run_id: str,
        target: Target,
        delivery: Delivery,
        slice_name: str = "",
    ) -> None:
        self._url = url
        self.target = target
        self.delivery = delivery
        self._slice_name = slice_name
        self._partition = delivery.partition + slice_name
        self._seed = hash_seed(target.schema)
        self._lookups = Lookups(target)
        self._seen: SeenLater | None = None
        self.connection = connect(url)
        try:
            locks.lock(self.connection, delivery.source, self._partition)
            self._holder: Holder = locks.take(self.connection, delivery.source, self._partition, run_id)
        except BaseException:
            self.connection.close()
            raise

    def require_no_slices(self) -> None:
        """Raise if slices are at work that outlived the process which started them.

        Raises:
            BusyError: Until they are done; what they load need not be loaded again.
        """
        source, partition = self.delivery.source, self.delivery.partition
        names = (share_name(number) for number in range(1, MOST_SLICES + 1))
        if locks.held(self.connection) & {locks.lock_number(source, partition + name) for name in names}:
            raise BusyError(
                f"Slices of an earlier run are still loading {self.delivery}. This run wrote nothing. Wait for them, "
                "then run it again: it goes on with what is missing."
            )

    def begin(self, *, force: bool) -> None:
        """Mark the delivery as being loaded."""
        self.delivery = deliveries.begin(self.connection, self.delivery, self.target.fingerprint, force=force)

    def begin_some(self, batches: frozenset[int]) -> None:
        """Mark some batches of a complete delivery as being loaded anew.

        Raises:
            LoadError: If there are no such batches, or the delivery must be read as a whole.
        """
        known = {span.batch for span in self.delivery.manifest.spans}
        if not batches <= known:
            told = f"{min(known)} to {max(known)}" if known else "none"
            raise LoadError(
                f"{self.delivery} has no batch {min(batches - known)}; it has {told}. Nothing was written. Name others."
            )
        begun = deliveries.begin_some(self.connection, self.delivery, self.target.fingerprint, batches)
        if begun is None:
            raise LoadError(
                f"{self.delivery} is not complete, or was read under another declaration: it can only be read as a "
                "whole. Nothing was written. Run it without naming batches."
            )
        self.delivery = begun

    def open_table(self) -> None:
        """Make the table hold what the schema declares, and get ready to write it."""
        ensure_table(self.connection, self.target.table, self.target.schema)
        self._writer = TableWriter(
            self.connection,
            self.target.table,
            self.target.schema,
            self.delivery.id,
            shared=bool(self._slice_name),
            refresh_hashes=entries.other_seeds(self.connection, self.delivery.source, self._seed),
        )

    def close(self) -> None:
        """Give everything back; the lock at once, as the server may take a moment to see that the session has ended."""
        with suppress(psycopg.Error):  # of a broken connection, which has no lock either
            locks.unlock(self.connection)
        self.connection.close()

    def prepared(self, batches: Iterator[Batch]) -> Iterator[Prepared]:
        """Batches made ready, in the thread that pulls them."""
        self._seen = None if self.target.look_later is None else self.target.look_later()
        for batch in batches:
            ready = prepare(batch, self.target, self.delivery.id, self._seed, self._seen)
            writer = self._writer
            yield replace(ready, encoded=writer.encode(ready.rows)) if writer.sends_everything else ready

    def write(self, prepared: Prepared, transaction: type[BatchTransaction] = BatchTransaction) -> Line:
        """Write a batch, trying again on a new connection when the database broke off.

        A lost answer to COMMIT is resolved by asking the ledger.
        """
        for attempt in stamina.retry_context(on=TransientLoadError, attempts=_TRIES, wait_initial=0.2, wait_max=5.0):
            with attempt:
                if attempt.num > 1 and (line := self._reconnect(prepared.batch.span.batch)) is not None:
                    return line
                try:
                    return self._transact(prepared, transaction)
                except psycopg.Error as error:
                    raise translate(error, f"batch {prepared.batch.span.batch} of {self.delivery}") from None
        raise AssertionError("a retry loop ends by returning or raising")

    def transaction(self, kind: type[Transaction], *, allowance: int) -> Transaction:
        """A transaction of that kind over this session.

        Args:
            kind: Which steps it takes.
            allowance: How many records it may reject.
        """
        return kind(
            self.connection,
            self.target,
            self.delivery,
            self._holder,
            self._writer,
            self._lookups,
            seed=self._seed,
            allowance=allowance,
        )

    def _transact(self, prepared: Prepared, kind: type[BatchTransaction]) -> Line:
        consent = int(self.target.max_rejected * self.delivery.manifest.records)
        rejected = entries.add_up(entries.lines(self.connection, self.delivery))[0].rejected
        transaction = self.transaction(kind, allowance=consent - rejected)
        line = transaction.run(prepared)
        self._seen = transaction.seen
        return line

    def _reconnect(self, number: int) -> Line | None:
        """Mend the session after its connection broke; the ledger line of a batch, if it was committed after all."""
        self.connection.close()
        try:
            self.connection = connect(self._url)
            self._lock_again()
            with self.connection.transaction():
                locks.fence(self.connection, self._holder)
            self.open_table()
        except psycopg.Error as error:
            raise translate(error, f"reconnecting for {self.delivery}") from None
        return entries.lines(self.connection, self.delivery).get(number)

    def _lock_again(self) -> None:
        """Take the lock back; the server may need a moment to notice that the broken session is gone."""
        for attempt in stamina.retry_context(on=BusyError, attempts=None, timeout=_LOCK_SECONDS, wait_max=0.5):
            with attempt:
                locks.lock(self.connection, self.delivery.source, self._partition)


@contextmanager
def stopwatch(seconds: defaultdict[str, float], phase: str) -> Iterator[None]:
    """Add the duration of a block to a phase."""
    began = time.perf_counter()
    try:
        yield
    finally:
        seconds[phase] += time.perf_counter() - began


def timed(items: Iterator[T], seconds: defaultdict[str, float], phase: str) -> Iterator[T]:
    """The same items; the time each took to come is added to a phase."""
    while True:
        with stopwatch(seconds, phase):
            try:
                item = next(items)
            except StopIteration:
                return
        yield item
        del item
