"""Queries that people write, in a session that only reads."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.types.string import TextLoader

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from psycopg.adapt import AdaptersMap
    from psycopg.pq.abc import PGconn

READ_ONLY: Final = "-c default_transaction_read_only=on"
"""The option of a connection in which no statement writes by mistake."""
_ANY_TYPE: Final = 0


@dataclass(frozen=True)
class Answer:
    """The answer to a query.

    Attributes:
        columns: The names of its columns; none if the statement has no rows, such as SET.
        rows: Its rows, which are fetched while they are read.
    """

    columns: Sequence[str]
    rows: Iterator[Sequence[Any]]


@contextmanager
def answer(url: str, query: str, *, typed: bool = False) -> Iterator[Answer]:
    """Ask a query for a block.

    Args:
        url: ``postgresql://user:password@host:port/database``.
        query: One statement.
        typed: Whether values are of Python's types; else they are texts, as the server writes them.

    Raises:
        psycopg.Error: If the server refuses the statement, also while rows are read.
    """
    with (
        psycopg.connect(url, autocommit=True, options=READ_ONLY, application_name="etl_assets_sql") as connection,
        connection.cursor() as cursor,
    ):
        if not typed:
            cursor.adapters.register_loader(_ANY_TYPE, TextLoader)
            for loader in _typed_loaders(cursor.adapters):
                cursor.adapters.register_loader(loader, TextLoader)
        columns = _columns(connection.pgconn, query.encode())
        if not columns:
            cursor.execute(query.encode())
            yield Answer((), iter(()))
            return
        with closing(cast("Generator[tuple[Any, ...]]", cursor.stream(query.encode()))) as rows:
            yield Answer(columns, rows)


def _columns(session: PGconn, query: bytes) -> list[str]:
    """Return the names of the columns that a statement answers with.

    Raises:
        psycopg.Error: If it is not one statement, or names what does not exist.
    """
    for result in (session.prepare(b"", query), session.describe_prepared(b"")):
        if result.status != ExecStatus.COMMAND_OK:
            raise error_from_result(result)
    return [(result.fname(position) or b"").decode() for position in range(result.nfields)]


def _typed_loaders(adapters: AdaptersMap) -> list[int]:
    """Return the types whose values would be loaded as other values than texts."""
    return [info.oid for info in adapters.types] + [info.array_oid for info in adapters.types if info.array_oid]
