"""Some batches of a delivery read anew: they alone, whatever the others hold, and the sums stay right."""

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
        found = deliveries.newest(connection, world.name, "")
    assert found is not None
    return found


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


def test_only_the_named_batches_are_read_and_the_lines_of_the_others_stay(world: World) -> None:
    world.take(*lines())
    every = [span.batch for span in newest(world).manifest.spans]
    assert len(every) > 3
    anew = every[1:3]
    report = load(world, anew)
    records = {span.batch: span.records for span in newest(world).manifest.spans}
    assert report.written.read == report.written.unchanged == sum(records[number] for number in anew)
    assert by_generation(world) == [(1, anew, "run"), (2, every, "again")]
    assert world.query("SELECT count(*) FROM etl.batch WHERE run_id = 'again'") == [(len(anew),)]
    assert world.violations() == []


def test_a_row_that_was_lost_comes_back_with_its_batch_and_no_other_does(world: World) -> None:
    world.take(*lines())
    spans = newest(world).manifest.spans
    lost = [spans[0].first_record, spans[2].first_record]
    with connected(world.url) as connection:
        connection.execute("DELETE FROM core.goods WHERE _record_no = ANY (%s)", (lost,))
    load(world, [spans[2].batch])
    held = world.query("SELECT _record_no FROM core.goods")
    assert (lost[0],) not in held
    assert (lost[1],) in held


def test_a_record_of_it_that_is_rejected_no_more_leaves_the_quarantine_and_others_stay_there(world: World) -> None:
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
    given = lines()
    given[0] = "aaa,0,late"
    given[-1] = "fjp,0,late"
    children.take(*given)
    assert [record.record_no for record in children.waiting()] == [1, len(given)]
    with connected(world.url) as connection:
        connection.execute("INSERT INTO core.notes VALUES ('late')")
    load(children, [newest(children).manifest.spans[0].batch])
    assert [record.record_no for record in children.waiting() if record.status == "open"] == [len(given)]
    assert children.query("SELECT count(*) FROM core.goods WHERE code = 'aaa'") == [(1,)]
    assert children.violations() == []


def test_a_record_beyond_that_only_confirmed_a_row_is_not_overwritten(world: World) -> None:
    schema = Schema(columns=(*GOODS.columns[:2], Column("note", "text", references=References("core.notes.note"))),
                    key=("code",))  # fmt: skip
    children = world.other(schema=schema)
    told = "of such a length that there are batches"
    with connected(world.url) as connection:
        connection.execute("CREATE SCHEMA core")
        connection.execute("CREATE TABLE core.notes (note text PRIMARY KEY)")
        connection.execute("INSERT INTO core.notes VALUES (%s)", (told,))
    children.take(f"zzz,1,{told}")
    given = ["zzz,2,late", *lines(), f"zzz,1,{told}"]  # the first is parked, the last confirms
    children.take(*given)
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


def test_what_was_broken_off_is_finished_by_the_next_run_without_naming_it(world: World) -> None:
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


def test_batches_that_are_not_there_are_refused_and_nothing_is_changed(world: World) -> None:
    world.take(*lines())
    with pytest.raises(LoadError, match="has no batch 99"):
        load(world, [1, 99])
    assert (newest(world).status, newest(world).generation) == ("complete", 1)


def test_a_delivery_that_was_read_under_another_declaration_is_only_read_as_a_whole(world: World) -> None:
    world.take(*lines())
    changed = world.other(schema=Schema(columns=(*GOODS.columns[:2], Column("note", "text", length=99)), key=("code",)))
    first = newest(world).manifest.spans[0].batch
    with pytest.raises(LoadError, match="only be read as a whole"):
        load(changed, [first])
    assert (newest(world).status, newest(world).generation) == ("complete", 1)
