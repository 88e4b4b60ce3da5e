"""The package made wrong on purpose: each variant must be caught by trials within a few seeds.

A variant replaces functions in a forked process, never in the package, and names the faults that show that it is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from etl_assets.graph import jobs
from etl_assets.landing.digests import VerifiedStream
from etl_assets.load.replay_transaction import ReplayTransaction
from etl_assets.load.transaction import BatchTransaction
from etl_assets.load.writers.history_rows import HistoryRows
from etl_assets.load.writers.newer_deliveries import NewerDeliveries
from etl_assets.load.writers.published_keys import PublishedKeys
from etl_assets.load.writers.replace import ReplacingRows
from etl_assets.postgres.ledger import completions, deliveries, locks
from etl_assets.postgres.tables.guard import Guard
from etl_assets.postgres.tables.ordered_versions import OrderedVersions
from etl_assets.postgres.tables.record_ranges import RecordRanges
from etl_assets.postgres.tables.upsert import TableWriter
from etl_assets_tests.chaos.history import AT_ONCE, BIT_FLIPPED, CONNECTION_CUT, KILLED, ZOMBIE
from etl_assets_tests.chaos.points import substitute
from etl_assets_tests.chaos.wrong_transactions import OpenGuard, OutOfTurn

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets_tests.chaos.history import Cut, Mode

SEEDS_OF_A_VARIANT: Final = 200
"""Within so many seeds a variant must be caught."""


@dataclass(frozen=True)
class Variant:
    """A way in which the package is wrong.

    Attributes:
        name: What is wrong.
        install: Makes this process wrong; it is a forked child.
        focus: The kinds of faults that its trials have.
        cuts: How its sources are cut.
        modes: The write modes of its sources.
        sign: A text in the violation that catches it.
        in_dagster: Whether replays go through Dagster.
    """

    name: str
    install: Callable[[], None]
    focus: tuple[str, ...]
    cuts: tuple[Cut, ...] = ("files",)
    modes: tuple[Mode, ...] = ("upsert",)
    sign: str = ""
    in_dagster: bool = False


def _ledger_apart() -> None:
    """Commit each ledger entry in a transaction of its own, after the rows."""
    run, replay = BatchTransaction.run, ReplayTransaction.replay
    write_entry = BatchTransaction.write_entry

    def run_then_enter(self: BatchTransaction, prepared: Any) -> Any:
        entry = run(self, prepared)
        write_entry(self, entry)
        return entry

    def replay_then_enter(self: ReplayTransaction, *args: Any) -> Any:
        entry = replay(self, *args)
        if entry is not None:
            write_entry(self, entry)
        return entry

    substitute(BatchTransaction, "run", run_then_enter)
    substitute(ReplayTransaction, "replay", replay_then_enter)
    substitute(BatchTransaction, "write_entry", lambda _self, _entry: None)


def _no_guard() -> None:
    """Overwrite newer rows."""
    substitute(Guard, "is_older", OpenGuard.is_older)


def _no_fence() -> None:
    """Let a run go on that was taken over."""
    substitute(locks, "fence", lambda _connection, _holder: None)


def _no_runner_up() -> None:
    """Reload no delivery that may have another version of a row that was deleted."""
    substitute(deliveries, "need_reload", lambda *_args, **_options: None)


def _no_digests() -> None:
    """Read frozen bytes without comparing their digests."""

    def unverified(self: VerifiedStream, size: int = -1, /) -> bytes:
        self._file.seek(self._position)
        data = self._file.read(size if size >= 0 else -1) or b""
        self._position += len(data)
        return data

    substitute(VerifiedStream, "read", unverified)


def _unsorted() -> None:
    """Write rows in any order, while other transactions write rows of the same keys."""
    stage = TableWriter._stage

    def shuffled(self: TableWriter, rows: Any, encoded: bytes | None = None) -> None:  # noqa: ARG001 -- it is sorted
        stage(self, rows.sample(fraction=1.0, shuffle=True))

    substitute(TableWriter, "_stage", shuffled)
    substitute(TableWriter, "_copy_if_new", lambda _self, rows, _encoded=None: rows.is_empty())
    substitute(BatchTransaction, "lock_writes", OutOfTurn.lock_writes)


def _keys_of_one_run() -> None:
    """Delete what a resumed snapshot does not have in the batches that the last run wrote."""
    substitute(PublishedKeys, "add_others", lambda self: sum(self._unreadable.values()))


def _late_snapshot_decides() -> None:
    """Let a late snapshot write keys that a newer one no longer has."""
    substitute(deliveries, "completed", lambda _connection, _ids: [])


def _late_marks() -> None:
    """Let a late snapshot mark rows as if it were the newest."""
    substitute(completions, "newer", lambda *_args, **_options: [])


def _deleted_too_early() -> None:
    """Delete what a snapshot does not have after each of its batches."""
    init = BatchTransaction.__init__

    def completing(self: BatchTransaction, *args: Any, **options: Any) -> None:
        init(self, *args, **{**options, "completes": True})

    substitute(BatchTransaction, "__init__", completing)
    _keys_of_one_run()


def _staged_twice() -> None:
    """Let a late delivery replace the rows of a newer one."""
    begin = ReplacingRows.begin

    def never_late(self: ReplacingRows, newer: Any) -> None:
        begin(self, newer)
        self._is_replaced = False

    substitute(ReplacingRows, "begin", never_late)


def _appended_again() -> None:
    """Add the rows of a reloaded delivery to those that it has."""
    substitute(RecordRanges, "replace", lambda self, rows, _records: self.add(rows))


def _late_version_stays() -> None:
    """Let the version of a late delivery go on until it ends, and not only to the next delivery that has the key."""
    substitute(NewerDeliveries, "confirming", lambda _self, keys: keys.clear())


def _history_without_guard() -> None:
    """Let every delivery end the current versions, as if it were the newest."""
    begin = HistoryRows.begin
    substitute(HistoryRows, "begin", lambda self, _newer: begin(self, ()))


def _no_place() -> None:
    """Leave versions that come late without a place among the others."""
    substitute(OrderedVersions, "place", lambda _self: None)


def _no_materialization() -> None:
    """Show nothing in Dagster of what a replay changes."""
    substitute(jobs, "log_touched", lambda *_args, **_options: None)


VARIANTS: Final = (
    Variant("ledger entry in a transaction of its own", _ledger_apart, (CONNECTION_CUT, KILLED)),
    Variant("no order guard", _no_guard, (KILLED,)),
    Variant("no fence", _no_fence, (ZOMBIE,)),
    Variant("no runner-up", _no_runner_up, (KILLED,)),
    Variant("no digests", _no_digests, (BIT_FLIPPED,)),
    Variant("rows written unsorted and at once", _unsorted, (AT_ONCE,), sign="deadlock"),
    Variant("keys of one run", _keys_of_one_run, (KILLED,), modes=("snapshot",)),
    Variant("a late snapshot decides", _late_snapshot_decides, (KILLED,), modes=("snapshot",)),
    Variant("a late snapshot marks as the newest", _late_marks, (KILLED,), modes=("marked",)),
    Variant("deleted before the delivery is complete", _deleted_too_early, (KILLED,), modes=("snapshot",)),
    Variant("a late delivery replaces a newer one", _staged_twice, (KILLED,), modes=("replace",)),
    Variant("a reload appends again", _appended_again, (KILLED,), modes=("append",)),
    Variant("a late version does not give way", _late_version_stays, (KILLED,), modes=("history",)),
    Variant("a history without the guard", _history_without_guard, (KILLED,), modes=("history",)),
    Variant("a late version has no place", _no_place, (KILLED,), modes=("ordered history",)),
    Variant("replay without materialization", _no_materialization, (KILLED,), sign="Dagster", in_dagster=True),
)
"""Every variant, each with what its trials are about."""
