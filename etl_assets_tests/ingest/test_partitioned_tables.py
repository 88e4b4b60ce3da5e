"""Tables that are cut into child tables by a date: where rows go, in every write mode, and what is refused."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import Append, Column, PartitionBy, Replace, Schema, Snapshot, UniqueTogether, Upsert
from etl_assets.errors import IncompatibleTableError, LoadError
from etl_assets.extract.formats.csv import Csv
from etl_assets.postgres.connection import connected
from etl_assets.postgres.tables import range_partitions

if TYPE_CHECKING:
    from etl_assets.load.writers import Writer
    from etl_assets_tests.ingest.world import World

HEADER = "day,code,amount"
DAYS = Schema(
    (
        Column("day", "date", required=True),
        Column("code", "text", required=True),
        Column("amount", "integer"),
    ),
    key=("day", "code"),
)
BY_MONTH = PartitionBy("day", every="month")


def cut(world: World, by: PartitionBy = BY_MONTH, write: Writer | None = None, **changes: Any) -> World:
    """Return the same source with child tables."""
    schema = changes.pop("schema", DAYS)
    if write is not None and not write.needs_key and "keep_key" not in changes:
        schema = replace(schema, key=())
    changes.pop("keep_key", None)
    return world.other(schema=schema, more={"partition_by": by, "write": write or Upsert()}, **changes)


def children(world: World) -> dict[str, int]:
    """Return the child tables of the source, each with its number of rows."""
    found = world.query(
        "SELECT c.relname, (SELECT count(*) FROM core.{0} t WHERE t.tableoid = c.oid) FROM pg_inherits i "
        "JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'core.{0}'::regclass ORDER BY 1".format(world.name)
    )
    return {name.removeprefix(f"core.{world.name}."): rows for name, rows in found}


@pytest.mark.parametrize("write", [Upsert(), Snapshot(max_deleted=1.0), Append(), Replace()], ids=repr)
def test_rows_go_into_the_child_table_of_their_month(world: World, write: Writer) -> None:
    here = cut(world, write=write)
    here.take("2024-01-31,a,1", "2024-02-01,a,1", "2024-02-29,b,2", header=HEADER)
    assert children(here) == {"2024-01": 1, "2024-02": 2}
    here.take("2024-01-31,a,2", "2024-02-01,a,1", "2024-02-29,b,2", "2024-03-01,c,1", header=HEADER)
    own = 2 if isinstance(write, Append) else 1
    assert children(here) == {"2024-01": own, "2024-02": 2 * own, "2024-03": 1}
    assert here.violations() == []
