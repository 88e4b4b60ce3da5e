"""The roles of the embedded server and the owners of its databases.

The superuser, which `initdb` creates, sets the server up and is for administration. Everything else, loads and
Dagster's storage included, runs as the loader: an ordinary role that owns both databases. It may create roles such as
the one for analysts, but it cannot reach files and programs of the machine (``COPY … FROM PROGRAM``) or change the
server.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import psycopg
from psycopg import sql

ADDRESS: Final = "127.0.0.1"
SUPERUSER: Final = "etl_assets"
LOADER: Final = "etl_assets_loader"

WAREHOUSE: Final = "warehouse"
"""The database of the tables."""

DAGSTER: Final = "dagster"
"""The database of Dagster's own storage."""

DATABASES: Final = (WAREHOUSE, DAGSTER)

_Connection = psycopg.Connection[tuple[Any, ...]]
_LOADER: Final = sql.Identifier(LOADER)
_BELONGINGS: Final = """
WITH extension_member AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e')
SELECT format('ALTER SCHEMA %I', nspname)
FROM pg_namespace
WHERE nspowner = 10 AND nspname !~ '^pg_' AND nspname <> 'information_schema'
UNION ALL
SELECT format('ALTER TABLE %s', oid::regclass)
FROM pg_class
WHERE relowner = 10 AND oid >= 16384 AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  AND (SELECT nspname FROM pg_namespace WHERE pg_namespace.oid = relnamespace) !~ '^pg_'
  AND (relkind <> 'S' OR oid NOT IN (  -- the sequence of a column follows its table
    SELECT objid FROM pg_depend WHERE classid = 'pg_class'::regclass AND deptype IN ('a', 'i')
  ))
  AND ('pg_class'::regclass, oid) NOT IN (TABLE extension_member)
UNION ALL
SELECT format('ALTER ROUTINE %s', oid::regprocedure)
FROM pg_proc
WHERE proowner = 10 AND oid >= 16384 AND ('pg_proc'::regclass, oid) NOT IN (TABLE extension_member)
UNION ALL
SELECT format('ALTER TYPE %s', oid::regtype)
FROM pg_type
WHERE typowner = 10 AND oid >= 16384 AND typtype IN ('c', 'd', 'e', 'r') AND typelem = 0
  AND (typrelid = 0 OR (SELECT relkind FROM pg_class WHERE pg_class.oid = typrelid) = 'c')
  AND ('pg_type'::regclass, oid) NOT IN (TABLE extension_member)
"""
"""The objects of a database that its superuser owns, each as the beginning of a statement that changes its owner.

10 is the role that `initdb` creates, and oids from 16384 are those of objects that it did not create.
``REASSIGN OWNED`` refuses this role.
"""


def superuser_url(port: int, password: str, database: str = "postgres") -> str:
    """Return the URL of a database for the superuser, in libpq's form.

    Args:
        port: Port of the server.
        password: Password of the superuser.
        database: Name of the database.
    """
    return f"postgresql://{SUPERUSER}:{password}@{ADDRESS}:{port}/{database}"


def loader_url(port: int, password: str, database: str) -> str:
    """Return the URL of a database for the loader; the arguments are those of `superuser_url`."""
    return f"postgresql://{LOADER}:{_loader_password(password)}@{ADDRESS}:{port}/{database}"


def set_up(port: int, password: str) -> None:
    """Create the loader and its databases; hand over databases that were created before there was a loader.

    Args:
        port: Port of the server.
        password: Password of the superuser.

    Raises:
        psycopg.OperationalError: If the server does not accept connections.
    """
    with psycopg.connect(superuser_url(port, password), autocommit=True) as connection:
        missing = _missing(connection)
        if missing:
            _create_loader(connection, _loader_password(password))
        existing = [name for name in missing if not _create_database(connection, name)]
    for name in existing:
        with psycopg.connect(superuser_url(port, password, name), autocommit=True) as connection:
            _hand_over(connection, name)


def _loader_password(secret: str) -> str:
    """Return the password of the loader. It is derived from that of the superuser, which it does not reveal."""
    return hashlib.sha256(f"{LOADER} {secret}".encode()).hexdigest()


def _missing(connection: _Connection) -> list[str]:
    """Return the databases that do not exist or do not belong to the loader."""
    query = "SELECT datname FROM pg_database WHERE datdba = (SELECT oid FROM pg_roles WHERE rolname = %s)"
    owned = {name for (name,) in connection.execute(query, (LOADER,))}
    return [name for name in DATABASES if name not in owned]


def _create_loader(connection: _Connection, password: str) -> None:
    """Create the loader, or give an existing one its password and rights.

    Sessions keep the texts of errors out of the server's log, because they contain values of records. Processes of the
    server itself, which have no session, log theirs.

    Args:
        connection: Of the superuser, in autocommit.
        password: A random text; it is hashed only once, because it cannot be guessed.
    """
    with connection.transaction():
        connection.execute("SET LOCAL scram_iterations = 1")
        if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (LOADER,)).fetchone() is None:
            connection.execute(sql.SQL("CREATE ROLE {}").format(_LOADER))
        rights = sql.SQL("ALTER ROLE {} LOGIN CREATEROLE NOSUPERUSER NOCREATEDB PASSWORD {}")
        connection.execute(rights.format(_LOADER, sql.Literal(password)))
        connection.execute("ALTER ROLE ALL SET log_min_messages = 'log'")


def _create_database(connection: _Connection, name: str) -> bool:
    """Create a database of the loader; return False if the database exists."""
    if connection.execute("SELECT FROM pg_database WHERE datname = %s", (name,)).fetchone() is not None:
        return False
    connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), _LOADER))
    return True


def _hand_over(connection: _Connection, name: str) -> None:
    """Give the loader a database of the superuser, with everything in it, all or nothing.

    Args:
        connection: Of the superuser, to that database, in autocommit.
        name: Name of the database.
    """
    with connection.transaction():
        for (statement,) in connection.execute(_BELONGINGS).fetchall():
            connection.execute(f"{statement} OWNER TO {LOADER}".encode())
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(name), _LOADER))
