"""Connections to PostgreSQL by ADBC, and what their errors mean."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import pyarrow as pa

from etl_assets.extract.access.base import required
from etl_assets.extract.database import errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets.errors import DeliveryError
    from etl_assets.extract.access.database import Database
    from etl_assets.extract.database.address import Address

_LOGIN: Final = ("password", "pg_hba.conf", "role ", "authentication", "SSL", "certificate", "ssl")
"""Words of libpq and the server about a login that is refused; a failed connection has no code."""
_MISSING: Final = {"42P01": "such table", "3F000": "such schema", "3D000": "such database"}
_NOT_ALLOWED: Final = "42501"
_CANCELLED: Final = "57014"
_STATEMENT: Final = "42"
_PASSING: Final = ("08", "40", "53", "57", "55")
"""Classes of codes that a retry may resolve."""


def connect(address: Address, access: Database) -> Any:
    """Return a connection that is not in autocommit.

    Raises:
        DeliveryError: If there is none.
    """
    dbapi = required("adbc_driver_postgresql.dbapi", "postgres")
    try:
        return dbapi.connect(_uri(address, access), autocommit=False)
    except dbapi.Error as error:
        raise _refused(str(error), address) from None


def error_of(error: Exception, address: Address, is_alive: Callable[[], bool]) -> DeliveryError | None:
    """Return what an error of the driver means; None if it is none of the driver's.

    Args:
        error: The error. One in the middle of a result has no code.
        address: Of the database.
        is_alive: Returns whether the server still answers.
    """
    dbapi = required("adbc_driver_postgresql.dbapi", "postgres")
    if not isinstance(error, dbapi.Error | pa.ArrowException | OSError):
        return None
    state = getattr(error, "sqlstate", None) or ""
    words = _statement_error(error)
    if state == _CANCELLED or "statement timeout" in str(error):
        return errors.too_slow(address)
    if state in _MISSING:
        return errors.missing(address, f"{_MISSING[state]} ({words})")
    if state == _NOT_ALLOWED:
        return errors.not_allowed(address, words)
    return _of_class(state, words, address, is_alive)


def _of_class(state: str, words: str, address: Address, is_alive: Callable[[], bool]) -> DeliveryError:
    """Return what a code of no meaning of its own means by its class, which is its beginning."""
    shown = f"SQLSTATE {state}" if state else ""
    if state.startswith(_STATEMENT):
        return errors.failed(address, words, statement=True)
    if state.startswith(_PASSING) or not is_alive():
        return errors.unreachable(address, shown)
    return errors.failed(address, shown or "an error in the middle of the rows")


def _uri(address: Address, access: Database) -> str:
    seconds = max(2, int(min(access.timeout, 60)))
    options = {
        "connect_timeout": seconds,
        "keepalives_idle": seconds,
        "keepalives_interval": max(1, seconds // 4),
        "keepalives_count": 4,
        "tcp_user_timeout": int(access.timeout * 1000),
        "application_name": "etl-assets",
        "sslmode": "prefer",
    }
    if access.tls and not address.is_local:
        options |= {"sslmode": "verify-full", "sslrootcert": access.ca_file or _trusted()}
    if not access.tls:
        options["sslmode"] = "disable"
    if address.option:
        options["host"] = address.option
    login = quote(access.user, safe="")
    if password := access.read_password():
        login += f":{quote(password, safe='')}"
    host = f"[{address.host}]" if ":" in address.host else address.host
    place = f"{host}:{address.port}" if host else ""
    options |= {} if host else {"port": address.port}
    return f"postgresql://{f'{login}@' if login else ''}{place}/{quote(address.database, safe='')}?{urlencode(options)}"


def _trusted() -> str:
    """Return the path of the certificates that this machine trusts."""
    import certifi  # noqa: PLC0415 -- for a server on another machine alone

    return ssl.get_default_verify_paths().cafile or certifi.where()


def _refused(text: str, address: Address) -> DeliveryError:
    """Return what a failed connection means. Its text is not shown: it may have the login."""
    if f'database "{address.database}" does not exist' in text:
        return errors.missing(address, f"database {address.database!r}")
    if any(word in text for word in _LOGIN):
        return errors.login_refused(address)
    return errors.unreachable(address)


def _statement_error(error: Exception) -> str:
    return errors.first_line(str(error).partition("ERROR:")[2] or str(error))
