"""The asset checks of a source: one for each declared rule, and those that every source has.

A check says what the ledger and the tables hold; nothing is read again to find out. What a check does to a run is
decided in `assets`.
"""

from __future__ import annotations

import warnings
from collections import Counter
from typing import TYPE_CHECKING

import dagster as dg

from etl_assets import watch
from etl_assets.graph.assets.metadata import broken_rules
from etl_assets.graph.keys import core_key, landing_key
from etl_assets.model.check_result import CheckResult
from etl_assets.model.checks import CONSERVATION, DRIFT, REJECTED_SHARE, SHAPE
from etl_assets.model.counts import Counts
from etl_assets.postgres.ledger.conservation import conservation
from etl_assets.postgres.runs.asset_metadata import sample_places

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.load import LoadReport
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.source import Source


def landing_specs(source: Source, partitions: dg.PartitionsDefinition[str] | None) -> list[dg.AssetCheckSpec]:
    """The checks of ``landing/x``."""
    about = "Every required column is in the delivery; if not, the delivery is refused and nothing is written."
    return [spec(SHAPE, landing_key(source.name), about, partitions, blocking=True)]


def core_specs(source: Source, partitions: dg.PartitionsDefinition[str] | None) -> list[dg.AssetCheckSpec]:
    """The checks of ``core/x``: the declared rules first, in their order."""
    key = core_key(source.name)
    specs = [spec(rule.name, key, rule.words, partitions) for rule in source.rules]
    share = f"At most {source.max_rejected:.2%} of a delivery's records are rejected; above it the run stops."
    specs.append(spec(REJECTED_SHARE, key, share, partitions, blocking=True))
    sums = "Every record of the delivery is in the table, in the quarantine or in a named count, and the sums agree."
    specs.append(spec(CONSERVATION, key, sums, partitions, blocking=True))
    watched = {DRIFT: "What is published has not changed, but for what was accepted, ignored or declared."}
    specs += [spec(name, key, about, partitions) for name, about in {**watched, **watch.checks_of(source)}.items()]
    return specs


def loaded_results(source: Source, connection: Connection, reports: Sequence[LoadReport]) -> list[CheckResult]:
    """What the checks of ``core/x`` say of deliveries that were loaded.

    Args:
        source: The declaration.
        connection: To the warehouse.
        reports: One for each delivery, with the counts and rules of the whole delivery.
    """
    places = sample_places(connection, [report.delivery.id for report in reports])
    counts = sum((report.counts for report in reports), Counts())
    broken = [
        violation
        for report in reports
        for violation in conservation(connection, source.name, source.table, report.delivery)
    ]
    sums = "; ".join(dict.fromkeys(broken))
    return [
        *_rule_results(source, broken_rules(reports), counts.read, places),
        _share(source, counts.rejected, counts.read),
        CheckResult(
            CONSERVATION,
            passed=not broken,
            blocking=True,
            description=sums or "All sums agree.",
            records=counts.read,
        ),
        drift_result(source, connection, counts.read),
        *_monitored(source, connection, [report.delivery for report in reports]),
    ]


def drift_result(source: Source, connection: Connection, records: int) -> CheckResult:
    """What the check ``drift`` of ``core/x`` says: whether changes are open, whichever delivery brought them.

    Args:
        source: The declaration.
        connection: To the warehouse.
        records: Of the delivery at hand.
    """
    events = watch.open_events(connection, source.name)
    kinds = Counter(event.change.kind for event in events)
    told = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
    remedy = f"Look with `etl-assets drift list --source {source.name}`; then declare, accept or ignore them."
    return CheckResult(
        DRIFT,
        passed=not events,
        description=f"Open changes of what is published: {told}. {remedy}" if events else "No change is open.",
        records=records,
        facts=tuple(watch.facts(events)),
    )


def refused_results(
    source: Source, rejected: int, rules: Mapping[str, int], records: int, places: Mapping[str, Sequence[str]]
) -> list[CheckResult]:
    """What the checks of ``core/x`` say of a delivery that was refused.

    Args:
        source: The declaration.
        rejected: How many records were rejected until the run stopped.
        rules: How many records broke each rule until then.
        records: Of the whole delivery.
        places: Where the first of them stand, of the batches that were written.
    """
    return [
        *(result for result in _rule_results(source, rules, records, places) if not result.passed),
        _share(source, rejected, records),
    ]


def _monitored(source: Source, connection: Connection, deliveries: Sequence[Delivery]) -> list[CheckResult]:
    """What the monitors say of deliveries: of each monitor one result, which passes when all do."""
    found = [result for delivery in deliveries for result in watch.examine(connection, source, delivery)]
    return [_together([result for result in found if result.name == name]) for name in watch.checks_of(source)]


def _together(results: Sequence[CheckResult]) -> CheckResult:
    """Results of one check for several deliveries as one: those that failed, or the last if none did."""
    failed = [result for result in results if not result.passed]
    shown = failed or results[-1:]
    return CheckResult(
        results[0].name,
        passed=not failed,
        description=" ".join(result.description for result in shown),
        failed_records=sum(result.failed_records for result in results),
        records=sum(result.records for result in results),
        facts=tuple(fact for result in shown for fact in result.facts),
    )


def _rule_results(
    source: Source, rules: Mapping[str, int], records: int, places: Mapping[str, Sequence[str]]
) -> list[CheckResult]:
    return [
        CheckResult(
            rule.name,
            passed=not (broken := rules.get(rule.name, 0)),
            description=f"{broken} of {records} records break it." if broken else "",
            failed_records=broken,
            records=records,
            by_consent=rule.by_consent,
            places=tuple(places.get(rule.name, ())),
        )
        for rule in source.rules
    ]


def _share(source: Source, rejected: int, records: int) -> CheckResult:
    consent = int(source.max_rejected * records)
    return CheckResult(
        REJECTED_SHARE,
        passed=rejected <= consent,
        blocking=True,
        description=f"{rejected} of {records} records are rejected; max_rejected={source.max_rejected} consents to "
        f"{consent}.",
        failed_records=rejected,
        records=records,
    )


def spec(
    name: str,
    key: dg.AssetKey,
    about: str,
    partitions: dg.PartitionsDefinition[str] | None,
    *,
    blocking: bool = False,
) -> dg.AssetCheckSpec:
    """A check with the partitions of its asset.

    Without them the newest result of any partition would stand for all of them, and a bad partition would be released
    by a good one that came after it. Dagster calls that argument a preview; its warning is for whoever wrote it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(name, asset=key, description=about, blocking=blocking, partitions_def=partitions)
