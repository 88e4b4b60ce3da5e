"""A reload of some batches of a delivery: only they are read, and the sums stay right."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import ingest
from etl_assets.errors import LoadError
from etl_assets.load import PostgresLoader
from etl_assets.load.transaction import BatchTransaction
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries
from etl_assets.schema import Column, References, Schema
from etl_assets_tests.ingest.world import GOODS

if TYPE_CHECKING:
    from collections.abc import Collection

    from etl_assets.load import LoadReport
    from etl_assets.load.prepare import Prepared
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.ledger.entries import Entry
    from etl_assets_tests.ingest.world import World

_CODES = [f"{first}{second}{third}" for first in "abcdef" for second in "abcdefghij" for third in "abcdefghijklmnop"]


def lines(*more: str, note: str = "of such a length that there are batches") -> list[str]:
    """Enough records for several batches of the world's format."""
    return [f"{code},{number},{note}" for number, code in enumerate(_CODES)] + list(more)


def newest(world: World) -> Delivery:
    with connected(world.url) as connection:
        delivery = deliveries.newest(connection, world.name, "")
    assert delivery is not None
    return delivery


def load(
    world: World, batches: Collection[int] = (), transaction: type[BatchTransaction] = BatchTransaction
) -> LoadReport:
    source = replace(world.source, loader=PostgresLoader(transaction=transaction))
    return ingest.load(source, newest(world), world.warehouse, "again", batches=batches)


def by_generation(world: World) -> list[tuple[Any, ...]]:
    return world.query(
        "SELECT generation, array_agg(number ORDER BY number), min(run_id) FROM etl.batch WHERE kind = 'ingest' "
        "GROUP BY 1 ORDER BY 1"
    )


def test_only_the_named_batches_are_read_and_the_entries_of_the_others_stay(world: World) -> None:
    world.take(*lines())
    every = [span.batch for span in newest(world).manifest.spans]
    assert len(every) > 3
    reloaded = every[1:3]
    report = load(world, reloaded)
    records = {span.batch: span.records for span in newest(world).manifest.spans}
    assert report.written.read == report.written.unchanged == sum(records[number] for number in reloaded)
    assert by_generation(world) == [(1, reloaded, "run"), (2, every, "again")]
    assert world.query("SELECT count(*) FROM etl.batch WHERE run_id = 'again'") == [(len(reloaded),)]
    assert world.violations() == []


def test_a_lost_row_comes_back_when_its_batch_is_reloaded_and_no_other_row_does(world: World) -> None:
    world.take(*lines())
    spans = newest(world).manifest.spans
    lost = [spans[0].first_record, spans[2].first_record]
    with connected(world.url) as connection:
        connection.execute("DELETE FROM core.goods WHERE _record_no = ANY (%s)", (lost,))
    load(world, [spans[2].batch])
    stored = world.query("SELECT _record_no FROM core.goods")
    assert (lost[0],) not in stored
    assert (lost[1],) in stored


def test_a_record_of_a_reloaded_batch_that_is_no_longer_rejected_leaves_the_quarantine_and_others_stay(
    world: World,
) -> None:
    schema = Schema(
        columns=(
            *GOODS.columns[:2],
            Column("note", "text", references=References("core.notes.note", missing="reject")),
        ),
        key=("code",),
    )
    children = world.other(schema=schema)
    with connected(world.url) as connection:
        connection.execute("CREATE SCHEMA core")
        connection.execute("CREATE TABLE core.notes (note text PRIMARY KEY)")
        connection.execute("INSERT INTO core.notes VALUES ('of such a length that there are batches')")
    sent = lines()
    sent[0] = "aaa,0,late"
    sent[-1] = "fjp,0,late"
    children.take(*sent)
    assert [record.record_no for record in children.waiting()] == [1, len(sent)]
    with connected(world.url) as connection:
        connection.execute("INSERT INTO core.notes VALUES ('late')")
    load(children, [newest(children).manifest.spans[0].batch])
    assert [record.record_no for record in children.waiting() if record.status == "open"] == [len(sent)]
    assert children.query("SELECT count(*) FROM core.goods WHERE code = 'aaa'") == [(1,)]
    assert children.violations() == []


def test_a_row_that_a_later_record_only_confirmed_is_not_overwritten(world: World) -> None:
    schema = Schema(columns=(*GOODS.columns[:2], Column("note", "text", references=References("core.notes.note"))),
                    key=("code",))  # fmt: skip
    children = world.other(schema=schema)
    note = "of such a length that there are batches"
    with connected(world.url) as connection:
        connection.execute("CREATE SCHEMA core")
        connection.execute("CREATE TABLE core.notes (note text PRIMARY KEY)")
        connection.execute("INSERT INTO core.notes VALUES (%s)", (note,))
    children.take(f"zzz,1,{note}")
    sent = ["zzz,2,late", *lines(), f"zzz,1,{note}"]  # the first is parked, the last confirms
    children.take(*sent)
    with connected(world.url) as connection:
        connection.execute("INSERT INTO core.notes VALUES ('late')")
    load(children, [newest(children).manifest.spans[0].batch])
    assert children.query("SELECT amount FROM core.goods WHERE code = 'zzz'") == [(1,)]
    assert children.violations() == []


class _Killed(BatchTransaction):
    """Dies before the second batch of a run is written."""

    written = 0

    def run(self, prepared: Prepared) -> Entry:
        if type(self).written:
            raise KeyboardInterrupt
        type(self).written += 1
        return super().run(prepared)


def test_the_next_run_finishes_an_interrupted_reload_without_naming_its_batches(world: World) -> None:
    world.take(*lines())
    every = [span.batch for span in newest(world).manifest.spans]
    _Killed.written = 0
    with pytest.raises(KeyboardInterrupt):
        load(world, every[1:3], _Killed)
    assert newest(world).status == "loading"
    report = load(world)
    assert (report.status, newest(world).status) == ("resumed", "complete")
    assert by_generation(world)[-1][:2] == (2, every)
    assert world.violations() == []


def test_batches_that_do_not_exist_are_refused_and_nothing_is_changed(world: World) -> None:
    world.take(*lines())
    with pytest.raises(LoadError, match="has no batch 99"):
        load(world, [1, 99])
    assert (newest(world).status, newest(world).generation) == ("complete", 1)


def test_a_delivery_that_was_read_under_another_declaration_is_only_reloaded_as_a_whole(world: World) -> None:
    world.take(*lines())
    changed = world.other(schema=Schema(columns=(*GOODS.columns[:2], Column("note", "text", length=99)), key=("code",)))
    first = newest(world).manifest.spans[0].batch
    with pytest.raises(LoadError, match="only be reloaded as a whole"):
        load(changed, [first])
    assert (newest(world).status, newest(world).generation) == ("complete", 1)
