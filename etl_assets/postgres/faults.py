"""What a database error means, decided by its SQLSTATE and never by its Python class.

psycopg files "row too big" under the same class as "connection lost": retrying by class would spin for ever on one
record. Source of the codes: PostgreSQL documentation, appendix A.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal

import psycopg

from etl_assets.errors import EnvironmentFaultError, LoadError, TransientLoadError

if TYPE_CHECKING:
    from collections.abc import Iterator

Fault = Literal["data", "transient", "environment", "bug"]

_DATA_CLASSES: Final = ("22", "23")
_DATA_CODES: Final = frozenset({"54000", "54001"})
_TRANSIENT_CLASSES: Final = ("08",)
_TRANSIENT_CODES: Final = frozenset(
    {"40001", "40P01", "53300", "55P03", "57014", "57P01", "57P02", "57P03", "57P05", "25P03"}
)
_ENVIRONMENT_CLASSES: Final = ("28", "3D", "53", "58", "XX", "F0")
_ENVIRONMENT_CODES: Final = frozenset({"54011", "42501", "25006"})


def fault_of(error: psycopg.Error) -> Fault:
    """Say what kind of fault an error is.

    Args:
        error: Any error of psycopg's.

    Returns:
        ``data``: some record cannot be stored: find it and quarantine it. ``transient``: try the batch again on a new
        connection, after asking the ledger. ``environment``: fail the run, quarantine nothing. ``bug``: ours.
    """
    code = error.sqlstate
    if code is None:
        return "data" if type(error).__name__ == "DataError" else "transient"
    if code in _DATA_CODES or code.startswith(_DATA_CLASSES):
        return "data"
    if code in _TRANSIENT_CODES or code.startswith(_TRANSIENT_CLASSES):
        return "transient"
    if code in _ENVIRONMENT_CODES or code.startswith(_ENVIRONMENT_CLASSES):
        return "environment"
    return "bug"


def describe(error: psycopg.Error) -> str:
    """An error in words that hold no record contents: its code, and the table, column or constraint it names."""
    diag = error.diag
    named = [
        f"{what} {name}"
        for what, name in (
            ("table", diag.table_name),
            ("column", diag.column_name),
            ("constraint", diag.constraint_name),
        )
        if name
    ]
    code = error.sqlstate or "no SQLSTATE"
    return f"{type(error).__name__} ({code}{', ' + ', '.join(named) if named else ''})"


def translate(error: psycopg.Error, what: str) -> LoadError:
    """Make the error that a caller of the loader sees.

    Args:
        error: What psycopg raised.
        what: What was being done, e.g. ``batch 3 of delivery 7 of flights``.
    """
    told = describe(error)
    match fault_of(error):
        case "transient":
            return TransientLoadError(
                f"{what}: the database broke off with {told}. The transaction was rolled back whole; run it again."
            )
        case "environment":
            return EnvironmentFaultError(
                f"{what}: the database cannot go on: {told}. The transaction was rolled back whole and nothing was "
                "quarantined. Give the database room or rights as its log says, then run it again."
            )
        case fault:
            return LoadError(
                f"{what}: the database refused a statement: {told} ({fault}). The transaction was rolled back whole. "
                "The server's log has the statement; report it if the declaration is sound."
            )


@contextmanager
def translating(what: str) -> Iterator[None]:
    """Make errors of ours of what psycopg raises in a block.

    Args:
        what: What is done in it, as for `translate`.
    """
    try:
        yield
    except psycopg.Error as error:
        raise translate(error, what) from None
