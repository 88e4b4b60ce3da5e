"""Keys that are close together are found in the order of the key, and all others one by one."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from etl_assets.postgres.connection import connect
from etl_assets.postgres.tables.ddl import ensure_table
from etl_assets.postgres.tables.key_range import KeyRange
from etl_assets.postgres.tables.range_partitions import Pruning
from etl_assets.schema import Column, Schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.postgres.connection import Connection

MANY = 1_000


@pytest.fixture
def connection(migrated_url: str) -> Iterator[Connection]:
    with connect(migrated_url) as connection:
        yield connection


def key_range(connection: Connection, type_: Any, values: str) -> KeyRange:
    """Return the range of a table that has 20,000 rows; SQL says which key the row ``i`` has."""
    schema = Schema((Column("k", type_, required=True),), key=("k",))
    ensure_table(connection, "core.things", schema)
    insert = f"INSERT INTO core.things SELECT {values}, 1, i, i FROM generate_series(1, 20000) i"
    connection.execute(insert.encode())
    return KeyRange(connection, "core.things", schema, Pruning(connection, "core.things"))


def is_read_in_order(connection: Connection, range_: KeyRange, values: list[Any]) -> bool:
    """Return whether a batch is found in the order of its keys."""
    with connection.transaction(), range_.joined(pl.DataFrame({"k": values})) as within:
        row = connection.execute("SELECT current_setting('enable_nestloop')").fetchone()
    in_order = row == ("off",)
    assert in_order == bool(within.as_string(connection))
    found = "SELECT count(*) FROM core.things t WHERE k = ANY (%s)"
    narrowed = f"{found}{within.as_string(connection)}"
    assert (
        connection.execute(narrowed.encode(), (values,)).fetchone() == connection.execute(found, (values,)).fetchone()
    )
    return in_order


def test_keys_that_are_close_together_are_found_in_order(connection: Connection) -> None:
    range_ = key_range(connection, "integer", "i")
    assert is_read_in_order(connection, range_, list(range(5000, 5000 + MANY)))
    assert is_read_in_order(connection, range_, list(range(1, 4 * MANY, 4)))


def test_it_counts_what_the_table_has_and_not_how_far_the_keys_are_apart(connection: Connection) -> None:
    range_ = key_range(connection, "integer", "i * 1000")
    assert is_read_in_order(connection, range_, list(range(0, MANY * 1000, 1000)))


def test_dates_are_found_in_order(connection: Connection) -> None:
    range_ = key_range(connection, "date", "date '2000-01-01' + i")
    assert is_read_in_order(connection, range_, [date(2001, 1, 1) + timedelta(days=n) for n in range(MANY)])


def test_one_key_far_from_the_others_lets_them_be_found_one_by_one_and_later_batches_too(
    connection: Connection,
) -> None:
    range_ = key_range(connection, "integer", "i")
    assert not is_read_in_order(connection, range_, [*range(1, MANY), 20000])
    assert not is_read_in_order(connection, range_, list(range(1, MANY + 1)))


def test_few_keys_and_texts_are_found_one_by_one(connection: Connection) -> None:
    range_ = key_range(connection, "integer", "i")
    assert not is_read_in_order(connection, range_, list(range(1, MANY)))
    connection.execute("DROP TABLE core.things")
    range_ = key_range(connection, "text", "i::text")
    assert not is_read_in_order(connection, range_, [f"{n:05}" for n in range(MANY)])
