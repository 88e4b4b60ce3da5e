"""Answers of the database that are read whole: one value, whatever the number of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from psycopg import sql

from etl_assets.postgres.tables.copy import read_codes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.postgres.connection import Connection


@pytest.fixture
def connection(migrated_url: str) -> Iterator[Connection]:
    from etl_assets.postgres.connection import connected

    with connected(migrated_url) as connection, connection.transaction(force_rollback=True):
        yield connection


def test_every_integer_of_an_answer_is_returned(connection: Connection) -> None:
    query = sql.SQL("SELECT n FROM generate_series(%(first)s::integer, 200000) n")
    codes = read_codes(connection, query, {"first": -3})
    assert sorted(codes.tolist()) == list(range(-3, 200_001))


def test_an_answer_without_rows_has_no_integers(connection: Connection) -> None:
    assert read_codes(connection, sql.SQL("SELECT 1 WHERE false")).tolist() == []


def test_a_change_is_made_and_answers_with_what_it_returns(connection: Connection) -> None:
    connection.execute("CREATE TEMP TABLE numbers ON COMMIT DROP AS SELECT n::integer FROM generate_series(1, 9) n")
    codes = read_codes(connection, sql.SQL("DELETE FROM numbers WHERE n > %(most)s RETURNING n * 2"), {"most": 6})
    assert sorted(codes.tolist()) == [14, 16, 18]
    assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (6,)
