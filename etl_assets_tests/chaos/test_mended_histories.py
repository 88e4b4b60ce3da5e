"""Histories that once ended in another table than the oracle computes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl
import pytest

from etl_assets.errors import QuarantineError
from etl_assets.extract.formats.csv import Csv
from etl_assets.graph.assets.frames import FrameTarget, write_frame
from etl_assets.graph.assets.stream import Stream
from etl_assets.load.writers import Upsert
from etl_assets.model.partitions import Partition
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import decisions
from etl_assets.schema import Column, Schema
from etl_assets_tests.ingest.world import GOODS, World

if TYPE_CHECKING:
    from pathlib import Path

LONG = "x" * 40
"""Makes a record a batch of its own."""
STRICT = Schema(
    (
        Column("code", "text", required=True),
        Column("amount", "integer", maximum=1, null=("2",)),
        Column("version", "integer", required=True),
        Column("note", "text"),
    ),
    key=("code",),
    order_by="version",
)
CAPPED = replace(GOODS, columns=(GOODS["code"], Column("amount", "integer", maximum=1), GOODS["note"]))
LOOSE = replace(STRICT, columns=(STRICT["code"], Column("amount", "integer"), *STRICT.columns[2:]))


@pytest.fixture
def world(migrated_url: str, tmp_path: Path) -> World:
    return World(migrated_url, tmp_path)


def run(world: World, file: str | None = None, *, force: bool = False) -> None:
    """Run a partition as Dagster does, without landing again."""
    partition = world.source.partition(file)
    stream = Stream(world.source, partition, "run", force=force, batches=(), on_refusal=lambda *_: None)
    stream.load(world.warehouse)


def test_a_row_of_a_later_batch_is_not_confirmed_by_a_record_with_other_contents(world: World) -> None:
    ordered = world.other(schema=STRICT, files=True, format=Csv(batch_bytes=64))
    for file, lines in {"q.csv": (f"plum,3,1,{LONG}", f"plum,2,3,{LONG}"), "r.csv": (f"plum,1,1,{LONG}",)}.items():
        ordered.publish(*lines, file=file, header="code,amount,version,note")
    ordered.load(ordered.land("q.csv").delivery)
    ordered.schema = LOOSE
    ordered.land("r.csv")
    run(ordered, "r.csv")
    run(ordered, "q.csv")
    assert ordered.rows() == [("plum", 2, 3, LONG)]


def test_a_frame_that_was_committed_and_not_completed_is_not_refused(world: World) -> None:
    target = FrameTarget("asset stock", "core.stock", "core.stock", Partition("a", "a"), ("code",), Upsert())
    write_frame(pl.DataFrame({"code": ["fig", "plum"]}), target, world.warehouse, "run")
    world.query("UPDATE etl.delivery SET status = 'loading' RETURNING 1")  # as a run leaves it that is killed here
    write_frame(pl.DataFrame({"code": ["fig"]}), target, world.warehouse, "run")
    assert world.query("SELECT status FROM etl.delivery ORDER BY id") == [("complete",), ("complete",)]


def test_a_dismissed_correction_gives_way_to_bytes_that_became_valid(world: World) -> None:
    world.schema = CAPPED
    world.take("plum,7,")
    world.correct(world.waiting()[0], amount="many")
    world.replay()
    world.schema = GOODS
    run(world)
    with connected(world.url) as connection:
        decisions.dismiss(connection, [record.id for record in world.waiting()], "ada", None)
    run(world)
    assert world.rows() == [("plum", 7, None)]


def test_a_dismissed_record_whose_bytes_became_valid_cannot_be_corrected(world: World) -> None:
    world.schema = CAPPED
    world.take("plum,7,")
    (record,) = world.waiting()
    with connected(world.url) as connection:
        decisions.dismiss(connection, [record.id], "ada", None)
    world.schema = GOODS
    run(world)
    with pytest.raises(QuarantineError, match="not waiting"):
        world.correct(record, amount="many")
    assert world.rows() == [("plum", 7, None)]
    assert world.violations() == []
