"""Monitor the numbers of deliveries: conclude their profiles, and compare them with the deliveries before.

An anomaly only fails a check. The rows keep every rule, and an anomalous number may be true. Module
`history_statistics` decides what a number is compared with.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Final

from etl_assets.model.check_result import CheckResult
from etl_assets.model.checks import DISTRIBUTION, VOLUME
from etl_assets.model.level_change import Levels
from etl_assets.model.partitions import Periods
from etl_assets.postgres.faults import translating
from etl_assets.postgres.watch import baselines, profiles
from etl_assets.watch import cell_samples, drift
from etl_assets.watch.anomaly import Order, Profiled, check_distribution, check_volume
from etl_assets.watch.history_statistics import Point
from etl_assets.watch.profiles import merge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.model.delivery import Delivery
    from etl_assets.model.monitors import Distribution, Monitors
    from etl_assets.model.profile import ColumnProfile
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.watch.profiles import EarlierDelivery
    from etl_assets.source import Source
    from etl_assets.watch.anomaly import Baselines, Findings

_MOST_SHOWN: Final = 10
"""Maximum number of anomalous numbers in a description; the facts have all of them."""


def checks_of(source: Source) -> dict[str, str]:
    """Return the checks that a source's monitors make: check name to a description of the passing state."""
    checks = {}
    if source.monitors.volume is not None:
        checks[VOLUME] = "The delivery has about as many records as those before it."
    if _watched(source.monitors, source.schema.names):
        checks[DISTRIBUTION] = "The values of every column are distributed as in the deliveries before it."
    return checks


def conclude(connection: Connection, source: Source, delivery: Delivery) -> tuple[ColumnProfile, ...]:
    """Merge the parts of a complete delivery into profiles, compare its cells for drift, and delete the parts.

    Repeated calls are safe: when no part is left, the call does nothing. If a batch of the delivery has no part, no
    profile is written, because a profile of only some batches would be wrong.

    Args:
        connection: To the warehouse.
        source: The declaration under which the delivery was loaded.
        delivery: Only its id must be up to date.

    Returns:
        The profiles that were written; empty when there was nothing to do.

    Raises:
        LoadError: If the database broke off. The parts are kept, and the next call merges them.
    """
    with translating(f"adding up the profiles of {delivery}"), connection.transaction():
        return _conclude(connection, source, delivery)


def _conclude(connection: Connection, source: Source, delivery: Delivery) -> tuple[ColumnProfile, ...]:
    """Do the work of `conclude` inside a transaction."""
    parts = profiles.claim(connection, delivery, source.fingerprint)
    if parts is None or not parts.written:
        return ()
    merged: tuple[ColumnProfile, ...] = ()
    if parts.written == parts.batches:
        statistics, cells = profiles.read_parts(connection, delivery, parts)
        merged = merge(source.schema, statistics)
        profiles.replace(connection, delivery, merged)
        drift.observe_cells(connection, source, delivery, cell_samples.merge(cells))
    profiles.drop_parts(connection, delivery)
    return merged


def examine(connection: Connection, source: Source, delivery: Delivery) -> tuple[CheckResult, ...]:
    """Compare a complete delivery with the deliveries before it.

    If the source has partitions, these are the newest deliveries of the earlier partitions.

    Args:
        connection: To the warehouse; nothing is written.
        source: The declaration, with its monitors.
        delivery: A concluded delivery.

    Returns:
        The result of each check of `checks_of`, in that order.
    """
    monitors = source.monitors
    watched = _watched(monitors, source.schema.names)
    limit = max([one.history for one in watched] + ([monitors.volume.history] if monitors.volume else []), default=0)
    earlier = profiles.find_earlier(connection, delivery, limit, partitioned=source.partitions is not None)
    accepted: Baselines = {
        (each.column, each.statistic): Order(each.rank, each.delivery_id)
        for each in baselines.find(connection, source.name)
    }
    is_late = source.partitions is not None and baselines.is_late(connection, delivery)
    results: list[CheckResult] = []
    if monitors.volume is not None:
        records = Point(delivery.manifest.records, _day(source, delivery))
        history = [Point(past.records, _day(source, past)) for past in earlier]
        orders = [*(Order(past.rank, past.id) for past in earlier), Order(delivery.rank, delivery.id)]
        results.append(check_volume(records, history, monitors.volume, orders, accepted))
    if watched:
        results.append(_examine_columns(connection, source, delivery, earlier, accepted))
    may_open = not is_late or delivery.generation == 1
    return tuple(
        replace(result, levels=tuple(replace(levels, is_late=is_late, may_open=may_open) for levels in result.levels))
        for result in results
    )


def _examine_columns(
    connection: Connection,
    source: Source,
    delivery: Delivery,
    earlier: Sequence[EarlierDelivery],
    accepted: Baselines,
) -> CheckResult:
    numbers = profiles.find_profiles(connection, [*(past.id for past in earlier), delivery.id])

    now = Profiled(numbers.get(delivery.id, {}), _day(source, delivery), Order(delivery.rank, delivery.id))
    history = [
        Profiled(numbers[past.id], _day(source, past), Order(past.rank, past.id))
        for past in earlier
        if past.id in numbers
    ]
    found = check_distribution(source.schema, now, history, source.monitors, accepted)
    new = {fact.column for fact in found.comparisons if fact.anomalous and not fact.since}
    new |= {name for change in found.changes if change.swapped_with for name in (change.column, change.swapped_with)}
    return CheckResult(
        DISTRIBUTION,
        passed=not new,
        description=_describe(now.columns, found, len(history)),
        failed_records=len(new),
        records=delivery.manifest.records,
        facts=tuple(
            dict(vars(fact)) for fact in sorted(found.comparisons, key=lambda fact: (not fact.anomalous, fact.since))
        ),
        levels=(Levels(DISTRIBUTION, delivery.id, found.changes, found.settled),),
    )


def _describe(columns: Mapping[str, ColumnProfile], found: Findings, history: int) -> str:
    """Describe in words the comparisons of a delivery's columns: swapped columns first, then what is new."""
    swaps = [change for change in found.changes if change.swapped_with]
    swapped = {name for change in swaps for name in (change.column, change.swapped_with)}
    anomalous = [fact for fact in found.comparisons if fact.anomalous and fact.column not in swapped]
    new = [str(fact) for fact in anomalous if not fact.since]
    known = [f"{fact.statistic} of {fact.column} since delivery {fact.since}" for fact in anomalous if fact.since]
    before = "1 profiled delivery" if history == 1 else f"{history} profiled deliveries"
    if not columns:
        return "The delivery has no profile: it has no records, or was loaded before profiles were kept."
    if not found.comparisons:
        return f"Too little history to compare: {before} before it."
    at_level = f"At a level that was reported: {_first(known)}." if known else ""
    if new:
        news = f"{_first(new)} ({before} before it)."
    elif swaps:
        news = f"({before} before it.)"
    else:
        compared = len({fact.column for fact in found.comparisons if not fact.anomalous})
        usual = f"{'1 column is' if compared == 1 else f'{compared} columns are'} as usual"
        news = f"{usual} ({before} before it)." if not known else f"Nothing else is new ({before} before it)."
    sentences = [*(change.text for change in swaps), *([at_level, news] if not new else [news, at_level])]
    return " ".join(filter(None, sentences))


def _first(texts: Sequence[str]) -> str:
    more = f"; and {len(texts) - _MOST_SHOWN} more" if len(texts) > _MOST_SHOWN else ""
    return f"{'; '.join(texts[:_MOST_SHOWN])}{more}"


def _watched(monitors: Monitors, names: Sequence[str]) -> list[Distribution]:
    """Return the thresholds of the watched columns."""
    return [thresholds for name in names if (thresholds := monitors.of(name)) is not None]


def _day(source: Source, delivery: Delivery | EarlierDelivery) -> date | None:
    """Return a delivery's day: of its partition, or of its fetch if there are no partitions; None if unknown."""
    if source.partitions is None:
        return delivery.fetched_at.date()
    if not isinstance(source.partitions, Periods):
        return None
    try:
        return date.fromisoformat(delivery.partition)
    except ValueError:  # from a time when the source had other partitions
        return None
