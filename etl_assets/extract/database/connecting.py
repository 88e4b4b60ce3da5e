"""Connects to a database by its kind."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from etl_assets.errors import EtlAssetsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.extract.access.database import Database
    from etl_assets.extract.database.address import Address
    from etl_assets.extract.database.dialects.base import Session


@contextmanager
def connect(address: Address, access: Database) -> Iterator[Session]:
    """Connect, take a snapshot, and end both with the block.

    Raises:
        DeliveryError: If the database cannot be reached, or refuses; also what its driver raises in the block.
        EnvironmentFaultError: If the driver is not installed.
    """
    session = _session(address, access)
    try:
        session.begin(access)
        yield session
    except EtlAssetsError:
        raise
    except Exception as error:
        known = session.error(error)
        if known is None:
            raise
        raise known from None
    finally:
        if not session.is_stuck:
            session.close()


def _session(address: Address, access: Database) -> Session:  # noqa: PLR0911 -- one for each kind
    """Return a connection; the modules import drivers, and each source needs one of them."""
    match address.backend:
        case "postgresql":
            from etl_assets.extract.database.dialects.postgresql import PostgresqlSession  # noqa: PLC0415 -- see above

            return PostgresqlSession(address, access)
        case "mysql":
            from etl_assets.extract.database.dialects.mysql import MysqlSession  # noqa: PLC0415 -- see above

            return MysqlSession(address, access)
        case "sqlite":
            from etl_assets.extract.database.dialects.sqlite import SqliteSession  # noqa: PLC0415 -- see above

            return SqliteSession(address, access)
        case "duckdb":
            from etl_assets.extract.database.dialects.duckdb import DuckdbSession  # noqa: PLC0415 -- see above

            return DuckdbSession(address, access)
        case "sqlserver":
            from etl_assets.extract.database.dialects.sqlserver import SqlserverSession  # noqa: PLC0415 -- see above

            return SqlserverSession(address, access)
        case "oracle":
            from etl_assets.extract.database.dialects.oracle import OracleSession  # noqa: PLC0415 -- see above

            return OracleSession(address, access)
        case "sqlalchemy":
            from etl_assets.extract.database.dialects.sqlalchemy_engine import (  # noqa: PLC0415 -- see above
                SqlalchemySession,
            )

            return SqlalchemySession(address, access)
