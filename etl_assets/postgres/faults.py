"""Classifies database errors by their SQLSTATE, never by their Python class, and says what to do about each.

psycopg has the same class for "row too big" and "connection lost": a retry by class would repeat for ever for one
record. Source of the codes: PostgreSQL documentation, appendix A.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import psycopg

from etl_assets.errors import EnvironmentFaultError, LoadError, TransientLoadError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Kind = Literal["data", "transient", "environment", "bug"]


class Fault(NamedTuple):
    """What an SQLSTATE means.

    Attributes:
        kind: ``data``: some record cannot be stored: find it and quarantine it. ``transient``: check the ledger, then
            retry the batch on a new connection. ``environment``: fail the run, quarantine nothing. ``bug``: an error
            in this package, or a schema of another version.
        problem: What happened, as a clause that begins with the database.
        remedy: What to do, as a sentence without the final period.
    """

    kind: Kind
    problem: str
    remedy: str


_AGAIN: Final = "Run it again"
_OF_SCHEMA: Final = Fault(
    "bug",
    "the database lacks a table, column or schema that this version uses",
    "If schema etl is missing or older than this version, run: etl-assets migrate",
)

_LOST: Final = Fault("transient", "the connection to the database was lost", _AGAIN)

_OUTDATED_PLAN: Final = Fault(
    "transient", "the columns of a table were changed since the session planned a statement", _AGAIN
)

FAULTS: Final[Mapping[str, Fault]] = {
    "": _LOST,
    "08": _LOST,
    "22": Fault("data", "the database cannot store a value", "Correct the declaration of its column"),
    "23": Fault("data", "a constraint of the table does not allow a row", "Correct the declaration or the constraint"),
    "25006": Fault(
        "environment",
        "the database is read-only",
        "If it is a standby, name the primary in ETL_ASSETS_DATABASE_URL; else let it accept writes "
        "(default_transaction_read_only)",
    ),
    "25P03": Fault("transient", "the database ended a transaction that was idle for too long", _AGAIN),
    "28": Fault(
        "environment", "the database does not accept the user or the password", "Correct ETL_ASSETS_DATABASE_URL"
    ),
    "3D": Fault("environment", "there is no such database", "Create it, or correct ETL_ASSETS_DATABASE_URL"),
    "3F000": _OF_SCHEMA,
    "40001": Fault("transient", "the database could not order this transaction among others", _AGAIN),
    "40P01": Fault("transient", "the database ended a deadlock with another transaction", _AGAIN),
    "42501": Fault(
        "environment",
        "the database user lacks a right",
        "Grant it; the server's log names the object, and docs/operating.md lists the rights of each role",
    ),
    "42703": _OF_SCHEMA,
    "42883": _OF_SCHEMA,
    "42P01": _OF_SCHEMA,
    "53": Fault("environment", "the database lacks a resource that its log names", "Provide it, then run it again"),
    "53100": Fault(
        "environment", "the disk of the database has no space left", "Free or add disk space, then run it again"
    ),
    "53200": Fault("environment", "the database has no memory left", "Give its machine more memory, then run it again"),
    "53300": Fault(
        "transient", "the database has too many connections", "Close some or raise max_connections, then run it again"
    ),
    "54000": Fault("data", "a row is too big for the database", "Correct the declaration"),
    "54001": Fault("data", "a value is nested too deeply for the database", "Correct the declaration"),
    "54011": Fault("environment", "the table would have too many columns", "Declare fewer columns"),
    "55P03": Fault(
        "transient",
        "another session held a lock for longer than this one waits (lock_timeout)",
        "End that session or wait for it (pg_stat_activity shows it), then run it again",
    ),
    "57014": Fault(
        "transient",
        "the database cancelled a statement: it exceeded statement_timeout, or an administrator cancelled it",
        "Raise statement_timeout for this user if that is the cause, then run it again",
    ),
    "57P01": Fault("transient", "the database is shutting down, or an administrator ended the session", _AGAIN),
    "57P02": Fault("transient", "the server of the database crashed and restarts", _AGAIN),
    "57P03": Fault("transient", "the database is starting or shutting down", _AGAIN),
    "57P05": Fault("transient", "the database ended a session that was idle for too long", _AGAIN),
    "58": Fault("environment", "the server of the database cannot read or write a file", "Ask who runs the server"),
    "F0": Fault("environment", "the server of the database has a faulty configuration file", "Ask who runs the server"),
    "XX": Fault("environment", "the database reports an internal error", "Ask who runs the server to read its log"),
}
"""By SQLSTATE, by its first two characters, which are its class, and by the empty text for errors without one."""
_UNKNOWN: Final = Fault(
    "bug",
    "the database refused a statement",
    "The server's log has the statement; report it if the declaration is correct",
)
_WITHOUT_CODE: Final[Mapping[str, Fault]] = {
    "DataError": Fault("data", "a value cannot be sent to the database", "Correct the declaration of its column"),
    "ProgrammingError": Fault("bug", "a statement cannot be sent to the database", "Report it"),
}
"""By the class of an error that the driver raises before it asks the server."""


def fault_of(error: BaseException) -> Fault:
    """Return what an error of psycopg, or of psycopg2, means."""
    code = _sqlstate(error)
    if not code and (fault := _WITHOUT_CODE.get(type(error).__name__)):
        return fault
    if code == "0A000" and getattr(getattr(error, "diag", None), "source_function", None) == "RevalidateCachedQuery":
        return _OUTDATED_PLAN
    return FAULTS.get(code) or FAULTS.get(code[:2], _UNKNOWN)


def describe(error: BaseException) -> str:
    """Describe an error without record contents: its code, and the table, column or constraint that it names.

    Its text and its details can contain values.
    """
    diag: Any = getattr(error, "diag", None)
    objects = [
        f"{kind} {name}" for kind in ("table", "column", "constraint") if (name := getattr(diag, f"{kind}_name", None))
    ]
    code = _sqlstate(error) or "no SQLSTATE"
    return f"{type(error).__name__} ({code}{', ' + ', '.join(objects) if objects else ''})"


def translate(error: BaseException, action: str = "") -> LoadError:
    """Return the error of this package for an error of psycopg or psycopg2.

    Args:
        error: The error that the driver raised.
        action: What was being done, e.g. ``batch 3 of delivery 7 of flights``; may be empty.
    """
    fault = fault_of(error)
    problem = f"{action}: {fault.problem}" if action else fault.problem[0].upper() + fault.problem[1:]
    undone = "What was not committed was rolled back" if fault is _LOST else "The transaction wrote nothing"
    text = f"{problem}: {describe(error)}. {undone}. {fault.remedy}."
    match fault.kind:
        case "transient":
            return TransientLoadError(text)
        case "environment":
            return EnvironmentFaultError(text)
        case _:
            return LoadError(text)


@contextmanager
def translating(action: str = "") -> Iterator[None]:
    """Raise the error of this package for an error that psycopg raises in a block.

    Args:
        action: What the block does, as for `translate`.
    """
    try:
        yield
    except psycopg.Error as error:
        raise translate(error, action) from None


def database_error_in(error: BaseException) -> BaseException | None:
    """Return the driver's error that caused another error, such as one of SQLAlchemy; None if there is none."""
    cause: BaseException | None = error
    while cause is not None and not hasattr(cause, "diag"):
        cause = getattr(cause, "orig", None) or cause.__cause__
    return cause


def _sqlstate(error: BaseException) -> str:
    return getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""
