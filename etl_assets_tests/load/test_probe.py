"""Few rows, whose keys are parameters, are compared with a table as many rows are."""

from __future__ import annotations

import polars as pl
import pytest

from etl_assets.postgres.connection import connect
from etl_assets.postgres.tables.ddl import ensure_table
from etl_assets.postgres.tables.probe import Probe
from etl_assets.postgres.tables.range_partitions import Pruning
from etl_assets.schema import ROW_HASH, Column, Schema

TABLE = "core.things"
ONE = Schema((Column("code", "text", required=True),), key=("code",))
TWO = Schema(
    (Column("code", "text", required=True), Column("number", "integer", required=True)), key=("code", "number")
)
SHARED_NAMES = Schema(
    tuple(Column(name, "text", required=True) for name in ("place", "u", "p", "t", "code", "answer")),
    key=("place", "u", "p", "t", "code", "answer"),
)
DATED = Schema((Column("day", "date", required=True),), key=("day",))
TEXTS = ("", "a", "é", "{", "}", ",", '"', "\\", "NULL", "null", " a ", "a\nb", "%s", "'")


def rows(schema: Schema) -> pl.DataFrame:
    """Return rows with keys that differ in the characters that lists are written with."""
    frame = pl.DataFrame({"code": TEXTS}).with_columns(
        (pl.int_range(pl.len()) - 2**62).alias("number"),
        pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 1, len(TEXTS))).alias("day"),
        pl.int_range(pl.len()).alias(ROW_HASH),
        *(pl.col("code").alias(name) for name in SHARED_NAMES.key if name != "code"),
    )
    return frame.select(*schema.key, ROW_HASH)


@pytest.mark.parametrize(
    "schema", [ONE, TWO, DATED, SHARED_NAMES], ids=["text", "text and integer", "date", "names of the statement"]
)
@pytest.mark.parametrize("fills_table", [False, True])
def test_rows_are_found_to_be_new_changed_and_unchanged(migrated_url: str, schema: Schema, fills_table: bool) -> None:  # noqa: FBT001
    with connect(migrated_url) as connection:
        ensure_table(connection, TABLE, schema)
        probe = Probe(connection, TABLE, schema, Pruning(connection, TABLE), fills_table=fills_table)
        every = rows(schema)
        for place, values in enumerate(every.rows()):
            if place % 3:
                statement = f"INSERT INTO {TABLE} VALUES ({'%s, ' * len(schema.key)}%s, 1, %s)"
                delivery, hash_ = 1 + place % 2, values[-1] + (place % 3 == 1)
                connection.execute(statement.encode(), (*values[:-1], delivery, hash_))
        with connection.transaction():
            found = probe.compare(every, others_than=1, own=2)
            has_table = connection.execute("SELECT to_regclass('pg_temp.etl_probe') IS NOT NULL").fetchone()
        places = range(len(TEXTS))
        assert found.new.tolist() == [place for place in places if place % 3 == 0]
        assert found.differing.tolist() == [place for place in places if place % 3 == 1]
        assert found.others == sum(1 for place in places if place % 3 == 2 and place % 2)
        assert found.own.tolist() == [place for place in places if place % 3 and place % 2]
        assert has_table == (fills_table or schema is DATED,)


@pytest.mark.parametrize("schema", [ONE, DATED], ids=["text", "date"])
@pytest.mark.parametrize("fills_table", [False, True])
def test_no_rows_are_compared_without_an_error(migrated_url: str, schema: Schema, fills_table: bool) -> None:  # noqa: FBT001
    with connect(migrated_url) as connection:
        ensure_table(connection, TABLE, schema)
        probe = Probe(connection, TABLE, schema, Pruning(connection, TABLE), fills_table=fills_table)
        with connection.transaction():
            probe.compare(rows(schema))
            found = probe.compare(rows(schema).clear())
            if fills_table:
                assert connection.execute("SELECT count(*) FROM pg_temp.etl_probe").fetchone() == (0,)
        assert (found.new.tolist(), found.differing.tolist(), found.others, found.own.tolist()) == ([], [], 0, [])
