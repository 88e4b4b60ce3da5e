"""What is read again and compared, what is left out, and how much of it is in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING
from weakref import WeakSet

import pytest
from psycopg import sql

from etl_assets import doctor, ingest
from etl_assets.doctor.sample import sample
from etl_assets.extract.formats.csv import Csv
from etl_assets.load import Loader
from etl_assets.load.transaction import BatchTransaction
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries
from etl_assets.postgres.tables.guard import Guard
from etl_assets.schema import Column
from etl_assets.transform import Transformer
from etl_assets.validate import RuleValidator
from etl_assets_tests.ingest.world import GOODS, World

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from etl_assets.load import LoadReport, LoadRequest, ReplayRequest
    from etl_assets.model.batch import RawBatch, Verdict
    from etl_assets.model.counts import Counts
    from etl_assets.schema import Schema

_LINES = [f"{'abcdefgh'[n // 8]}{'abcdefgh'[n % 8]},{n},{'x' * 20}" for n in range(64)]
_DAYS = [date(2024, 1, day) for day in range(1, 29)]


@pytest.fixture
def world(migrated_url: str, tmp_path: Path) -> World:
    return World(migrated_url, tmp_path, format=Csv(batch_bytes=200), files=True)


def read(world: World, *, sample_bytes: int | None = None) -> doctor.Extent:
    """Read the source again; there must be no violations."""
    rereading = doctor.reread(world.warehouse, [world.source], sample_bytes=sample_bytes)
    assert rereading.violations == []
    (extent,) = rereading.extents
    return extent


def found(world: World) -> set[str]:
    return {v.invariant for v in doctor.reread(world.warehouse, [world.source]).violations}


def test_everything_is_read(world: World) -> None:
    report = world.take(*_LINES)
    batches = len(report.delivery.manifest.spans)
    assert batches > 4
    assert read(world) == doctor.Extent("goods", loaded=batches, batches=batches, records=64)


def test_a_source_without_a_table_has_nothing_to_read(world: World) -> None:
    world.publish(*_LINES)
    assert read(world) == read(world, sample_bytes=450) == doctor.Extent("goods")


def test_a_delivery_that_was_read_under_another_declaration_is_skipped(world: World) -> None:
    delivery = world.take(*_LINES).delivery
    stricter = world.other(schema=replace(GOODS, columns=(*GOODS.columns[:2], Column("note", "text", length=3))))
    extent = read(stricter)
    assert (extent.batches, extent.skipped) == (0, [delivery.id])


def test_a_delivery_that_is_being_loaded_is_skipped(world: World) -> None:
    world.take(*_LINES, file="1.csv")
    world.publish(*(line.replace("x", "y") for line in _LINES), file="2.csv")
    delivery = world.land("2.csv").delivery

    class Interrupted(BatchTransaction):
        def stay_within_allowance(self, prepared: object) -> None:
            if getattr(prepared, "batch").span.batch == 3:  # noqa: B009 -- of any type
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.load(delivery, Interrupted)
    assert read(world).skipped == [delivery.id]


def test_a_row_that_a_delivery_not_read_has_confirmed_is_no_violation(world: World) -> None:
    world.take("a,1,first", file="1.csv")
    world.take("a,2,second", file="2.csv")
    confirming = world.take("a,1,first", "b,1,x", file="3.csv").delivery
    assert read(world).skipped == []
    with connected(world.url) as connection:
        connection.execute("UPDATE core.goods SET _delivery_id = 1 WHERE code = 'a'")
        connection.execute("UPDATE etl.delivery SET needs_reload = true WHERE id = %s", (confirming.id,))
    assert read(world).skipped == [confirming.id]
    with connected(world.url) as connection:
        connection.execute("UPDATE etl.delivery SET needs_reload = false WHERE id = %s", (confirming.id,))
    assert read(world).skipped == []


def test_an_older_row_that_nothing_newer_confirms_is_found(world: World) -> None:
    world.take("a,1,first", file="1.csv")
    world.take("a,2,second", file="2.csv")
    with connected(world.url) as connection:
        connection.execute("UPDATE core.goods SET _delivery_id = 1, amount = 1, note = 'first'")
    assert found(world) == {"rows_are_as_read"}


def test_an_older_row_that_a_faulty_guard_has_kept_is_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Guard, "is_older", lambda _guard, _new: sql.SQL("false"))
    world.take("a,1,first", file="1.csv")
    world.take("a,2,second", file="2.csv")
    assert world.rows() == [("a", 1, "first")]
    assert found(world) == {"rows_are_as_read"}


@dataclass(frozen=True)
class Elsewhere(Loader):
    """Would write what only it knows."""

    def load(self, request: LoadRequest) -> LoadReport:
        raise NotImplementedError

    def replay(self, request: ReplayRequest) -> Counts:
        raise NotImplementedError


def test_what_a_loader_of_its_own_writes_is_not_compared(world: World) -> None:
    delivery = world.take(*_LINES).delivery
    own = world.other(more={"loader": Elsewhere()})
    with connected(world.url) as connection:
        connection.execute("UPDATE etl.delivery SET fingerprint = %s", (own.source.fingerprint,))
    assert read(own).skipped == [delivery.id]


@dataclass(frozen=True)
class Twice(Transformer):
    """Makes two rows of each record, and for some records a third with the key of the first."""

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        import pandas as pd

        second = frame.assign(code=frame["code"] + "z")
        third = frame[frame["amount"] > 60].assign(note="third")
        return pd.concat([frame, second, third])


def test_records_that_yield_several_rows_are_compared(world: World) -> None:
    world.more = {"transformer": Twice()}
    world.take(*_LINES, *_LINES[:3])
    assert read(world).records == 67
    with connected(world.url) as connection:
        connection.execute("UPDATE core.goods SET note = 'other' WHERE code = 'aaz'")
    assert found(world) == {"rows_are_as_read"}


def test_rules_that_depend_on_other_rows_are_not_evaluated_again(world: World) -> None:
    referring = Column("note", "text", references="core.notes.id")
    world.schema = replace(GOODS, columns=(*GOODS.columns[:2], referring))
    world.take("a,1,here", "b,2,")
    with connected(world.url) as connection:
        connection.execute("CREATE TABLE core.notes (id text)")
        connection.execute("INSERT INTO core.notes VALUES ('here')")
    assert [record.rules for record in world.waiting()] == [["note__references"]]
    assert read(world).records == 2


def test_a_record_that_was_corrected_again_after_a_failed_replay_is_no_violation(world: World) -> None:
    world.take("a,x,1", "b,2,2")
    (record,) = world.waiting()
    world.correct(record, amount="-1")
    world.replay()
    world.correct(record, amount="1")
    assert world.violations() == []
    world.replay()
    assert world.violations() == []


def test_a_dismissed_record_is_no_violation(world: World) -> None:
    delivery = world.take("a,x,1", "b,2,2").delivery
    with connected(world.url) as connection:
        connection.execute("UPDATE etl.rejected SET status = 'dismissed', reviewer = 'ada', reviewed_at = now()")
    assert world.violations() == []
    ingest.load(world.source, delivery, world.warehouse, "run", force=True)
    assert world.violations() == []


@dataclass(frozen=True)
class Counting(RuleValidator):
    """Counts the batches that are in memory at the same time."""

    def validate(self, batch: RawBatch, schema: Schema) -> Verdict:
        _ALIVE.add(batch)
        _MOST.append(len(_ALIVE))
        return super().validate(batch, schema)


_ALIVE: WeakSet[RawBatch] = WeakSet()
_MOST: list[int] = []


def test_at_most_two_batches_are_in_memory(world: World) -> None:
    world.more = {"validator": Counting()}
    world.take(*_LINES)
    _MOST.clear()
    assert read(world).batches == len(_MOST) > 4
    assert max(_MOST) <= 2


def test_a_sample_says_how_much_of_everything_it_is(world: World) -> None:
    world.take(*_LINES)
    extent = read(world, sample_bytes=450)
    assert 0 < extent.batches < extent.loaded


def test_a_changed_row_of_the_sample_is_found(world: World) -> None:
    world.take(*_LINES)
    with connected(world.url) as connection:
        connection.execute("UPDATE core.goods SET amount = 7 WHERE code = 'ab'")
    sampled = doctor.reread(world.warehouse, [world.source], sample_bytes=doctor.SAMPLE_BYTES)
    assert [violation.invariant for violation in sampled.violations] == ["rows_are_as_read"]


def test_a_sample_is_another_one_on_each_day_and_stays_within_its_budget(world: World) -> None:
    report = world.take(*_LINES)
    lengths = {span.batch: span.length for span in report.delivery.manifest.spans}
    chosen = set[int]()
    with connected(world.url) as connection:
        for day in _DAYS:
            numbers, read_bytes = sample([report.delivery.id], lambda id_: deliveries.by_id(connection, id_), 450, day)
            batches = numbers[report.delivery.id]
            assert sum(lengths[batch] for batch in batches) == read_bytes <= 450
            chosen |= batches
    assert chosen == set(lengths)


def test_of_a_packed_delivery_the_bytes_before_a_batch_count(world: World) -> None:
    report = world.take(*_LINES)
    (member,) = report.delivery.manifest.members
    packed = replace(report.delivery.manifest, members=(replace(member, member="goods.csv"),))
    delivery = replace(report.delivery, manifest=packed)
    numbers, _ = sample([delivery.id], lambda _: delivery, 250, _DAYS[0])
    assert numbers == {delivery.id: frozenset({1})}
