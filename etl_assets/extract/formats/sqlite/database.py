"""Opens an SQLite database that may be hostile: read only, without extensions, with limits of size and time."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from etl_assets.errors import DeliveryError, DeliveryIncompleteError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAGIC: Final = b"SQLite format 3\0"
_HEADER: Final = 100
_SMALLEST_LIMIT: Final = 1024**2
_INSTRUCTIONS: Final = 20_000
"""After so many instructions of SQLite, the time is compared with its limit."""
_LIMITS: Final = {
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 100,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 250_000,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1_000,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_PRAGMAS: Final = ("trusted_schema=OFF", "query_only=ON", "cell_size_check=ON", "mmap_size=0", "cache_size=-16384")
_ALLOWED: Final = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
_REFUSED_FUNCTIONS: Final = frozenset(
    {"load_extension", "random", "randomblob", "current_date", "current_time", "current_timestamp", "fts3_tokenizer"}
)
"""Functions that load code, or whose value is another each time."""
_OF_CONTENTS: Final = (" value in ", "CHECK constraint failed")
"""Parts of what a check reports about values, which the validator judges, and not about the structure."""
_SHOWN: Final = 200


class TimeLimit:
    """The CPU time that SQLite has left; it runs within ``with`` blocks alone.

    Args:
        seconds: At the start.
    """

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._begin = 0.0

    def __enter__(self) -> None:
        self._begin = time.thread_time()

    def __exit__(self, *_: object) -> None:
        self._left -= time.thread_time() - self._begin

    def is_over(self) -> bool:
        """Return whether the time is over, which interrupts SQLite."""
        return time.thread_time() - self._begin > self._left


@contextmanager
def opened(path: Path, where: str, limit: TimeLimit, size: int) -> Iterator[sqlite3.Connection]:
    """Open a database for reading.

    Args:
        path: A file that nobody writes.
        where: Its name in errors.
        limit: Of the time that SQLite computes.
        size: Largest size of a row or value, in bytes.

    Raises:
        DeliveryError: If the file is no SQLite database.
    """
    _check_header(path, where)
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
    try:
        for category, most in _LIMITS.items():
            connection.setlimit(category, most)
        with refusing(where, [], size):
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(size, _SMALLEST_LIMIT))
        connection.set_progress_handler(limit.is_over, _INSTRUCTIONS)
        yield connection
    finally:
        connection.close()


def restrict(connection: sqlite3.Connection, virtual: frozenset[str]) -> None:
    """Let a connection do nothing but read, and not from virtual tables.

    Args:
        connection: Can run no PRAGMA afterwards.
        virtual: Names of the virtual tables.
    """

    def authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _REFUSED_FUNCTIONS:
            return sqlite3.SQLITE_DENY
        if action == sqlite3.SQLITE_READ and first in virtual:
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY

    connection.set_authorizer(authorize)


def check_structure(connection: sqlite3.Connection, table: str | None, where: str) -> None:
    """Check the pages of a table, or of the whole database.

    Args:
        connection: Not restricted yet.
        table: Its name, quoted; None for the whole database.
        where: Name of the file in errors.

    Raises:
        DeliveryError: If the structure is damaged.
    """
    only = f"({table})" if table and sqlite3.sqlite_version_info >= (3, 33) else "(1000)"
    for (message,) in connection.execute(f"PRAGMA quick_check{only}"):
        if message != "ok" and not any(part in message for part in _OF_CONTENTS):
            raise refused(where, "is damaged: SQLite's quick_check finds errors", "Fetch it again")


@contextmanager
def refusing(where: str, tables: list[str], size: int) -> Iterator[None]:
    """Raise a `DeliveryError` if SQLite cannot do what a block does.

    Args:
        where: Name of the file in errors.
        tables: Names of its tables and views, for errors.
        size: Largest size of a row or value.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _error_of(error, where, tables, size) from None
    except UnicodeDecodeError:
        raise refused(where, "has names that are not UTF-8", "Ask the publisher for other names") from None


def _error_of(error: sqlite3.Error, where: str, tables: list[str], size: int) -> DeliveryError:
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_INTERRUPT":
        return refused(where, "takes longer to read than it may", "Raise seconds, or check the query and the views")
    if name == "SQLITE_TOOBIG":
        problem = f"has a row or value of more than {max(size, _SMALLEST_LIMIT):,} bytes"
        return refused(where, problem, "Raise batch_bytes, or select other columns by a query")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_IOERR")):
        return refused(where, f"is damaged ({name})", "Fetch it again; if that does not help, ask the publisher")
    message = str(error)[:_SHOWN]
    listed = ", ".join(tables) or "none"
    return refused(where, f"cannot be read: {message}. Its tables and views are: {listed}", "Correct table or query")


def refused(where: str, problem: str, remedy: str) -> DeliveryError:
    """Return the error that a file is not read."""
    return DeliveryError(f"{where} {problem}. Nothing of it was written. {remedy}.")


def _check_header(path: Path, where: str) -> None:
    with path.open("rb") as file:
        header = file.read(_HEADER)
    if len(header) < _HEADER and (header[: len(_MAGIC)] == _MAGIC[: len(header)]) and header:
        raise _incomplete(where)
    if not header.startswith(_MAGIC):
        problem = "is empty" if not header else "is not an SQLite database, or is encrypted"
        raise refused(where, problem, "Check the feed; have the publisher send it without encryption")
    page_size = int.from_bytes(header[16:18], "big")
    pages = int.from_bytes(header[28:32], "big")
    has_size = header[24:28] == header[92:96]
    if has_size and path.stat().st_size < pages * (65_536 if page_size == 1 else page_size):
        raise _incomplete(where)


def _incomplete(where: str) -> DeliveryIncompleteError:
    return DeliveryIncompleteError(
        f"{where} is cut short: it has fewer pages than its header says. Nothing of it was written. "
        "Fetch it again once the publisher has finished it."
    )
