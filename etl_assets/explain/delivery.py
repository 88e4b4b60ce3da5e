"""Collects the stories of deliveries: what was fetched, how it was loaded, what came of it; no contents of records."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from etl_assets.explain.rights import Rights
from etl_assets.postgres.explain import stories as facts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Protocol

    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.explain.stories import AlertOf, Change, Check, Correction, Counts, Facts, Run

    class _OfDelivery(Protocol):
        @property
        def delivery_id(self) -> int: ...

    T = TypeVar("T", bound=_OfDelivery)


@dataclass(frozen=True)
class DeliveryStory:
    """The story of a delivery.

    Attributes:
        facts: The delivery, as it is entered.
        declared_as_now: Whether it was read under the declaration of today; None if its source is not declared.
        counts: What the ledger counts, by kind of entry.
        by_status: How many of its records are in the quarantine, by status.
        by_rule: How many broke each rule.
        runs: The runs that loaded it, the oldest first.
        changes: The changes of what is published that it opened or closed.
        alerts: The alerts about it.
        checks: The newest result of each check; those that failed first.
        deleted: How many rows were deleted because it no longer has their key; None if this role may not read it.
        corrections: How many of its records each person corrected.
        left_out: What this role may not read, as sentences.
    """

    facts: Facts
    declared_as_now: bool | None
    counts: list[Counts]
    by_status: dict[str, int]
    by_rule: dict[str, int]
    runs: list[Run]
    changes: list[Change]
    alerts: list[AlertOf]
    checks: list[Check]
    deleted: int | None
    corrections: list[Correction]
    left_out: list[str]

    @property
    def ingested(self) -> Counts | None:
        """What the ledger counts of its batches; None if none was loaded."""
        return next((each for each in self.counts if each.kind == "ingest"), None)

    @property
    def sums(self) -> list[str]:
        """The counts as equations, which add up."""
        equations = []
        for each in self.counts:
            if each.kind == "completion":
                continue
            what = "read" if each.kind == "ingest" else "replayed"
            equations.append(
                f"{each.read:,} {what} = {each.accepted:,} accepted + {each.rejected:,} rejected + "
                f"{each.filtered:,} filtered"
            )
            equations.append(
                f"{each.produced:,} rows = {each.inserted:,} inserted + {each.updated:,} updated + "
                f"{each.unchanged:,} unchanged + {each.duplicate:,} duplicate + {each.expired:,} expired"
            )
        return equations

    @property
    def problems(self) -> list[str]:
        """What does not add up, or is not done, as sentences; none if all is well."""
        found = [f"The counts of its {each.kind} do not add up." for each in self.counts if not each.add_up]
        ingested, facts_ = self.ingested, self.facts
        entries, read = (ingested.entries, ingested.read) if ingested else (0, 0)
        if facts_.status == "complete" and (entries, read) != (facts_.batches, facts_.records):
            found.append(
                f"The ledger has {entries} batches with {read:,} records; the delivery has {facts_.batches} with "
                f"{facts_.records:,}. Run `etl-assets doctor`."
            )
        if facts_.status == "loading":
            found.append(f"{entries} of {facts_.batches} batches are loaded; its next run goes on with the others.")
        if facts_.needs_reload or self.declared_as_now is False:
            found.append("It is to be reloaded; its next run does so.")
        return found


def stories(connection: Connection, ids: Sequence[int], fingerprints: dict[str, str]) -> list[DeliveryStory]:
    """Return the stories of deliveries, in the order of their ids; an id without a delivery is left out.

    Args:
        connection: To the warehouse, in autocommit. What its role may not read is left out.
        ids: Of the deliveries.
        fingerprints: Of the declarations of today, by the name of the source.
    """
    if not ids:
        return []
    rights = Rights()

    def read(what: str, query: Callable[[Connection, Sequence[int]], list[T]]) -> dict[int, list[T]]:
        return _by_delivery(rights.read(what, partial(query, connection, ids)) or ())

    counts, runs = read("Ledger (etl.batch)", facts.counts), read("Runs (etl.run)", facts.runs)
    by_status = read("Rejected records (etl.rejected)", facts.rejected_by_status)
    by_rule = read("Broken rules (etl.rejected)", facts.rejected_by_rule)
    changes, alerts = read("Changes (etl.drift)", facts.changes), read("Alerts (etl.alert)", facts.alerts)
    checks = read("Check results (etl.check_result)", facts.checks)
    corrections = read("Corrections and who made them (etl.rejected)", facts.corrections)
    before = len(rights.left_out)
    deleted = read("Deletions (etl.deletion)", facts.deleted)
    may_count = len(rights.left_out) == before
    return [
        DeliveryStory(
            each,
            each.fingerprint == fingerprints[each.source] if each.source in fingerprints and each.fingerprint else None,
            counts.get(each.id, []),
            {number.name: number.records for number in by_status.get(each.id, [])},
            {number.name: number.records for number in by_rule.get(each.id, [])},
            runs.get(each.id, []),
            changes.get(each.id, []),
            alerts.get(each.id, []),
            checks.get(each.id, []),
            sum(number.records for number in deleted.get(each.id, [])) if may_count else None,
            corrections.get(each.id, []),
            list(rights.left_out),
        )
        for each in facts.facts(connection, ids)
    ]


def _by_delivery(found: Iterable[T]) -> dict[int, list[T]]:
    by_delivery: dict[int, list[T]] = {}
    for each in found:
        by_delivery.setdefault(each.delivery_id, []).append(each)
    return by_delivery
