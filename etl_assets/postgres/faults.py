"""Classifies database errors by their SQLSTATE, never by their Python class.

psycopg has the same class for "row too big" and "connection lost": a retry by class would repeat for ever for one
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
    """Return what kind of fault an error is.

    Args:
        error: Any psycopg error.

    Returns:
        ``data``: some record cannot be stored: find it and quarantine it. ``transient``: check the ledger, then retry
        the batch on a new connection. ``environment``: fail the run, quarantine nothing. ``bug``: an error in this
        package.
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
    """Describe an error without record contents: its code, and the table, column or constraint that it names."""
    diag = error.diag
    objects = [
        f"{kind} {name}"
        for kind, name in (
            ("table", diag.table_name),
            ("column", diag.column_name),
            ("constraint", diag.constraint_name),
        )
        if name
    ]
    code = error.sqlstate or "no SQLSTATE"
    return f"{type(error).__name__} ({code}{', ' + ', '.join(objects) if objects else ''})"


def translate(error: psycopg.Error, action: str) -> LoadError:
    """Return the error of this package for an error of psycopg.

    Args:
        error: The error that psycopg raised.
        action: What was being done, e.g. ``batch 3 of delivery 7 of flights``.
    """
    description = describe(error)
    match fault_of(error):
        case "transient":
            return TransientLoadError(
                f"{action}: the database failed temporarily: {description}. The whole transaction was rolled "
                "back; run it again."
            )
        case "environment":
            return EnvironmentFaultError(
                f"{action}: the database cannot continue: {description}. The whole transaction was rolled back and "
                "nothing was quarantined. Give the database the space or rights that its log names, then run it again."
            )
        case fault:
            return LoadError(
                f"{action}: the database refused a statement: {description} ({fault}). The whole transaction was "
                "rolled back. The server's log has the statement; report it if the declaration is correct."
            )


@contextmanager
def translating(action: str) -> Iterator[None]:
    """Raise the error of this package for an error that psycopg raises in a block.

    Args:
        action: What the block does, as for `translate`.
    """
    try:
        yield
    except psycopg.Error as error:
        raise translate(error, action) from None
