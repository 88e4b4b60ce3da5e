"""Watches the numbers of deliveries: concludes their profiles, and holds them against those before.

An anomaly is a failed check and nothing more: the rows keep every rule, and an anomalous number may be true. What a
number is compared with is `history_statistics`'s business.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Final

from etl_assets.model.check_result import CheckResult
from etl_assets.model.checks import DISTRIBUTION, VOLUME
from etl_assets.model.partitions import Periods
from etl_assets.postgres.faults import translating
from etl_assets.postgres.watch import profiles
from etl_assets.watch import cell_samples, drift
from etl_assets.watch.anomaly import Profiled, check_distribution, check_volume
from etl_assets.watch.history_statistics import Point
from etl_assets.watch.profiles import merge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.model.comparison import Comparison
    from etl_assets.model.delivery import Delivery
    from etl_assets.model.monitors import Distribution, Monitors
    from etl_assets.model.profile import ColumnProfile
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.watch.profiles import Earlier
    from etl_assets.source import Source

_TOLD: Final = 10
"""So many anomalous numbers are told in a description; the facts have all."""


def checks_of(source: Source) -> dict[str, str]:
    """The checks that a source's monitors make, and what each asks."""
    asked = {}
    if source.monitors.volume is not None:
        asked[VOLUME] = "The delivery has about as many records as those before it."
    if _watched(source.monitors, source.schema.names):
        asked[DISTRIBUTION] = "The values of every column are distributed as in the deliveries before it."
    return asked


def conclude(connection: Connection, source: Source, delivery: Delivery) -> tuple[ColumnProfile, ...]:
    """Add up what the batches of a complete delivery held: make its profiles, look for drift, let go of the parts.

    It is done once, whoever calls it how often: where no part is left, nothing is done. A delivery of which a batch
    left no part has no profile, for a profile of some of it would be wrong.

    Args:
        connection: To the warehouse.
        source: The declaration under which the delivery was loaded.
        delivery: Of which nothing but the id need be up to date.

    Returns:
        The profiles that were written; none when there was nothing to do.

    Raises:
        LoadError: If the database broke off; the parts stay, and are added up when it is called again.
    """
    with translating(f"adding up the profiles of {delivery}"), connection.transaction():
        return _conclude(connection, source, delivery)


def _conclude(connection: Connection, source: Source, delivery: Delivery) -> tuple[ColumnProfile, ...]:
    """The same, in a transaction."""
    found = profiles.claim(connection, delivery, source.fingerprint)
    if found is None or not found.written:
        return ()
    made: tuple[ColumnProfile, ...] = ()
    if found.written == found.batches:
        made = merge(source.schema, profiles.parts(connection, delivery, found.generation))
        profiles.replace(connection, delivery, made)
        cells = profiles.cells(connection, delivery, found.generation)
        drift.observe_cells(connection, source, delivery, cell_samples.merge(cells))
    profiles.drop_parts(connection, delivery)
    return made


def examine(connection: Connection, source: Source, delivery: Delivery) -> tuple[CheckResult, ...]:
    """Hold a complete delivery against those before it.

    Of a source with partitions those are the newest deliveries of the partitions before its own.

    Args:
        connection: To the warehouse; it is only read.
        source: The declaration, with its monitors.
        delivery: That was concluded.

    Returns:
        What each check of `checks_of` found, in that order.
    """
    monitors = source.monitors
    watched = _watched(monitors, source.schema.names)
    limit = max([one.history for one in watched] + ([monitors.volume.history] if monitors.volume else []), default=0)
    earlier = profiles.earlier(connection, delivery, limit, partitioned=source.partitions is not None)
    found: list[CheckResult] = []
    if monitors.volume is not None:
        records = Point(delivery.manifest.records, _day(source, delivery))
        history = [Point(one.records, _day(source, one)) for one in earlier]
        found.append(check_volume(records, history, monitors.volume))
    if watched:
        found.append(_examine_columns(connection, source, delivery, earlier))
    return tuple(found)


def _examine_columns(
    connection: Connection, source: Source, delivery: Delivery, earlier: Sequence[Earlier]
) -> CheckResult:
    numbers = profiles.numbers(connection, [*(one.id for one in earlier), delivery.id])
    now = Profiled(numbers.get(delivery.id, {}), _day(source, delivery))
    history = [Profiled(numbers[one.id], _day(source, one)) for one in earlier if one.id in numbers]
    comparisons = check_distribution(source.schema, now, history, source.monitors)
    anomalous = {each.column for each in comparisons if each.anomalous}
    return CheckResult(
        DISTRIBUTION,
        passed=not anomalous,
        description=_described(now.columns, comparisons, len(history)),
        failed_records=len(anomalous),
        records=delivery.manifest.records,
        facts=tuple(asdict(each) for each in sorted(comparisons, key=lambda each: not each.anomalous)),
    )


def _described(columns: Mapping[str, ColumnProfile], comparisons: Sequence[Comparison], history: int) -> str:
    """What is said of the columns of a delivery, in words."""
    anomalous = [str(each) for each in comparisons if each.anomalous]
    before = "1 profiled delivery" if history == 1 else f"{history} profiled deliveries"
    if not columns:
        return "The delivery has no profile: it has no records, or was loaded before profiles were kept."
    if not comparisons:
        return f"Too little is known to say anything: {before} before it."
    if not anomalous:
        compared = len({each.column for each in comparisons})
        return f"{'1 column is' if compared == 1 else f'{compared} columns are'} as usual ({before} before it)."
    more = f"; and {len(anomalous) - _TOLD} more" if len(anomalous) > _TOLD else ""
    return f"{'; '.join(anomalous[:_TOLD])}{more} ({before} before it)."


def _watched(monitors: Monitors, names: Sequence[str]) -> list[Distribution]:
    """The thresholds of the columns that are watched."""
    return [thresholds for name in names if (thresholds := monitors.of(name)) is not None]


def _day(source: Source, delivery: Delivery | Earlier) -> date | None:
    """The day that a delivery is of: of its partition, or on which it was fetched; None where neither tells."""
    if source.partitions is None:
        return delivery.fetched_at.date()
    if not isinstance(source.partitions, Periods):
        return None
    try:
        return date.fromisoformat(delivery.partition)
    except ValueError:  # of a time when the source had other partitions
        return None
