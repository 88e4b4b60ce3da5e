"""A connection stores any text, in every way in which a text is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from psycopg.types.json import Jsonb

from etl_assets.postgres.connection import connected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.postgres.connection import Connection

_TEXT = "a\0b \udcff \ud800 \\u0000 é"
_STORED = r"a\x00b \xff \ud800 \u0000 é"


@pytest.fixture
def connection(postgres_url: str) -> Iterator[Connection]:
    with connected(postgres_url) as connection:
        yield connection


@pytest.mark.parametrize(
    ("placeholder", "sent", "stored"),
    [
        ("%s::text", _TEXT, _STORED),
        ("%b::text", _TEXT, _STORED),
        ("%s::text[]", [_TEXT], [_STORED]),
        ("%b", [_TEXT], [_STORED]),
        ("%s", Jsonb({_TEXT: [_TEXT, (1, None, True)]}), {_STORED: [_STORED, [1, None, True]]}),
    ],
)
def test_a_text_is_stored_with_escapes(connection: Connection, placeholder: str, sent: Any, stored: Any) -> None:
    row = connection.execute(f"SELECT {placeholder}".encode(), (sent,)).fetchone()
    assert row == (stored,)


def test_a_copied_text_is_stored_with_escapes(connection: Connection) -> None:
    connection.execute("CREATE TEMPORARY TABLE x (one text, many text[], facts jsonb)")
    for options in (b"", b"(FORMAT BINARY)"):
        with connection.cursor() as cursor, cursor.copy(b"COPY x FROM STDIN " + options) as copy:
            copy.set_types(["text", "text[]", "jsonb"])
            copy.write_row((_TEXT, [_TEXT], Jsonb([_TEXT])))
    assert connection.execute("SELECT * FROM x").fetchall() == [(_STORED, [_STORED], [_STORED])] * 2


def test_a_text_takes_the_type_of_its_column(connection: Connection) -> None:
    assert connection.execute("SELECT 1 + %s, current_date > %s", ("2", "2020-01-01")).fetchone() == (3, True)
