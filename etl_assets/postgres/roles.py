"""The roles that work with a warehouse, and their rights in schema ``etl``. Every migration grants them again.

``etl_assets_reader`` reads the views. It is created if the migrator may create roles. The others are created by the
administrator of the server: ``etl_loader`` runs everything, ``etl_reviewer`` corrects rejected records,
``etl_reader`` reads the history, but no contents of records, and ``etl_metrics`` what the metrics need. Roles belong to
the whole server. Rights on tables of sources are not granted here: those tables belong to the loader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import errors, sql

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import LiteralString

    from etl_assets.postgres.connection import Connection

READER: Final = "etl_assets_reader"
VIEWS: Final = ("quality_daily", "source_health", "rejections_by_rule", "rejected_case", "absent_at_source")
_VIEWS: Final[LiteralString] = ", ".join(f"etl.{view}" for view in VIEWS)

RIGHTS: Final[Mapping[str, tuple[LiteralString, ...]]] = {
    "etl_loader": (
        f"SELECT ON {_VIEWS}",
        "SELECT ON etl.absent_row, etl.alert, etl.baseline, etl.batch, etl.check_result",
        "SELECT ON etl.decision, etl.declared_source, etl.deletion, etl.delivery, etl.disjoint_partitions, etl.drift",
        "SELECT ON etl.fence, etl.key_comparison, etl.notification, etl.observation, etl.partition_total, etl.profile",
        "SELECT ON etl.profile_part, etl.redaction, etl.reference, etl.retention, etl.row_count, etl.run",
        "SELECT ON etl.schema_version",
        # all but the contents of records; a load asks for those of the records that it reads
        (
            "SELECT (id, delivery_id, record_no, generation, source, partition, location, raw_sha256, raw_bytes, "
            "rules, status, fingerprint, run_id, rejected_at, replays, key, identity, closed_by, correction, "
            "correction_counts, reviewer, reviewed_at, note) ON etl.rejected"
        ),
        "EXECUTE ON FUNCTION etl.rejected_contents(bigint[])",
        "INSERT ON etl.batch, etl.check_result, etl.deletion, etl.key_comparison, etl.rejected, etl.retention",
        "INSERT, UPDATE ON etl.alert, etl.baseline, etl.declared_source, etl.delivery, etl.disjoint_partitions",
        "INSERT, UPDATE ON etl.drift, etl.fence, etl.notification, etl.observation, etl.run",
        "INSERT, DELETE ON etl.absent_row, etl.profile, etl.profile_part, etl.reference",
        # what an entry counts stays; a new generation takes it over, and rows that it wrote may be confirmed later
        "UPDATE (generation, confirmed, notes) ON etl.batch",
        # everything but who decided, when and why
        (
            "UPDATE (generation, location, raw, fields, rules, status, fingerprint, run_id, replays, key, identity, "
            "closed_by, correction, correction_counts) ON etl.rejected"
        ),
    ),
    "etl_reviewer": (
        "SELECT ON etl.schema_version, etl.delivery, etl.rejected, etl.decision",
        "INSERT ON etl.decision",
        "UPDATE (correction, correction_counts, reviewer, reviewed_at, note, status, closed_by) ON etl.rejected",
        "UPDATE (needs_reload) ON etl.delivery",
    ),
    "etl_reader": (
        f"SELECT ON {_VIEWS}",
        "SELECT ON etl.absent_row, etl.alert, etl.baseline, etl.batch, etl.check_result, etl.declared_source",
        "SELECT ON etl.delivery, etl.disjoint_partitions, etl.fence, etl.key_comparison, etl.notification",
        "SELECT ON etl.partition_total, etl.reference, etl.retention, etl.row_count, etl.run, etl.schema_version",
        # numbers, no values of records
        "SELECT (id, delivery_id, source, partition, records, redacted_at) ON etl.redaction",
        "SELECT (delivery_id, column_name, rows, nulls, distinct_estimate, mean, deviation) ON etl.profile",
        (
            "SELECT (id, delivery_id, record_no, generation, source, partition, rules, status, fingerprint, run_id, "
            "rejected_at, replays, correction_counts, reviewed_at, closed_by) ON etl.rejected"
        ),
        "SELECT (id, rejected_id, decision, decided_at, former_status) ON etl.decision",
        (
            "SELECT (id, source, kind, status, foreseen, blocking, first_delivery, last_delivery, opened_at, "
            "closed_at, closed_delivery) ON etl.drift"
        ),
    ),
    "etl_metrics": (
        "SELECT ON etl.partition_total, etl.notification",
        "SELECT (id, source, status, started_at, ended_at, unchanged_since) ON etl.run",
        "SELECT (source, status, rejected_at) ON etl.rejected",
        "SELECT (source, status) ON etl.drift",
        "SELECT (source, rule, severity, status) ON etl.alert",
    ),
}
"""What each role may do with the tables and functions of schema ``etl``, as ``GRANT`` writes it; nothing else."""
_CREATES: Final = ("etl_loader",)
"""The roles that create schemas, tables and temporary tables in the database of the warehouse."""


def ensure_reader(connection: Connection) -> str | None:
    """Create the reader role, unless the server has it, and grant it the right to read the views.

    It may be called any number of times, also for several databases of a server at once.

    Args:
        connection: In autocommit, of the owner of the views.

    Returns:
        Why the role is missing or cannot read, and what to do; None on success.
    """
    reader = sql.Identifier(READER)
    try:
        _ensure_role(connection)
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA etl TO {}").format(reader))
        connection.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(sql.SQL(_VIEWS), reader))
    except errors.InsufficientPrivilege:
        return (
            f"Role {READER}, which reads the views of schema etl, was not created or did not get its rights: this user "
            f"may not do it. Everything else is done. Let an administrator run CREATE ROLE {READER}, then run: "
            "etl-assets migrate"
        )
    return None


def grant_rights(connection: Connection) -> str | None:
    """Give the roles in `RIGHTS` that the server has their rights in schema ``etl``, and take others from them.

    A role keeps what it may do all the while. The owner of the tables keeps everything, also if it has such a name.

    Args:
        connection: In autocommit, of the owner of the tables.

    Returns:
        Why the roles did not get their rights, and what to do; None on success.
    """
    query = "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s) AND rolname <> current_user ORDER BY 1"
    roles = [name for (name,) in connection.execute(query, (list(RIGHTS),)).fetchall()]
    if roles and not _owns(connection):  # a GRANT of another user may do nothing without an error
        return (
            f"{', '.join(roles)} did not get their rights in this database: this user may not grant them. Everything "
            "else is done. Run etl-assets migrate as the owner of the database and of schema etl."
        )
    with connection.transaction():
        for role in roles:
            _grant(connection, role)
    return None


def _owns(connection: Connection) -> bool:
    """Return whether this user owns the database and schema ``etl``, or is a member of roles that do."""
    row = connection.execute(
        "SELECT pg_has_role(d.datdba, 'USAGE') AND pg_has_role(n.nspowner, 'USAGE') FROM pg_database d, pg_namespace n "
        "WHERE d.datname = current_database() AND n.nspname = 'etl'"
    ).fetchone()
    return bool(row and row[0])


def _grant(connection: Connection, name: str) -> None:
    role = sql.Identifier(name)
    connection.execute(sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA etl FROM {}").format(role))
    connection.execute(sql.SQL("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA etl FROM {}").format(role))
    connection.execute(sql.SQL("GRANT USAGE ON SCHEMA etl TO {}").format(role))
    for right in RIGHTS[name]:
        connection.execute(sql.SQL("GRANT {} TO {}").format(sql.SQL(right), role))
    rights = sql.SQL("CONNECT, CREATE, TEMPORARY" if name in _CREATES else "CONNECT")
    database = sql.Identifier(connection.info.dbname)
    connection.execute(sql.SQL("GRANT {} ON DATABASE {} TO {}").format(rights, database, role))


def _ensure_role(connection: Connection) -> None:
    """Create the role; the migration of another database may create it at the same time."""
    if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (READER,)).fetchone() is not None:
        return
    try:
        connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(READER)))
    except (errors.DuplicateObject, errors.UniqueViolation):
        return
