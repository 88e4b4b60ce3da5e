"""Upgrades schema ``etl`` of a database to the newest revision, and checks whether it has that revision."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

from etl_assets.errors import SettingsError
from etl_assets.postgres.connection import connected
from etl_assets.postgres.faults import translate
from etl_assets.postgres.roles import ensure_reader, grant_rights

if TYPE_CHECKING:
    from alembic.config import Config

    from etl_assets.postgres.connection import Connection

VERSION_TABLE = "schema_version"
_HERE = Path(__file__).parent
_LOG: Final = logging.getLogger(__name__)
_LOCK = 0x65746C_5F6D6967  # 'etl_mig'


def newest() -> str:
    """Return the newest revision in this package: revisions are files named ``NNNN_what.py``."""
    return max(path.name for path in (_HERE / "versions").glob("[0-9]*.py"))[:4]


def current(connection: Connection) -> str | None:
    """Return the revision of a database; None if it was never migrated."""
    table = connection.execute("SELECT to_regclass(%s)", (f"etl.{VERSION_TABLE}",)).fetchone()
    if table is None or table[0] is None:
        return None
    row = connection.execute(f"SELECT version_num FROM etl.{VERSION_TABLE}").fetchone()
    return str(row[0]) if row else None


def require_current(connection: Connection) -> None:
    """Raise unless the database is at the newest revision.

    Raises:
        SettingsError: If it is not. The text has the command that upgrades it.
    """
    revision = current(connection)
    _refuse_newer(revision)
    if revision != newest():
        raise SettingsError(
            f"Schema etl of the database is at revision {revision or 'none'}; this version needs {newest()}. "
            "Nothing was written. Run: etl-assets migrate"
        )


def _refuse_newer(revision: str | None) -> None:
    if revision is not None and revision > newest():
        raise SettingsError(
            f"Schema etl of the database is at revision {revision}, which is newer than this version of etl_assets "
            f"knows: it knows {newest()}. Nothing was written. Install the version that migrated the database, or a "
            "newer one."
        )


def migrate(url: str) -> tuple[str | None, str]:
    """Upgrade a database, and grant the roles their rights; concurrent callers wait for one another.

    Args:
        url: ``postgresql://…`` of the warehouse.

    Returns:
        The revision before and the revision after.

    Raises:
        SettingsError: If the database has a newer revision than this version knows.
        LoadError: If the database refuses the migration. Schema etl is unchanged.
    """
    with connected(url) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        before = current(connection)
        _refuse_newer(before)
        if before != newest():
            connection.execute("CREATE SCHEMA IF NOT EXISTS etl")
            from alembic import command  # noqa: PLC0415 -- the import takes half a second, and is seldom needed
            from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 -- as above

            try:
                command.upgrade(alembic_config(url), "head")
            except DBAPIError as error:
                raise translate(error.orig or error, "migrating schema etl") from None
        for reason in (ensure_reader(connection), grant_rights(connection)):
            if reason is not None:
                _LOG.warning(reason)
        return before, newest()


def alembic_config(url: str) -> Config:
    """Return the Alembic configuration of a database, with its URL, which is stored in no file."""
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_HERE))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = "postgresql+psycopg://" + url.split("://", 1)[1]
    return config
