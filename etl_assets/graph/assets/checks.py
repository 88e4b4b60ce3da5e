"""The asset checks of a source: one for each declared rule, and those that every source has.

A check says what the ledger and the tables hold; nothing is read again to find out. What a check does to a run is
decided in `assets`.
"""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import dagster as dg

from etl_assets import watch
from etl_assets.graph.assets.metadata import broken_rules
from etl_assets.graph.keys import core_key, landing_key
from etl_assets.model.batch import RECORD_RULES, Counts
from etl_assets.model.checks import CONSERVATION, DRIFT, REJECTED_SHARE, SHAPE
from etl_assets.postgres.ledger.conservation import conservation
from etl_assets.postgres.runs.asset_metadata import sample_places
from etl_assets.postgres.runs.history import CheckRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.load import LoadReport
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.source import Source


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        name: Of the check.
        passed: Whether all is well.
        blocking: Whether the run must fail if it is not.
        description: In words; no record contents.
        failed_records: How many records are concerned.
        records: Of how many.
        places: Where the first of them stand.
        facts: What was looked at, as rows of a table; see `facts_table`.
        of_records: Whether single records can break it.
    """

    name: str
    passed: bool
    blocking: bool = False
    description: str = ""
    failed_records: int = 0
    records: int = 0
    places: tuple[str, ...] = ()
    facts: tuple[Mapping[str, str | int | bool], ...] = ()
    of_records: bool = True

    @property
    def row(self) -> CheckRow:
        """As it stands in ``etl.check_result``."""
        return CheckRow(self.name, self.passed, self.blocking, self.description, self.failed_records, self.records)

    @property
    def severity(self) -> dg.AssetCheckSeverity:
        """ERROR where the run must fail, WARN where records were rejected by consent."""
        return dg.AssetCheckSeverity.ERROR if self.blocking else dg.AssetCheckSeverity.WARN

    @property
    def metadata(self) -> dict[str, dg.MetadataValue]:
        """Numbers and places."""
        found: dict[str, dg.MetadataValue] = {"records read": dg.MetadataValue.int(self.records)}
        if self.of_records:
            found["broken by"] = dg.MetadataValue.int(self.failed_records)
        if self.places:
            found["first of them"] = dg.MetadataValue.md("\n".join(f"* {place}" for place in self.places))
        if self.facts:
            found["facts"] = facts_table(self.facts)
        return found

    def result(self) -> dg.AssetCheckResult:
        """For a step that ends well, or by this result."""
        return dg.AssetCheckResult(
            check_name=self.name,
            passed=self.passed,
            severity=self.severity,
            description=self.description or None,
            metadata=self.metadata,
        )

    def evaluation(self, key: dg.AssetKey, partition: str | None) -> dg.AssetCheckEvaluation:
        """For a step that fails by an error of its own."""
        return dg.AssetCheckEvaluation(
            asset_key=key,
            check_name=self.name,
            passed=self.passed,
            severity=self.severity,
            description=self.description or None,
            metadata=self.metadata,
            blocking=self.blocking,
            partition=partition,
        )


def landing_specs(source: Source, partitions: dg.PartitionsDefinition[str] | None) -> list[dg.AssetCheckSpec]:
    """The checks of ``landing/x``."""
    about = "Every required column is in the delivery; if not, the delivery is refused and nothing is written."
    return [spec(SHAPE, landing_key(source.name), about, partitions, blocking=True)]


def core_specs(source: Source, partitions: dg.PartitionsDefinition[str] | None) -> list[dg.AssetCheckSpec]:
    """The checks of ``core/x``: the declared rules first, in their order."""
    key = core_key(source.name)
    specs = [spec(name, key, words, partitions) for name, words in rules_of(source).items()]
    share = f"At most {source.max_rejected:.2%} of a delivery's records are rejected; above it the run stops."
    specs.append(spec(REJECTED_SHARE, key, share, partitions, blocking=True))
    sums = "Every record of the delivery is in the table, in the quarantine or in a named count, and the sums agree."
    specs.append(spec(CONSERVATION, key, sums, partitions, blocking=True))
    watched = {DRIFT: "What is published has not changed, but for what was accepted, ignored or declared."}
    specs += [spec(name, key, about, partitions) for name, about in {**watched, **watch.checks_of(source)}.items()]
    return specs


def rules_of(source: Source) -> dict[str, str]:
    """Every rule that a record of a source can break, and what it asks."""
    return {**source.schema.rules, **RECORD_RULES}


def judge(source: Source, connection: Connection, reports: Sequence[LoadReport]) -> list[Finding]:
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
        *_rule_findings(source, broken_rules(reports), counts.read, places),
        _share(source, counts.rejected, counts.read),
        Finding(CONSERVATION, not broken, True, sums or "All sums agree.", 0, counts.read),  # noqa: FBT003 -- blocking
        judge_drift(source, connection, counts.read),
        *_monitored(source, connection, [report.delivery for report in reports]),
    ]


def judge_drift(source: Source, connection: Connection, records: int) -> Finding:
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
    return Finding(
        name=DRIFT,
        passed=not events,
        description=f"Open changes of what is published: {told}. {remedy}" if events else "No change is open.",
        records=records,
        facts=tuple(watch.facts(events)),
        of_records=False,
    )


def judge_refused(
    source: Source, rejected: int, rules: Mapping[str, int], records: int, places: Mapping[str, Sequence[str]]
) -> list[Finding]:
    """What the checks of ``core/x`` say of a delivery that was refused.

    Args:
        source: The declaration.
        rejected: How many records were rejected until the run stopped.
        rules: How many records broke each rule until then.
        records: Of the whole delivery.
        places: Where the first of them stand, of the batches that were written.
    """
    return [
        *(finding for finding in _rule_findings(source, rules, records, places) if not finding.passed),
        _share(source, rejected, records),
    ]


def _monitored(source: Source, connection: Connection, deliveries: Sequence[Delivery]) -> list[Finding]:
    """What the monitors say of deliveries: of each monitor one finding, which passes when all do."""
    found = [one for delivery in deliveries for one in watch.examine(connection, source, delivery)]
    findings = []
    for name in watch.checks_of(source):
        of_name = [one for one in found if one.name == name]
        strange = [one for one in of_name if not one.passed]
        findings.append(
            Finding(
                name=name,
                passed=not strange,
                description=" ".join(one.description for one in strange or of_name[-1:]),
                records=sum(one.records for one in of_name),
                facts=tuple(
                    asdict(fact)
                    for one in strange or of_name[-1:]
                    for fact in sorted(one.facts, key=lambda fact: not fact.strange)
                ),
                of_records=False,
            )
        )
    return findings


def _rule_findings(
    source: Source, rules: Mapping[str, int], records: int, places: Mapping[str, Sequence[str]]
) -> list[Finding]:
    findings = []
    for name in rules_of(source):
        broken = rules.get(name, 0)
        told = f"{broken} of {records} records break it." if broken else ""
        findings.append(Finding(name, not broken, False, told, broken, records, tuple(places.get(name, ()))))  # noqa: FBT003
    return findings


def _share(source: Source, rejected: int, records: int) -> Finding:
    consent = int(source.max_rejected * records)
    told = f"{rejected} of {records} records are rejected; max_rejected={source.max_rejected} consents to {consent}."
    return Finding(REJECTED_SHARE, rejected <= consent, True, told, rejected, records)  # noqa: FBT003 -- blocking


def facts_table(facts: Sequence[Mapping[str, str | int | bool]]) -> dg.TableMetadataValue:
    """Rows that all have the same columns, as a table: a column of texts, numbers or truths for each name."""
    types = {str: "string", int: "int", bool: "bool"}
    columns = [dg.TableColumn(name, types[type(value)]) for name, value in facts[0].items()]
    records = [dg.TableRecord(dict(fact)) for fact in facts]
    return dg.MetadataValue.table(records, dg.TableSchema(columns=columns))


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
