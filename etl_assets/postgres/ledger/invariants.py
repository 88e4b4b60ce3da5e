"""The invariants of the database: what must hold at any moment, each with the query that finds its violations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from psycopg import sql

from etl_assets.model.counts import RECORDS, ROWS
from etl_assets.postgres.ledger.entries import STORED
from etl_assets.postgres.ledger.rebuilt import is_of_rebuild
from etl_assets.postgres.tables.names import identifier
from etl_assets.schema import DELIVERY_ID, RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import LiteralString

    from etl_assets.model.counts import Sum
    from etl_assets.postgres.connection import Connection


@dataclass(frozen=True)
class Violation:
    """A place where an invariant does not hold.

    Attributes:
        invariant: Name of the invariant.
        subject: The delivery, ledger entry, table or record with the problem.
        problem: What is wrong with it.
        remedy: What to do.
    """

    invariant: str
    subject: str
    problem: str
    remedy: str


@dataclass(frozen=True)
class Invariant:
    """A statement about the database that must always hold.

    Attributes:
        name: Name of the invariant.
        statement: The statement, as a sentence without its period.
        remedy: What to do about a violation.
    """

    name: str
    statement: str
    remedy: str

    def violation(self, subject: str, problem: str) -> Violation:
        """Return a violation of this invariant."""
        return Violation(self.name, subject, problem, self.remedy)


@dataclass(frozen=True)
class QueriedInvariant(Invariant):
    """An invariant with the query that finds its violations.

    Attributes:
        query: Returns the subject and the problem of each violation, as texts. A query with ``{table}`` runs once for
            every table.
    """

    query: LiteralString

    def examine(self, connection: Connection) -> list[Violation]:
        """Find the violations in schema ``etl``; those of rebuilds that are not in place yet are left out."""
        rows = connection.execute(sql.SQL(self.query)).fetchall()
        return [self.violation(subject, problem) for subject, problem in rows if not is_of_rebuild(subject)]

    def examine_table(self, connection: Connection, table: str, sources: Sequence[str]) -> list[Violation]:
        """Find the violations in one table.

        Args:
            connection: To the warehouse.
            table: ``schema.table``.
            sources: Source names of the table's deliveries in the ledger.
        """
        query = sql.SQL(self.query).format(
            table=identifier(table), delivery=sql.Identifier(DELIVERY_ID), record=sql.Identifier(RECORD_NO)
        )
        rows = connection.execute(query, {"table": table, "sources": list(sources)}).fetchall()
        return [self.violation(subject, problem) for subject, problem in rows]


DELIVERY: Final = (
    "'delivery ' || d.id || ' of ' || d.source || CASE d.partition WHEN '' THEN '' ELSE ' (' || d.partition || ')' END"
)
"""SQL that describes a delivery ``d``."""
ENTRY: Final = DELIVERY + " || ', ' || b.kind || ' batch ' || b.number || ' of generation ' || b.generation"
_RECORD: Final = DELIVERY + " || ', quarantined record ' || r.id || ' (' || r.location || ')'"
BY_HAND: Final = (
    "Somebody changed the tables of schema etl by hand: restore them from a backup, or reload the newest delivery of a "
    "partition with `etl-assets run NAME --partition KEY --force`, all deliveries with `etl-assets rebuild NAME --swap`"
)
ROWS_BY_HAND: Final = (
    "Somebody changed the table by hand: restore it from a backup, or load every delivery into a new table that takes "
    "its place, with `etl-assets rebuild NAME --swap`. `etl-assets rebuild NAME --verify` lists the rows that differ"
)


def _adds_up(what: LiteralString, sum_: Sum) -> QueriedInvariant:
    """Return the invariant that the parts of a sum add up to its total in every entry."""
    terms = " + ".join(f"{part} %s" for part in sum_.parts)
    parts = [f"b.{part}" for part in sum_.parts]
    return QueriedInvariant(
        f"{what}_add_up",
        f"Every ledger entry accounts for each of its {what}: {sum_}",
        BY_HAND,
        f"SELECT {ENTRY}, format('{sum_.total} %s, but {terms}', b.{sum_.total}, {', '.join(parts)}) FROM etl.batch b "
        f"JOIN etl.delivery d ON d.id = b.delivery_id WHERE b.{sum_.total} <> {' + '.join(parts)} ORDER BY b.id",
    )


OF_THE_LEDGER: Final = (
    _adds_up("records", RECORDS),
    _adds_up("rows", ROWS),
    QueriedInvariant(
        "lines_span_their_records",
        "Every ledger entry of a batch reads the records from its first to its last; that of a replay, some of them; "
        "that of a completion or a rebuild, none",
        BY_HAND,
        f"SELECT {ENTRY}, format('read %s records from %s to %s', b.read, b.first_record, b.last_record) "
        "FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id WHERE CASE b.kind WHEN 'ingest' "
        "THEN b.read <> b.last_record - b.first_record + 1 WHEN 'completion' THEN b.read <> 0 "
        "WHEN 'rebuild' THEN b.read <> 0 "
        "ELSE b.read NOT BETWEEN 1 AND b.last_record - b.first_record + 1 END ORDER BY b.id",
    ),
    QueriedInvariant(
        "ledger_covers_deliveries",
        "The ledger of a complete delivery covers records 1 to the last, each once; that of any other, none twice",
        BY_HAND,
        "WITH line AS (SELECT b.*, lag(b.last_record, 1, 0) OVER (PARTITION BY b.delivery_id ORDER BY b.number) "
        "AS previous FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id AND d.generation = b.generation "
        "WHERE b.kind = 'ingest'), violation AS ("
        f"SELECT d.id, b.number, {ENTRY} AS subject, format('begins at record %s after record %s', b.first_record, "
        "b.previous) AS problem FROM line b JOIN etl.delivery d ON d.id = b.delivery_id "
        "WHERE b.first_record <= b.previous OR (d.status = 'complete' AND b.first_record <> b.previous + 1) "
        f"UNION ALL SELECT d.id, 0, {DELIVERY}, format('is complete with %s records, and its ledger has %s up to "
        "record %s', d.records, coalesce(sum(b.read), 0), coalesce(max(b.last_record), 0)) "
        "FROM etl.delivery d LEFT JOIN line b ON b.delivery_id = d.id WHERE d.status = 'complete' GROUP BY d.id "
        "HAVING coalesce(sum(b.read), 0) <> d.records OR coalesce(max(b.last_record), 0) <> d.records) "
        "SELECT subject, problem FROM violation ORDER BY id, number",
    ),
    QueriedInvariant(
        "manifests_count_their_records",
        "A delivery has as many records as the batches of its manifest",
        BY_HAND,
        f"SELECT {DELIVERY}, format('has %s records, and %s in its manifest', d.records, m.records) "
        "FROM etl.delivery d CROSS JOIN LATERAL (SELECT coalesce(sum((span ->> 'records')::bigint), 0) AS records "
        "FROM jsonb_path_query(d.manifest, '$.members[*].spans[*]') span) m WHERE d.records <> m.records ORDER BY d.id",
    ),
    QueriedInvariant(
        "rejected_are_quarantined",
        "The quarantine contains exactly the records that a batch rejected",
        BY_HAND,
        f"SELECT {ENTRY}, format('rejected %s records, and %s are in the quarantine', b.rejected, q.records) "
        "FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id AND d.generation = b.generation "
        "CROSS JOIN LATERAL (SELECT count(*) AS records FROM etl.rejected r WHERE r.delivery_id = d.id "
        "AND r.generation = d.generation AND r.record_no BETWEEN b.first_record AND b.last_record) q "
        "WHERE b.kind = 'ingest' AND q.records <> b.rejected ORDER BY b.id",
    ),
    QueriedInvariant(
        "quarantined_were_rejected",
        "Every record of the quarantine was rejected by a batch in the ledger",
        BY_HAND,
        f"SELECT {_RECORD}, format('no batch of generation %s read record %s', r.generation, r.record_no) "
        "FROM etl.rejected r JOIN etl.delivery d ON d.id = r.delivery_id WHERE NOT EXISTS (SELECT FROM etl.batch b "
        "WHERE b.delivery_id = d.id AND b.generation = r.generation AND b.kind = 'ingest' AND b.rejected > 0 "
        "AND r.record_no BETWEEN b.first_record AND b.last_record) ORDER BY r.id",
    ),
    QueriedInvariant(
        "replays_are_in_the_ledger",
        "The ledger has every try to replay a record, and at least as many replayed records as are marked",
        BY_HAND,
        "WITH marked AS (SELECT delivery_id, count(*) FILTER (WHERE status = 'replayed') AS gone, sum(replays) AS "
        "tries FROM etl.rejected GROUP BY 1), entered AS (SELECT delivery_id, sum(read - rejected) AS gone, "
        "sum(read) AS tries FROM etl.batch WHERE kind = 'replay' GROUP BY 1) "
        f"SELECT {DELIVERY}, format('%s records are marked as replayed in %s tries, and the ledger has %s in %s', "
        "coalesce(m.gone, 0), coalesce(m.tries, 0), coalesce(e.gone, 0), coalesce(e.tries, 0)) "
        "FROM etl.delivery d LEFT JOIN marked m ON m.delivery_id = d.id LEFT JOIN entered e ON e.delivery_id = d.id "
        # a reload may reject a replayed record again
        "WHERE coalesce(m.gone, 0) > coalesce(e.gone, 0) OR coalesce(m.tries, 0) <> coalesce(e.tries, 0) "
        "ORDER BY d.id",
    ),
    QueriedInvariant(
        "statuses_are_earned",
        "A parked record lacks only a parent, a dismissed one names its reviewer, a superseded one was reloaded, and "
        "a repeated, known or corrected one names the delivery that closed it",
        BY_HAND,
        f"SELECT {_RECORD}, CASE r.status WHEN 'parked' THEN 'is parked, and breaks more than references' "
        "WHEN 'dismissed' THEN 'is dismissed, without a reviewer' WHEN 'superseded' THEN 'is superseded, and no later "
        "generation read it' WHEN 'replayed' THEN 'is replayed, and no replay read it' "
        "WHEN 'repeated' THEN 'is repeated, by no delivery' WHEN 'known' THEN 'is known, from no delivery' "
        "WHEN 'corrected' THEN 'is corrected, by no delivery' "
        "ELSE 'waits, and a later generation did not reject it' END "
        "FROM etl.rejected r JOIN etl.delivery d ON d.id = r.delivery_id WHERE CASE r.status "
        "WHEN 'parked' THEN EXISTS (SELECT FROM unnest(r.rules) rule WHERE rule NOT LIKE '%\\_\\_references') "
        "OR (d.status = 'complete' AND r.generation < d.generation) "
        "WHEN 'dismissed' THEN r.reviewer IS NULL OR r.reviewed_at IS NULL "
        "WHEN 'superseded' THEN r.generation >= d.generation "
        "WHEN 'replayed' THEN r.replays = 0 OR NOT EXISTS (SELECT FROM etl.batch b WHERE b.delivery_id = d.id "
        "AND b.kind = 'replay' AND r.record_no BETWEEN b.first_record AND b.last_record) "
        "WHEN 'repeated' THEN r.closed_by IS NULL WHEN 'known' THEN r.closed_by IS NULL "
        "WHEN 'corrected' THEN r.closed_by IS NULL "
        "ELSE d.status = 'complete' AND r.generation < d.generation AND r.correction IS NULL END ORDER BY r.id",
    ),
    QueriedInvariant(
        "no_staging_is_left",
        "No staging table is left behind",
        "Drop it; the server drops temporary ones by itself when it vacuums",
        "SELECT 'table ' || n.nspname || '.' || c.relname, 'is a staging table, and no load is connected' "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' "
        "AND CASE WHEN n.nspname = 'etl_swap' THEN NOT EXISTS (SELECT FROM pg_stat_activity a "
        "WHERE a.datname = current_database() AND a.application_name = 'etl_assets' AND a.pid <> pg_backend_pid()) "
        "ELSE c.relname IN ('etl_staging', 'etl_probe', 'etl_rejected', 'etl_kept', 'etl_produced', "
        "'etl_confirmed', 'etl_published', 'etl_absent', 'etl_keys', 'etl_stake', 'etl_confirming', 'etl_merged', "
        "'etl_marked', 'etl_left', 'etl_compared') AND (n.nspname NOT LIKE 'pg\\_temp%' "
        # a load may end during this query: its tables go before its connection, so whether they exist is asked last
        "OR CASE WHEN EXISTS (SELECT FROM pg_stat_activity a WHERE a.datname = current_database() "
        "AND a.application_name = 'etl_assets' AND a.pid <> pg_backend_pid()) THEN false "
        "ELSE pg_table_size(c.oid) IS NOT NULL END) END ORDER BY 1",
    ),
)
"""Invariants of schema ``etl`` alone."""

OF_A_TABLE: Final = (
    QueriedInvariant(
        "rows_come_from_deliveries",
        "Every row of a table comes from a record that the ledger says was read for it",
        ROWS_BY_HAND,
        "WITH covered AS (SELECT b.delivery_id, range_agg(int8range(b.first_record, b.last_record + 1)) AS records "
        "FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id WHERE d.source = ANY (%(sources)s) GROUP BY 1) "
        "SELECT 'table ' || %(table)s, format('%%s rows are of delivery %%s, %%s', count(*), t.{delivery}, "
        "CASE WHEN bool_or(c.delivery_id IS NULL) THEN 'which brought nothing for it' "
        "ELSE 'from records that were not read, the first ' || min(t.{record}) END) "
        "FROM {table} t LEFT JOIN covered c ON c.delivery_id = t.{delivery} "
        "WHERE c.delivery_id IS NULL OR NOT c.records @> t.{record} GROUP BY t.{delivery} ORDER BY t.{delivery}",
    ),
    QueriedInvariant(
        "rows_are_within_deliveries",
        "No row of a complete delivery comes from beyond its last record",
        ROWS_BY_HAND,
        f"SELECT 'table ' || %(table)s, format('%%s rows are of %%s, from beyond its last record, %%s', count(*), "
        f"{DELIVERY}, d.records) FROM {{table}} t JOIN etl.delivery d ON d.id = t.{{delivery}} "
        "WHERE d.status = 'complete' AND t.{record} NOT BETWEEN 1 AND d.records GROUP BY d.id ORDER BY d.id",
    ),
    QueriedInvariant(
        "rows_are_as_many_as_entered",
        "A table has as many rows as the ledger inserted and did not delete",
        ROWS_BY_HAND,
        "SELECT 'table ' || %(table)s, format('has %%s rows, and the ledger inserted %%s and deleted %%s', t.rows, "
        f"e.inserted, e.deleted) FROM (SELECT count(*) AS rows FROM {{table}}) t CROSS JOIN {STORED} e "
        "WHERE t.rows <> e.inserted - e.deleted",
    ),
    QueriedInvariant(
        "waiting_records_have_no_rows",
        "A record that waits in the quarantine has no row in the table",
        ROWS_BY_HAND,
        f"SELECT {_RECORD}, 'waits, and table ' || %(table)s || ' has a row of it' FROM etl.rejected r "
        "JOIN etl.delivery d ON d.id = r.delivery_id WHERE d.source = ANY (%(sources)s) AND d.status = 'complete' "
        "AND r.status IN ('open', 'parked') AND EXISTS (SELECT FROM {table} t WHERE t.{delivery} = r.delivery_id "
        "AND t.{record} = r.record_no) ORDER BY r.id",
    ),
)
"""Invariants of each table into which deliveries are loaded."""

TABLES_ARE_THERE: Final = Invariant(
    "tables_are_there",
    "Every table that the ledger has entries of exists",
    "Restore the table from a backup, or reload every delivery with `etl-assets run NAME --all --force`",
)
NO_RUN_IS_ABANDONED: Final = Invariant(
    "no_run_is_abandoned",
    "A run is loading each delivery that is marked as being loaded",
    "Run it again with `etl-assets run NAME --partition KEY`: it goes on where the other stopped",
)
INVARIANTS: Final[tuple[Invariant, ...]] = (*OF_THE_LEDGER, TABLES_ARE_THERE, *OF_A_TABLE, NO_RUN_IS_ABANDONED)
"""Every invariant that this package checks."""
