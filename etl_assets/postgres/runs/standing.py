"""The verdict that stands: of the newest delivery of a partition, if everything that a run does with it is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from etl_assets.model.check_result import CheckResult
from etl_assets.model.checks import CONSERVATION
from etl_assets.postgres.ledger import deliveries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection


@dataclass(frozen=True)
class Standing:
    """A delivery with which a run has nothing to do, as long as nothing else is published.

    Attributes:
        delivery: The newest delivery of its partition.
        run_id: The run whose check results stand.
    """

    delivery: Delivery
    run_id: str


@dataclass(frozen=True)
class Declared:
    """The parts of a declaration that decide whether a verdict stands.

    Attributes:
        source: Name of the source.
        fingerprint: Of what decides which rows the same bytes become.
        verdict_fingerprint: Of everything that decides how a run ends.
        expectations: The names of the expectations.
    """

    source: str
    fingerprint: str
    verdict_fingerprint: str
    expectations: tuple[str, ...]


def standing(connection: Connection, declared: Declared, partition: str, run_id: str) -> Standing | None:
    """Return the delivery of a partition with which a run has nothing to do; None if it has something to do.

    The newest delivery is complete and concluded, no delivery of the partition waits to be loaded, and no delivery of
    the source is stale. The newest run succeeded under this declaration, and every expectation was met.

    Args:
        connection: To the warehouse.
        declared: The declaration.
        partition: Key of the partition.
        run_id: Id of the run that asks, which does not count itself; empty if no run does.
    """
    newest = deliveries.newest(connection, declared.source, partition)
    if newest is None or newest.status != "complete":
        return None
    row = connection.execute(
        "SELECT r.verdict FROM (SELECT status, delivery_id, declaration, coalesce(verdict_run_id, run_id) AS verdict "
        "FROM etl.run WHERE source = %(source)s AND partition = %(partition)s AND step NOT IN ('replay', 'rebuild') "
        "AND run_id <> %(run_id)s ORDER BY id DESC LIMIT 1) r "
        "WHERE r.status = 'succeeded' AND r.delivery_id = %(delivery)s AND r.declaration = %(declaration)s "
        "AND NOT EXISTS (SELECT FROM etl.delivery d WHERE d.source = %(source)s AND (d.status = 'complete' "
        "AND (d.fingerprint <> %(fingerprint)s OR d.needs_reload) "
        "OR d.partition = %(partition)s AND d.status IN ('landed', 'loading'))) "
        "AND NOT EXISTS (SELECT FROM etl.profile_part p JOIN etl.delivery d ON d.id = p.delivery_id "
        "WHERE d.source = %(source)s AND d.partition = %(partition)s AND d.status = 'complete') "
        "AND (SELECT bool_and(passed) AND count(DISTINCT name) = cardinality(%(names)s::text[]) FROM etl.check_result "
        "WHERE run_id = r.verdict AND source = %(source)s AND partition = %(partition)s AND name = ANY (%(names)s))",
        {
            "source": declared.source,
            "partition": partition,
            "run_id": run_id,
            "delivery": newest.id,
            "declaration": declared.verdict_fingerprint,
            "fingerprint": declared.fingerprint,
            "names": [CONSERVATION, *declared.expectations],
        },
    ).fetchone()
    return None if row is None else Standing(newest, row[0])


def verdict(connection: Connection, standing: Standing) -> Sequence[CheckResult]:
    """Return the check results that stand; of a check that was evaluated again in its run, the last one."""
    rows = connection.execute(
        "SELECT DISTINCT ON (name) name, passed, blocking, description, failed_records, records FROM etl.check_result "
        "WHERE run_id = %s AND source = %s AND partition = %s ORDER BY name, id DESC",
        (standing.run_id, standing.delivery.source, standing.delivery.partition),
    ).fetchall()
    return [
        CheckResult(name, passed=passed, blocking=blocking, description=text, failed_records=failed, records=records)
        for name, passed, blocking, text, failed, records in rows
    ]
