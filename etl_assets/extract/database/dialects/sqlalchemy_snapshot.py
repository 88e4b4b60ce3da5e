"""How a session of SQLAlchemy begins: one snapshot, only reading, moments in UTC.

It depends on the database, by the name of its dialect. An isolation that locks what it reads is not asked for, since
the publisher would wait for the fetch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Engine


@dataclass(frozen=True)
class Beginning:
    """How a session of a kind of database begins.

    Attributes:
        isolation: The isolation level whose transactions are snapshots; empty if `statements` take care of it.
        statements: What is carried out at the beginning of the transaction.
    """

    isolation: str = ""
    statements: tuple[str, ...] = ()


_POSTGRESQL: Final = "SET timezone TO 'UTC'"
_MYSQL: Final = Beginning("REPEATABLE READ", ("SET SESSION TRANSACTION READ ONLY", "SET time_zone = '+00:00'"))
_SNAPSHOTS: Final = {
    "postgresql": Beginning(
        "REPEATABLE READ", (_POSTGRESQL, "SET DateStyle = 'ISO'", "SET IntervalStyle = 'postgres'")
    ),
    "cockroachdb": Beginning("SERIALIZABLE", (_POSTGRESQL,)),
    "redshift": Beginning("SERIALIZABLE", (_POSTGRESQL,)),
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "oracle": Beginning("", ("SET TRANSACTION READ ONLY", "ALTER SESSION SET TIME_ZONE = '+00:00'")),
    "sqlite": Beginning("", ("PRAGMA query_only = 1", "BEGIN")),
    "duckdb": Beginning("", ("SET TimeZone = 'UTC'",)),
}
_OTHER: Final = {"snowflake": ("ALTER SESSION SET TIMEZONE = 'UTC'",)}
_ALLOWED: Final = "SELECT snapshot_isolation_state FROM sys.databases WHERE database_id = DB_ID()"
_READ_ONLY: Final = ("postgresql", "cockroachdb")


def begin(engine: Engine) -> tuple[Connection, list[str]]:
    """Connect, and begin the transaction; return the connection, and what people should know of it."""
    beginning = _beginning(engine)
    options: dict[str, Any] = {"no_parameters": True}
    if engine.dialect.name in _READ_ONLY:
        options["postgresql_readonly"] = True
    connection = engine.connect()
    has_snapshot = beginning is not None
    try:
        if beginning is not None and beginning.isolation:
            has_snapshot = beginning.isolation in _isolations(connection)
            options |= {"isolation_level": beginning.isolation} if has_snapshot else {}
        connection = connection.execution_options(**options)
        for statement in beginning.statements if beginning is not None else _OTHER.get(engine.dialect.name, ()):
            connection.exec_driver_sql(statement)
    except BaseException:
        connection.invalidate()
        connection.close()
        raise
    return connection, [] if has_snapshot else [_note(engine.dialect.name)]


def _isolations(connection: Connection) -> Sequence[str]:
    """Return the isolation levels that a driver can be asked for."""
    try:
        return connection.dialect.get_isolation_level_values(cast("Any", connection.connection.dbapi_connection))
    except NotImplementedError:
        return ()


def _beginning(engine: Engine) -> Beginning | None:
    """Return how a session with a snapshot begins; None if there is none."""
    if engine.dialect.name != "mssql":
        return _SNAPSHOTS.get(engine.dialect.name)
    with engine.connect() as connection:
        allowed = connection.exec_driver_sql(_ALLOWED).scalar()
    return Beginning("SNAPSHOT") if allowed == 1 else None


def _note(name: str) -> str:
    return (
        f"No snapshot is known for databases of {name!r}: the rows are those of one statement, and their number and "
        "the catalogue may be of another moment."
    )
