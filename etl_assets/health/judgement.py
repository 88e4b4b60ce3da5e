"""Judges the health of a table: by its trigger and freshness, and by what is known of its runs and records. Pure.

A table is *broken* if its newest run failed or its file does not load. It is *late* if a time of its trigger was not
served, or if it is older than its freshness. It is *degraded* if something of it waits, failed or is missing, *unknown*
if it was never run, and else *good*.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

from etl_assets.errors import IncompatibleTableError
from etl_assets.model.checks import DRIFT, REJECTED_SHARE
from etl_assets.model.cron_times import CronTimes
from etl_assets.model.trigger import After, Cron, OnChange

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from etl_assets.postgres.health.facts import Facts, FailedCheck, PartitionState
    from etl_assets.source import Source
    from etl_assets.source_files import BrokenFile

Health = Literal["broken", "late", "degraded", "unknown", "good"]
WORST_FIRST: Final[tuple[Health, ...]] = get_args(Health)
WELL: Final = frozenset({"good", "unknown"})
_IF_GONE: Final = " If the publisher withdrew it for good, close its alert: etl-assets alerts list --source {}."
GRACE: Final = timedelta(minutes=15)
"""How long after a time of its trigger a source may be without a run that served it."""


class Finding(NamedTuple):
    """One reason why a table is not good.

    Attributes:
        health: What the table is, at best, because of it.
        why: A sentence.
        since: Since when; None if that is not known.
        remedy: The command to run next, or what else to do.
    """

    health: Health
    why: str
    since: datetime | None
    remedy: str


@dataclass(frozen=True)
class TableHealth:
    """How a table is.

    Attributes:
        name: Name of the source.
        health: The worst of its findings, or ``good`` or ``unknown``.
        why: A sentence.
        since: Since when the table is that; None if that is not known.
        findings: The reasons, worst first.
        owner: Who is responsible for it.
        open: How many records wait for a person.
        parked: How many records wait for a parent.
        open_drift: How many changes of what is published are open.
        open_alerts: How many alerts are open.
        failed_checks: The checks that failed in the newest verdict.
        check_descriptions: What each of these says; it may name what the publisher publishes, so that no page has it.
        missing: Partitions that should be loaded and are not.
        stale: Partitions with a delivery to reload.
        failed: Partitions whose newest run failed.
        rows: How many rows the table has.
        loaded_at: When the newest delivery was complete.
        next_due: When the trigger starts the next run, or polls, in words.
        next_due_at: The same as a time, if the trigger is the clock.
    """

    name: str
    health: Health
    why: str
    since: datetime | None = None
    findings: tuple[Finding, ...] = ()
    owner: str = ""
    open: int = 0
    parked: int = 0
    open_drift: int = 0
    open_alerts: int = 0
    failed_checks: tuple[str, ...] = ()
    check_descriptions: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    rows: int = 0
    loaded_at: datetime | None = None
    next_due: str = ""
    next_due_at: datetime | None = None

    @property
    def is_well(self) -> bool:
        """Whether nobody has to do anything."""
        return self.health in WELL


def judge(source: Source, facts: Facts | None, stale: Sequence[str], now: datetime) -> TableHealth:
    """Return the health of a source's table.

    Args:
        source: The declaration.
        facts: What the database says; None if the source was never run or loaded.
        stale: Partitions with a delivery to reload.
        now: The time of the database.
    """
    text, at = next_due(source, now)
    if facts is None or (facts.newest is None and facts.loaded_at is None and not facts.unfinished):
        why = "It was never run." if facts is None or facts.under_way_since is None else "Its first run is in progress."
        return TableHealth(source.name, "unknown", why, owner=source.owner, next_due=text, next_due_at=at)
    missing = missing_partitions(source, facts, now)
    can_run = _can_run(source, now)
    failed = tuple(s for s in facts.partitions if s.status in {"failed", "crashed"} and can_run(s.partition))
    failing = {state.partition for state in failed}
    unfinished = [partition for partition in facts.unfinished if can_run(partition) and partition not in failing]
    shown = [check for check in facts.failed_checks if check.name != DRIFT or facts.drift.number]
    checks = _own_checks(source, facts.failed_checks)
    reasons = [
        *_of_runs(source, facts, failed),
        *_of_time(source, facts, now),
        *_of_partitions(source, missing, stale, unfinished),
        *_of_records(source, facts),
        *_of_checks(source, facts, checks),
    ]
    findings = sorted(reasons, key=lambda finding: WORST_FIRST.index(finding.health))
    worst = findings[0] if findings else Finding("good", "Nothing waits, and nothing is late.", facts.loaded_at, "")
    alike = [finding.since for finding in findings if finding.health == worst.health and finding.since]
    return TableHealth(
        name=source.name,
        health=worst.health,
        why=worst.why,
        since=min(alike, default=worst.since),
        findings=tuple(findings),
        owner=source.owner,
        open=facts.open,
        parked=facts.parked,
        open_drift=facts.drift.number,
        open_alerts=facts.alerts.number,
        failed_checks=tuple(check.name for check in shown),
        check_descriptions=tuple(check.description for check in shown),
        missing=missing,
        stale=tuple(stale),
        failed=tuple(state.partition for state in failed),
        rows=facts.rows,
        loaded_at=facts.loaded_at,
        next_due=text,
        next_due_at=at,
    )


def judge_broken(file: BrokenFile, facts: Facts) -> TableHealth:
    """Return the health of the table of a file that does not load, with what the database says of it."""
    why = f"Its file does not load. {file.problem}"
    remedy = f"Correct {file.path}"
    return TableHealth(
        name=file.name,
        health="broken",
        why=why,
        findings=(Finding("broken", why, None, remedy),),
        open=facts.open,
        parked=facts.parked,
        open_drift=facts.drift.number,
        open_alerts=facts.alerts.number,
        rows=facts.rows,
        loaded_at=facts.loaded_at,
    )


def next_due(source: Source, now: datetime) -> tuple[str, datetime | None]:
    """Return when the trigger of a source starts the next run or polls, in words, and as a time if it is the clock."""
    match source.trigger:
        case Cron() as cron:
            at = CronTimes(cron).after(now)
            return f"{at:%Y-%m-%d %H:%M} UTC", at
        case OnChange(every=every):
            return f"on a change, polled every {_words(every)}", None
        case After(assets=assets):
            return f"after {', '.join(assets)}", None
        case _:
            return "by hand", None


def missing_partitions(source: Source, facts: Facts, now: datetime) -> tuple[str, ...]:
    """Return the partitions that should be loaded and are not, oldest first.

    Of a source that runs at fixed times, those that were complete at the last of these times, after `GRACE`. Of another
    one, those that are older than the newest partition with rows: nobody declares when the next one must be there.
    """
    if source.partitions is None:
        return ()
    loaded = {state.partition for state in facts.partitions if state.loaded_at is not None}
    if isinstance(source.trigger, Cron):
        keys = source.partitions.keys(CronTimes(source.trigger).before(now - GRACE))
    else:
        keys = source.partitions.keys(now)
        newest = max((place for place, key in enumerate(keys) if key in loaded), default=-1)
        keys = keys[: newest + 1]
    return tuple(key for key in keys if key not in loaded)


def _can_run(source: Source, now: datetime) -> Callable[[str], bool]:
    """Return whether a partition is one that can be run: what became of another, no run can change any more."""
    if source.partitions is None:
        return lambda partition: not partition
    if source.has_file_partitions:
        return bool  # any with a name: which files there are, only the publisher knows
    return frozenset(source.partitions.keys(now)).__contains__


def _of_runs(source: Source, facts: Facts, failed: Sequence[PartitionState]) -> Iterator[Finding]:
    if not failed:
        return
    since = min((state.started_at for state in failed if state.started_at is not None), default=None)
    newest, run = facts.newest, f"etl-assets run {source.name}"
    gone = _IF_GONE.format(source.name) if source.has_file_partitions else ""
    if newest is not None and newest in failed:
        happened = "crashed" if newest.status == "crashed" else f"failed with {newest.error_class or 'an error'}"
        what = f"The newest run {happened}" + (f", of partition {newest.partition}." if newest.partition else ".")
        needs_rebuild = newest.error_class == IncompatibleTableError.__name__
        remedy = f"etl-assets rebuild {source.name} --swap && {run}" if needs_rebuild else run
        yield Finding("broken", f"{what}{gone}", newest.started_at, remedy)
        failed = [state for state in failed if state is not newest]
    if failed:
        what = f"The newest runs of {_count(len(failed), 'partition')} failed: {_some([s.partition for s in failed])}."
        yield Finding("degraded", f"{what}{gone}", since, run)


def _of_time(source: Source, facts: Facts, now: datetime) -> Iterator[Finding]:
    if isinstance(source.trigger, Cron) and (due := _not_served(CronTimes(source.trigger), facts, now)) is not None:
        why = f"No run has succeeded since {due:%Y-%m-%d %H:%M} UTC, when its trigger was due."
        yield Finding("late", why, due, f"etl-assets run {source.name}")
    loaded = facts.loaded_at
    if source.freshness is not None and (loaded is None or now - loaded > source.freshness):
        age = "was never loaded" if loaded is None else f"was loaded {_words(now - loaded)} ago"
        since = None if loaded is None else loaded + source.freshness
        why = f"It {age}; its freshness is {_words(source.freshness)}."
        yield Finding("late", why, since, f"etl-assets run {source.name}")


def _not_served(times: CronTimes, facts: Facts, now: datetime) -> datetime | None:
    """Return the last time of a trigger, `GRACE` ago or more, since which no run succeeded or is in progress."""
    due = times.before(now - GRACE)
    starts = [s.started_at for s in facts.partitions if s.status == "succeeded" and s.started_at is not None]
    served = max([*starts, *([facts.loaded_at] if facts.loaded_at else [])], default=None)
    if facts.under_way_since is not None and facts.under_way_since >= due:
        return None
    return due if served is None or served < due else None


def _of_partitions(
    source: Source, missing: Sequence[str], stale: Sequence[str], unfinished: Sequence[str]
) -> Iterator[Finding]:
    run = f"etl-assets run {source.name}"
    if missing:
        are = _verb(len(missing), "is", "are")
        yield Finding("degraded", f"{_count(len(missing), 'partition')} {are} missing: {_some(missing)}.", None, run)
    if stale:
        which = f" ({_some(stale)})" if any(stale) else ""
        why = (
            f"{_count(len(stale), 'partition')} to reload{which}: the declaration or a correction changed, or another "
            "delivery changed rows that may be here too."
        )
        yield Finding("degraded", why, None, run)
    if unfinished:
        which = f": {_some(unfinished)}" if any(unfinished) else ""
        has = _verb(len(unfinished), "has", "have")
        why = f"{_count(len(unfinished), 'partition')} {has} a delivery that no run has loaded to its end{which}."
        yield Finding("degraded", why, None, run)


def _of_records(source: Source, facts: Facts) -> Iterator[Finding]:
    since = None if facts.waiting_since is None else datetime.fromtimestamp(facts.waiting_since, UTC)
    if facts.open:
        why = f"{_count(facts.open, 'record')} in the quarantine {_verb(facts.open, 'waits', 'wait')} for a person."
        yield Finding("degraded", why, since, f"etl-assets quarantine list --source {source.name}")
    if facts.parked:
        why = f"{_count(facts.parked, 'record')} in the quarantine {_verb(facts.parked, 'waits', 'wait')} for a parent."
        yield Finding("degraded", why, since, f"etl-assets quarantine list --source {source.name} --status parked")


def _of_checks(source: Source, facts: Facts, checks: Sequence[FailedCheck]) -> Iterator[Finding]:
    drift, alerts = facts.drift, facts.alerts
    if drift.number:
        are = _verb(drift.number, "is", "are")
        why = f"{_count(drift.number, 'change')} of what is published {are} open."
        yield Finding("degraded", why, drift.since, f"etl-assets drift list --source {source.name}")
    if checks:
        why = f"Checks failed in the newest verdict: {_some([check.name for check in checks])}."
        yield Finding("degraded", why, min(check.at for check in checks), f"etl-assets status {source.name}")
    if alerts.number:
        why = f"{_count(alerts.number, 'alert')} {_verb(alerts.number, 'is', 'are')} open."
        yield Finding("degraded", why, alerts.since, f"etl-assets alerts list --source {source.name}")


def _own_checks(source: Source, failed: Sequence[FailedCheck]) -> list[FailedCheck]:
    """Leave out checks of records and of drift: what waits and what is open says more, and changes when it is done."""
    others = {DRIFT, REJECTED_SHARE, *(name for rule in source.rules for name in (rule.name, rule.check))}
    return [check for check in failed if check.name not in others]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun if number == 1 else f'{noun}s'}"


def _verb(number: int, one: str, several: str) -> str:
    return one if number == 1 else several


def _some(names: Collection[str], most: int = 3) -> str:
    shown = ", ".join(list(names)[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _words(length: timedelta) -> str:
    """Return a length of time in its largest unit."""
    seconds = int(length.total_seconds())
    for size, noun in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return _count(seconds // size, noun)
    return _count(seconds, "second")
