"""The asset checks of a source: one for each column, one for records, one for each rule of one's own, and the built-in.

The results come from the ledger and the tables; no delivery is read again. Module `source_assets` decides what a result
does to a run.
"""

from __future__ import annotations

import warnings
from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import dagster as dg

from etl_assets import watch
from etl_assets.graph.assets.check_results import in_order
from etl_assets.graph.assets.metadata import broken_rules
from etl_assets.graph.keys import core_key, landing_key
from etl_assets.model.check_result import CheckResult
from etl_assets.model.checks import CONSERVATION, DELETIONS, DRIFT, KEYS_AT_SOURCE, REJECTED_SHARE, SHAPE
from etl_assets.model.counts import Counts
from etl_assets.postgres.ledger import entries
from etl_assets.postgres.ledger.conservation import conservation
from etl_assets.postgres.runs.asset_metadata import sample_places

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.errors import DeliveryError
    from etl_assets.load import LoadReport
    from etl_assets.model.delivery import Delivery
    from etl_assets.model.rule import RuleInfo
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.key_comparisons import Comparison
    from etl_assets.source import Source

_MOST_FACTS: Final = 100
"""The check ``drift`` shows so many open changes, the newest; the command ``drift list`` shows all."""


def landing_specs(source: Source, partitions: dg.PartitionsDefinition[str] | None) -> list[dg.AssetCheckSpec]:
    """Return the checks of ``landing/x``."""
    about = "All required columns, and at least one, are in the delivery; if not, it is refused and nothing is written."
    return [spec(SHAPE, landing_key(source.name), about, partitions, blocking=True)]


def core_specs(source: Source, partitions: dg.PartitionsDefinition[str] | None) -> list[dg.AssetCheckSpec]:
    """Return the checks of ``core/x``: those that block a run first, then those of rules in their order."""
    key = core_key(source.name)
    specs = []
    share = f"At most {source.max_rejected:.2%} of a delivery's records are rejected; above it the run stops."
    specs.append(spec(REJECTED_SHARE, key, share, partitions, blocking=True))
    sums = "Every record of the delivery is in the ledger, the rejected ones in the quarantine, and the sums agree."
    specs.append(spec(CONSERVATION, key, sums, partitions, blocking=True))
    for check, rules in _by_check(source).items():
        specs.append(spec(check, key, f"{'; '.join(rule.words for rule in rules)}.", partitions))
    if (keys := source.extractor.compares_keys) is not None:
        about = (
            f"At most {keys.max_absent:.2%} of the rows lost their key at the source between two comparisons of keys."
        )
        specs.append(spec(KEYS_AT_SOURCE, key, about, partitions))
    if source.write.deletes:
        gone = source.write.gone_rows_are
        about = f"Every row that the newest delivery no longer has is {gone}, and no other table refers to one."
        specs.append(spec(DELETIONS, key, about, partitions))
    watched = {DRIFT: "What is published has not changed, except for changes that were accepted, ignored or declared."}
    specs += [spec(name, key, about, partitions) for name, about in {**watched, **watch.checks_of(source)}.items()]
    return specs


def loaded_results(source: Source, connection: Connection, reports: Sequence[LoadReport]) -> list[CheckResult]:
    """Return the results of the checks of ``core/x`` for deliveries that were loaded.

    Args:
        source: The declaration.
        connection: Connection to the warehouse.
        reports: One for each delivery, with the counts and rules of the whole delivery.
    """
    places = sample_places(connection, [report.delivery.id for report in reports])
    counts = sum((report.counts for report in reports), Counts())
    loaded = [report.delivery for report in reports]
    return [
        *_rule_results(source, broken_rules(reports), counts.read, places),
        _rejected_share(source, loaded, counts.rejected, counts.read),
        _conservation_result(connection, loaded, counts.read),
        *_deletions_results(source, connection, loaded[-1]),
        drift_result(source, connection, counts.read),
        *_monitor_results(source, connection, loaded),
    ]


def blocking_results(source: Source, connection: Connection, delivery: Delivery) -> list[CheckResult]:
    """Return the results of the blocking checks of ``core/x`` for a complete delivery, from the ledger as it is now."""
    counts, _ = entries.sum_entries(entries.find_all(connection, delivery))
    return [
        _rejected_share(source, [delivery], counts.rejected, counts.read),
        _conservation_result(connection, [delivery], counts.read),
    ]


def drift_result(source: Source, connection: Connection, records: int) -> CheckResult:
    """Return the result of the check ``drift`` of ``core/x``. It fails while a change of any delivery is open.

    Args:
        source: The declaration.
        connection: Connection to the warehouse.
        records: Number of records of the present delivery.
    """
    events = watch.open_events(connection, source.name)
    numbers = Counter(event.change.kind for event in events)
    kinds = ", ".join(f"{number} {kind}" for kind, number in numbers.items())
    remedy = f"List them with `etl-assets drift list --source {source.name}`; then declare, accept or ignore them."
    return CheckResult(
        DRIFT,
        passed=not events,
        description=f"Open changes of what is published: {kinds}. {remedy}" if events else "No change is open.",
        records=records,
        facts=tuple(watch.facts(events[-_MOST_FACTS:])),
    )


def keys_result(source: Source, comparison: Comparison) -> CheckResult:
    """Return the result of the check ``keys_at_source`` of ``core/x`` for the newest comparison of keys."""
    at = f"{comparison.began_at:%Y-%m-%d %H:%M} UTC"
    numbers = f"{comparison.keys:,} keys were listed at {at}"
    if comparison.concluded:
        description = (
            f"{numbers}. Newly absent: {comparison.newly_absent:,} of {comparison.rows_compared:,} rows; back: "
            f"{comparison.returned:,}; absent in all: {comparison.absent:,}. They are the rows of {source.table} whose "
            "_delivery_id and _record_no are in etl.absent_at_source."
        )
    elif comparison.unreadable:
        description = (
            f"{numbers}, and {comparison.unreadable:,} of them are not written as declared, so that their rows would "
            "be missed. No row was entered as absent. Correct the declaration, or have the keys corrected."
        )
    else:
        description = (
            f"{numbers}, and {comparison.newly_absent:,} of {comparison.rows_compared:,} rows are newly absent, more "
            "than max_absent. None was entered: the listing may be incomplete. Ask the publisher; if they are gone, "
            f"raise max_absent, and run `etl-assets run {source.name} --full`."
        )
    unreadable = comparison.unreadable
    return CheckResult(
        KEYS_AT_SOURCE,
        passed=comparison.concluded,
        description=description,
        failed_records=unreadable or comparison.newly_absent,
        records=comparison.keys if unreadable else comparison.rows_compared,
    )


def keys_not_listed_result(error: DeliveryError) -> CheckResult:
    """Return the result of the check ``keys_at_source`` of ``core/x`` if the keys cannot be listed."""
    description = f"The keys were not compared; the next run tries again. {type(error).__name__}: {error}"
    return CheckResult(KEYS_AT_SOURCE, passed=False, description=description)


def refused_results(
    source: Source, delivery: Delivery, rejected: int, rules: Mapping[str, int], places: Mapping[str, Sequence[str]]
) -> list[CheckResult]:
    """Return the results of the checks of ``core/x`` for a delivery that was refused.

    Args:
        source: The declaration.
        delivery: The delivery.
        rejected: Number of records that were rejected until the run stopped.
        rules: Number of records that broke each rule until then.
        places: Places of the first of them, by rule, in the batches that were written.
    """
    records = delivery.manifest.records
    return [
        _rejected_share(source, [delivery], rejected, records),
        *_rule_results(source, rules, records, places, broken_alone=True),
    ]


def _conservation_result(connection: Connection, deliveries: Sequence[Delivery], records: int) -> CheckResult:
    violations = [violation for delivery in deliveries for violation in conservation(connection, delivery)]
    description = "; ".join(dict.fromkeys(violations)) or "All sums agree."
    return CheckResult(CONSERVATION, passed=not violations, blocking=True, description=description, records=records)


def _deletions_results(source: Source, connection: Connection, delivery: Delivery) -> list[CheckResult]:
    """Return the result of the check ``deletions`` for the newest delivery; none if its write mode deletes nothing."""
    if not source.write.deletes:
        return []
    completions = list(entries.find(connection, delivery, "completion").values())
    problems = source.write.explain(completions[-1].notes) if completions else []
    deleted = completions[-1].counts.deleted if completions else 0
    description = " ".join([f"{deleted:,} rows were {source.write.gone_rows_are}.", *problems])
    return [CheckResult(DELETIONS, passed=not problems, description=description, records=delivery.manifest.records)]


def _monitor_results(source: Source, connection: Connection, deliveries: Sequence[Delivery]) -> list[CheckResult]:
    """Return one result for each monitor; it passes if the monitor passes for all deliveries."""
    results = [result for delivery in deliveries for result in watch.examine(connection, source, delivery)]
    return [_merge([result for result in results if result.name == name]) for name in watch.checks_of(source)]


def _merge(results: Sequence[CheckResult]) -> CheckResult:
    """Merge the results of one check for several deliveries; show those that failed, or the last if none failed."""
    failed = [result for result in results if not result.passed]
    shown = failed or results[-1:]
    return CheckResult(
        results[0].name,
        passed=not failed,
        description=" ".join(result.description for result in shown),
        failed_records=sum(result.failed_records for result in results),
        records=sum(result.records for result in results),
        facts=tuple(fact for result in shown for fact in result.facts),
        levels=tuple(levels for result in results for levels in result.levels),
    )


def _rule_results(
    source: Source,
    numbers: Mapping[str, int],
    records: int,
    places: Mapping[str, Sequence[str]],
    *,
    broken_alone: bool = False,
) -> list[CheckResult]:
    """Return the results of the checks of rules; of the broken rules alone if the others are not known to be kept."""
    checks = []
    for check, rules in _by_check(source).items():
        results = [
            CheckResult.of_rule(
                rule.name,
                rule.words,
                numbers.get(rule.name, 0),
                records,
                by_consent=rule.by_consent,
                places=places.get(rule.name, ()),
            )
            for rule in rules
            if not broken_alone or numbers.get(rule.name, 0)
        ]
        if results:
            checks.append(results[0] if check == results[0].name else CheckResult.of_rules(check, results))
    return checks


def of_history(
    source: Source, results: Sequence[CheckResult], places: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> list[CheckResult]:
    """Return results of ``core/x`` as the history has them, one for each rule, as the results of its checks.

    Args:
        source: The declaration, under which they were entered.
        results: From the history, which does not keep places.
        places: Places of the first records that broke each rule.
    """
    names = {rule.name for rule in source.rules}
    numbers = {result.name: result.failed_records for result in results if result.name in names}
    records = max((result.records for result in results if result.name in names), default=0)
    others = [result for result in results if result.name not in names]
    return in_order([*_rule_results(source, numbers, records, places), *others])


def _by_check(source: Source) -> dict[str, list[RuleInfo]]:
    """Return the rules of a source by the name of the check that has them."""
    checks: dict[str, list[RuleInfo]] = {}
    for rule in source.rules:
        checks.setdefault(rule.check, []).append(rule)
    return checks


def _rejected_share(source: Source, deliveries: Sequence[Delivery], rejected: int, records: int) -> CheckResult:
    consent = sum(delivery.manifest.consent(source.max_rejected) for delivery in deliveries)
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
    """Return the specification of a check, with the partitions of its asset.

    Without partitions, the newest result of any partition would count for all of them, and a good partition would
    release a bad one before it. Dagster warns that the argument is a preview. The warning is for the author of this
    code, so it is suppressed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(name, asset=key, description=about, blocking=blocking, partitions_def=partitions)
