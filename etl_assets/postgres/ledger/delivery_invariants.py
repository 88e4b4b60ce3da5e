"""Invariants of the fields of deliveries, of fences, and of counts that other tables of schema ``etl`` show."""

from __future__ import annotations

from typing import Final

from etl_assets.postgres.ledger.entries import MERGED, NOT_SWAPPED
from etl_assets.postgres.ledger.invariants import BY_HAND, DELIVERY, ENTRY, Invariant, QueriedInvariant
from etl_assets.schema import DELIVERY_ID, RECORD_NO, ROW_HASH

DELIVERIES_ARE_AS_ENTERED: Final = QueriedInvariant(
    "deliveries_are_as_entered",
    "A delivery has the hash of its manifest, a fingerprint once it is read, the status that its entries show, and "
    "the rank of its partition",
    "Somebody changed etl.delivery by hand, or declared the partitions in another order than they were loaded in: "
    "restore the field from a backup, or declare the former order",
    f"SELECT {DELIVERY}, p.problem FROM etl.delivery d CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM etl.batch b "
    "WHERE b.delivery_id = d.id) AS entered) e CROSS JOIN LATERAL (SELECT CASE "
    "WHEN d.sha256 <> d.manifest ->> 'sha256' THEN 'has another SHA-256 than its manifest' "
    "WHEN d.size <> (d.manifest ->> 'size')::bigint THEN 'has another size than its manifest' "
    "WHEN d.fingerprint !~ '^([0-9a-f]{64})?$' THEN 'has a fingerprint that no declaration has' "
    "WHEN d.fingerprint = '' AND e.entered THEN 'has entries in the ledger, and no fingerprint' "
    "WHEN d.status = 'landed' AND e.entered THEN 'is marked as not begun, and has entries in the ledger' "
    "WHEN d.status = 'refused' AND d.refusal IS NULL THEN 'is refused, without a reason' "
    "WHEN d.status = 'complete' AND d.completed_at IS NULL THEN 'is complete, without a time' END AS problem) p "
    "WHERE p.problem IS NOT NULL ORDER BY d.id",
)
OF_DELIVERIES: Final[tuple[QueriedInvariant, ...]] = (
    DELIVERIES_ARE_AS_ENTERED,
    QueriedInvariant(
        "fences_are_kept",
        "Every partition with entries in the ledger has a fence, with the epoch of its newest entry or a later one",
        "Somebody changed etl.fence by hand: restore it from a backup, or enter the greatest epoch that etl.batch has "
        "for the partition",
        "SELECT e.source || CASE e.partition WHEN '' THEN '' ELSE ' (' || e.partition || ')' END, "
        "CASE WHEN f.epoch IS NULL THEN 'has no fence, and entries' "
        "ELSE format('has a fence of epoch %s, and entries', f.epoch) END || format(' of epoch %s', e.epoch) "
        "FROM (SELECT d.source, d.partition, max(b.epoch) AS epoch FROM etl.batch b "
        "JOIN etl.delivery d ON d.id = b.delivery_id GROUP BY 1, 2) e "
        "LEFT JOIN etl.fence f USING (source, partition) WHERE f.epoch IS NULL OR f.epoch < e.epoch ORDER BY 1",
    ),
    QueriedInvariant(
        "entries_count_what_is_stored",
        "A ledger entry counts the rules of its rejected records, and as confirmed all rows that a first load left "
        "unchanged",
        BY_HAND,
        "WITH broken AS (SELECT b.id, rule, count(*) AS records FROM etl.batch b JOIN etl.delivery d "
        "ON d.id = b.delivery_id AND d.generation = b.generation JOIN etl.rejected r ON r.delivery_id = d.id "
        "AND r.generation = d.generation AND r.record_no BETWEEN b.first_record AND b.last_record "
        # a replay may have changed the rules of the record, which the entry counts as they were
        "CROSS JOIN unnest(r.rules) rule WHERE b.kind = 'ingest' AND r.replays = 0 GROUP BY 1, 2) "
        f"SELECT {ENTRY}, format('counts %s records that broke %s, and %s are in the quarantine', "
        "coalesce(b.rules ->> o.rule, '0'), o.rule, o.records) FROM broken o JOIN etl.batch b ON b.id = o.id "
        "JOIN etl.delivery d ON d.id = b.delivery_id WHERE coalesce((b.rules ->> o.rule)::bigint, 0) < o.records "
        f"UNION ALL SELECT {ENTRY}, format('left %s rows unchanged, and confirmed %s', b.unchanged, b.confirmed) "
        "FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id WHERE b.confirmed > b.unchanged "
        f"+ coalesce((b.notes ->> '{MERGED}')::bigint, 0) "
        "OR (b.confirmed < b.unchanged AND (b.generation = 1 OR b.kind = 'replay') "
        f"AND NOT jsonb_exists(b.notes, '{NOT_SWAPPED}')) ORDER BY 1",
    ),
)
"""Invariants of schema ``etl`` alone, like those of `invariants.OF_THE_LEDGER`."""

CONSTRAINTS_ARE_THERE: Final = Invariant(
    "constraints_are_there",
    "Deliveries, ledger, quarantine and every table have the keys and constraints that migrations and declarations "
    "give them",
    "Somebody dropped it by hand: find what it had kept out with the other findings, then restore the structure from "
    "a backup, or add it again as the newest migration or the declaration has it",
)
HAS_A_KEY: Final = QueriedInvariant(
    CONSTRAINTS_ARE_THERE.name,
    CONSTRAINTS_ARE_THERE.statement,
    CONSTRAINTS_ARE_THERE.remedy,
    "SELECT 'table ' || %(table)s, 'has no primary key' WHERE NOT EXISTS (SELECT FROM pg_index i "
    "WHERE i.indrelid = to_regclass(%(table)s) AND i.indisprimary AND i.indisvalid) "
    # in a table that never had one, only the bookkeeping columns must not be null
    "AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = to_regclass(%(table)s) AND a.attnum > 0 "
    f"AND NOT a.attisdropped AND a.attnotnull AND a.attname NOT IN ('{DELIVERY_ID}', '{RECORD_NO}', '{ROW_HASH}'))",
)
"""The part of `CONSTRAINTS_ARE_THERE` that holds for every table, declared or computed."""
