"""The Postgres loader: skips the batches that the ledger has, and writes the others one after the other."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeVar

import psycopg

from etl_assets.errors import (
    EnvironmentFaultError,
    NotSwappedError,
    TooManyDeletedError,
    TooManyRejectedError,
    TransientLoadError,
)
from etl_assets.extract.prefetch import Prefetch
from etl_assets.load import progress
from etl_assets.load.base import Loader, LoadReport
from etl_assets.load.delivery_load import DeliveryLoad
from etl_assets.load.replay_transaction import ReplayTransaction
from etl_assets.load.shares import Share, ShareLock, Turns
from etl_assets.load.transaction import DATABASE_RULE, BatchTransaction
from etl_assets.model.counts import Counts
from etl_assets.model.rule import RuleInfo
from etl_assets.postgres.faults import translate
from etl_assets.postgres.ledger import deliveries, entries

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from etl_assets.load.base import LoadRequest, OpenBatches, ReplayRequest
    from etl_assets.model.batch import Batch
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.entries import Entry

T = TypeVar("T")
_SEVERAL: Final = 2


@dataclass(frozen=True)
class PostgresLoader(Loader):
    """Loads deliveries into Postgres, in the thread that calls it; another thread parses ahead.

    Attributes:
        transaction: The transaction of a batch: what it writes, in which order.
    """

    transaction: type[BatchTransaction] = field(default=BatchTransaction, kw_only=True)

    @property
    def rules(self) -> tuple[RuleInfo, ...]:
        """See `Loader.rules`."""
        return (RuleInfo(DATABASE_RULE, "the database can store the record"),)

    def before_commit(self, connection: Connection, delivery: Delivery, entry: Entry) -> None:
        """Write more in the transaction of each batch and of each replay. Subclasses override this.

        Args:
            connection: In the transaction, which is committed next.
            delivery: The delivery that the records came in.
            entry: The ledger entry of the batch or replay.
        """

    def load(self, request: LoadRequest) -> LoadReport:
        """Write the batches of a delivery that are missing; see `Loader.load`."""
        load = DeliveryLoad(request, self.before_commit)
        try:
            if request.batches:
                load.begin_some(request.batches)
            else:
                load.begin(force=request.force)
            if load.delivery.status == "complete":
                return LoadReport(load.delivery, "unchanged")
            load.open_table()
            return self._load_or_begin_again(load, request)
        except (psycopg.Error, TransientLoadError, EnvironmentFaultError) as error:
            raise load.fault(error) from None
        except (TooManyRejectedError, TooManyDeletedError) as error:
            deliveries.refuse(load.connection, load.delivery, str(error))
            raise
        finally:
            load.close()

    def load_share(self, request: LoadRequest, share: Share) -> int:
        """Write the batches of a share, each after the one before; see module `shares`.

        Args:
            request: Of the delivery, in its state in the database.
            share: What this process loads.

        Returns:
            How many batches it wrote; the run, or another process, has written the others.

        Raises:
            LoadError: If a batch cannot be written. The run writes it then, and meets the same error.
        """
        load = DeliveryLoad(request, self.before_commit, ShareLock(request.url, share))
        try:
            turns = Turns(load.delivery, share)
            if load.delivery.status == "complete" or not turns.is_wanted(load.connection):
                return 0
            load.open_writer()
            return self._write_share(load, request.open_batches, turns)
        except psycopg.Error as error:
            raise load.fault(error) from None
        finally:
            load.close()

    def replay(self, request: ReplayRequest) -> Counts:
        """Write the quarantined records that now keep all rules; see `Loader.replay`."""
        load = DeliveryLoad(request, self.before_commit)
        try:
            load.open_table()
            transaction = load.transaction(ReplayTransaction, allowance=len(request.ids))
            entry = transaction.replay(request.ids, request.make_batch)
        except psycopg.Error as error:
            raise translate(error, f"replaying {len(request.ids)} records of {request.delivery}") from None
        finally:
            load.close()
        return Counts() if entry is None else entry.counts

    def _load_or_begin_again(self, load: DeliveryLoad, request: LoadRequest) -> LoadReport:
        """Load what is missing; if a new table cannot be put in place, read the delivery again, as a reload."""
        try:
            return self._load_missing(load, request)
        except NotSwappedError:
            pass
        except (TooManyRejectedError, TooManyDeletedError):  # the table is to have the batches before
            if not load.completes_apart:
                raise
        load.begin_again()
        return self._load_missing(load, request)

    def _load_missing(self, load: DeliveryLoad, request: LoadRequest) -> LoadReport:
        """Write the batches that the ledger does not have, and complete the delivery."""
        before = load.find_entries()
        done = {entry.number for entry in before if entry.kind == "ingest"}
        seconds: defaultdict[str, float] = defaultdict(float)
        if missing := {span.batch for span in load.delivery.manifest.spans} - done:
            if (share := _hand_out(request, load, missing)) is not None:
                self._write_in_turns(load, request.open_batches, share, seconds)
            else:
                self._write(load, request.open_batches(frozenset(done)), missing, seconds)
        if load.completes_apart or not load.delivery.manifest.spans:
            load.complete_apart(self.transaction)
        completed = deliveries.complete(load.connection, load.delivery)
        if completed is None:
            raise TransientLoadError(
                f"{load.delivery}: committed batches are missing from the ledger, as after a crash of the server. "
                "The ledger accounts for all rows in the table. Run it again: it loads the missing batches."
            )
        committed = entries.find_all(load.connection, load.delivery)
        counts, rules = entries.sum_entries(committed)
        return LoadReport(
            delivery=completed,
            status="resumed" if done else "loaded",
            counts=counts,
            rules=rules,
            written=counts - entries.sum_entries(before)[0],
            seconds=dict(seconds),
        )

    def _write(
        self, load: DeliveryLoad, batches: Iterator[Batch], missing: set[int], seconds: defaultdict[str, float]
    ) -> None:
        """Write batches in this thread, while another thread reads and prepares; ``missing`` are their numbers.

        A single batch needs no other thread.
        """
        spans = load.delivery.manifest.spans
        loaded = sum(span.records for span in spans if span.batch not in missing)
        prepared_batches = timed(load.prepare_batches(timed(batches, seconds, "read")), seconds, "read+prepare")
        with closing(prepared_batches) if len(missing) == 1 else Prefetch(prepared_batches) as ahead:
            for prepared in timed(iter(ahead), seconds, "wait"):
                missing.discard(prepared.batch.span.batch)
                with stopwatch(seconds, "database"):
                    load.write(prepared, self.transaction, completes=not missing)
                loaded += prepared.batch.read
                progress.report(load.delivery, loaded)
        seconds["prepare"] = seconds.pop("read+prepare", 0.0) - seconds["read"]

    def _write_in_turns(
        self, load: DeliveryLoad, open_batches: OpenBatches, share: Share, seconds: defaultdict[str, float]
    ) -> None:
        """Write the batches of the run's own share, and those of others that their processes leave."""
        turns = Turns(load.delivery, share)
        own = timed(load.prepare_batches(_only(open_batches, load, share.own)), seconds, "prepare")
        with Prefetch(own) as ahead:
            prepared_batches = iter(ahead)
            for number in share.missing:
                with stopwatch(seconds, "wait"):
                    if number in share.own:
                        prepared = next(prepared_batches)
                    elif turns.is_written_elsewhere(load.connection, number):
                        continue
                    else:
                        prepared = next(load.prepare_batches(_only(open_batches, load, frozenset({number}))))
                with stopwatch(seconds, "database"):
                    load.write_in_turn(prepared, self.transaction, turns, completes=number == share.missing[-1])

    def _write_share(self, load: DeliveryLoad, open_batches: OpenBatches, turns: Turns) -> int:
        written = 0
        with Prefetch(load.prepare_batches(_only(open_batches, load, turns.share.own))) as ahead:
            for prepared in ahead:
                if not turns.come(load.connection, prepared.batch.span.batch):
                    break
                written += load.write_in_turn(prepared, self.transaction, turns, completes=False)
        return written


def _hand_out(request: LoadRequest, load: DeliveryLoad, missing: set[int]) -> Share | None:
    """Hand out all shares of a delivery but the first, which is returned; None if this process loads it alone."""
    number = min(request.workers, len(missing))
    if request.hand_out is None or number < _SEVERAL or not load.target.writer.in_turns:
        return None
    if load.delivery.generation > 1 or load.target.replaced is not None:
        return None
    run = load.holder
    order = tuple(sorted(missing))
    share = Share(run.source, run.partition, run.run_id, run.epoch, load.delivery.id, order, number=0, of=number)
    for other in range(1, number):
        request.hand_out(replace(share, number=other))
    return share


def _only(open_batches: OpenBatches, load: DeliveryLoad, numbers: frozenset[int]) -> Iterator[Batch]:
    """Open some batches of a delivery, by their numbers."""
    return open_batches(frozenset(span.batch for span in load.delivery.manifest.spans) - numbers)


@contextmanager
def stopwatch(
    seconds: defaultdict[str, float], phase: str, clock: Callable[[], float] = time.perf_counter
) -> Iterator[None]:
    """Add what a block takes, by a clock, to a phase."""
    began = clock()
    try:
        yield
    finally:
        seconds[phase] += clock() - began


def timed(items: Iterator[T], seconds: defaultdict[str, float], phase: str) -> Generator[T]:
    """Yield the same items, and add the time that each took to a phase."""
    while True:
        with stopwatch(seconds, phase):
            try:
                item = next(items)
            except StopIteration:
                return
        yield item
        del item
