"""The contract of every write mode, as a suite to subclass.

Subclass `WriterSuite` in a test module, name the subclass ``Test…`` and implement ``writer``. Deliveries are files that
are landed and loaded into a real warehouse. What a mode makes of them is its own business, and tested with it. Here
stands what holds for all modes: nothing is lost or counted wrong, and neither interruptions nor the order of loads
decide what is in the table.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import is_dataclass, replace
from itertools import count, permutations
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pytest

from etl_assets import ingest
from etl_assets.extract.formats.csv import Csv
from etl_assets.load.transaction import BatchTransaction
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries
from etl_assets.postgres.ledger.conservation import table_violations
from etl_assets.postgres.ledger.row_counts import ROW_COUNTS_ARE_THOSE_OF_THE_LEDGER, count_rows
from etl_assets.schema import DELIVERY_ID, Column, Schema
from etl_assets_tests.ingest.world import World, ending_after

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets.load import LoadReport
    from etl_assets.load.prepare import Prepared
    from etl_assets.load.writers import Writer
    from etl_assets.model.delivery import Delivery

_NUMBER: Final = count(1)
_DELIVERIES: Final = frozenset({DELIVERY_ID, "_ended_by"})
FIRST: Final = ("apple,1,2020-01-01", "plum,2,2020-01-01", "fig,3,2020-01-01", "kiwi,4,2020-01-01")
SECOND: Final = ("apple,5,2020-01-02", "plum,2,2020-01-01", "lime,6,2020-01-02", "pear,7,2020-01-02")
THIRD: Final = ("apple,1,2020-01-03", "fig,3,2020-01-01", "lime,8,2020-01-03", "kiwi,4,2020-01-01")


class WriterSuite(ABC):
    """The invariants of a write mode.

    Attributes:
        key: The key of the schema.
        order_by: The column that orders the records of a key; None if the deliveries do.
        fillfactor: Of the table; None for that of the server.
    """

    key: ClassVar[tuple[str, ...]] = ("code",)
    order_by: ClassVar[str | None] = None
    fillfactor: ClassVar[int | None] = None

    @abstractmethod
    def writer(self) -> Writer:
        """The declared mode; one that deletes consents to any number of rows."""

    @pytest.fixture
    def world(self, migrated_url: str, tmp_path: Path) -> World:
        return self.new_world(migrated_url, tmp_path)

    def new_world(self, url: str, folder: Path) -> World:
        schema = Schema(
            columns=(
                Column("code", "text", required=True),
                Column("amount", "integer", minimum=0),
                Column("at", "date", required=True),
            ),
            key=self.key,
            order_by=self.order_by,
        )
        name = f"written_{next(_NUMBER)}"
        more = {"write": self.writer(), "fillfactor": self.fillfactor}
        return World(url, folder, schema, name, format=Csv(batch_bytes=64), more=more)

    def test_the_mode_is_a_frozen_value(self) -> None:
        writer = self.writer()
        assert is_dataclass(writer)
        assert (writer, hash(writer)) == (self.writer(), hash(self.writer()))

    def test_every_record_of_a_first_delivery_is_a_row_and_is_counted(self, world: World) -> None:
        report = take(world, *FIRST)
        assert contents(world) == sorted(FIRST)
        assert (report.status, report.counts.read, report.counts.inserted) == ("loaded", 4, 4)
        assert_sound(world)

    def test_a_delivery_that_is_loaded_twice_changes_nothing(self, world: World) -> None:
        delivery = take(world, *FIRST).delivery
        before = state(world)
        assert world.load(delivery).status == "unchanged"
        ingest.load(world.source, delivery, world.warehouse, "again", force=True)
        assert state(world) == before
        assert_sound(world)

    def test_interruptions_do_not_decide_what_is_in_the_table(self, world: World, tmp_path: Path) -> None:
        whole = self.new_world(world.url, tmp_path)
        for lines in (FIRST, SECOND):
            take(whole, *lines)
            delivery = land(world, *lines)
            for _ in delivery.manifest.spans[1:]:
                with pytest.raises(KeyboardInterrupt):
                    world.load(delivery, ending_after(1))
                assert unbalanced(world) == []
            assert world.load(delivery).status in {"resumed", "unchanged"}
        assert state(world) == state(whole)
        assert_sound(world)

    def test_the_order_of_loads_does_not_decide_what_is_in_the_table(self, world: World, tmp_path: Path) -> None:
        expected = None
        for order in permutations(range(3)):
            other = self.new_world(world.url, tmp_path)
            landed = [land(other, *lines) for lines in (FIRST, SECOND, THIRD)]
            for number in order:
                other.load(landed[number])
            load_stale(other)
            expected = expected or state(other)
            assert state(other) == expected, order
            assert_sound(other)

    def test_a_reload_does_not_decide_what_is_in_the_table(self, world: World) -> None:
        landed = [take(world, *lines).delivery for lines in (FIRST, SECOND, THIRD)]
        before = state(world)
        for delivery in landed:
            ingest.load(world.source, delivery, world.warehouse, "again", force=True)
            assert state(world) == before
        assert_sound(world)

    def test_a_rejected_record_waits_and_is_a_row_once_it_is_corrected(self, world: World) -> None:
        report = take(world, *FIRST[:3], "kiwi,-4,2020-01-01")
        assert (report.counts.rejected, contents(world)) == (1, sorted(FIRST[:3]))
        world.correct(world.waiting()[0], amount="4")
        assert world.replay().counts.accepted == 1
        load_stale(world)
        assert contents(world) == sorted(FIRST)
        assert world.waiting() == []
        assert_sound(world)

    def test_a_correction_outlives_a_reload(self, world: World) -> None:
        delivery = take(world, *FIRST[:3], "kiwi,-4,2020-01-01").delivery
        world.correct(world.waiting()[0], amount="4")
        world.replay()
        ingest.load(world.source, delivery, world.warehouse, "again", force=True)
        assert contents(world) == sorted(FIRST)
        assert_sound(world)

    def test_a_record_that_the_database_refuses_is_rejected_alone(self, world: World) -> None:
        take(world, *FIRST)
        with connected(world.url) as connection:
            connection.execute(f"ALTER TABLE {world.source.stored_table} ADD CHECK (amount < 100)".encode())
        report = take(world, "apple,1,2020-01-01", "fig,300,2020-01-02", "pear,7,2020-01-02")
        assert report.rules == {"record__database": 1}
        assert "pear,7,2020-01-02" in contents(world)
        assert [record.rules for record in world.waiting()] == [["record__database"]]
        assert_sound(world)

    def test_another_declaration_leaves_what_a_load_from_empty_leaves(self, world: World, tmp_path: Path) -> None:
        def stricter(one: World) -> World:
            columns = [
                column.replace(maximum=5) if column.name == "amount" else column for column in one.schema.columns
            ]
            return one.other(schema=replace(one.schema, columns=tuple(columns)))

        expected = stricter(self.new_world(world.url, tmp_path))
        for lines in (FIRST, SECOND, THIRD):
            take(world, *lines)
            take(expected, *lines)
        later = stricter(world)
        load_stale(later)
        assert state(later) == state(expected)
        assert_sound(later)

    def test_a_transaction_that_breaks_off_writes_nothing(self, world: World) -> None:
        take(world, *FIRST)
        before = state(world)

        class Broken(BatchTransaction):
            def write_profile(self, prepared: Prepared) -> None:
                super().write_profile(prepared)
                raise KeyboardInterrupt

        delivery = land(world, *SECOND)
        with pytest.raises(KeyboardInterrupt):
            world.load(delivery, Broken)
        assert state(world) == before
        assert unbalanced(world) == []
        assert world.load(delivery).status == "loaded"
        assert_sound(world)


def land(world: World, *lines: str) -> Delivery:
    """Publish and land a file."""
    world.publish(*lines, header="code,amount,at")
    return world.land().delivery


def take(world: World, *lines: str) -> LoadReport:
    """Publish, land and load a file."""
    return world.load(land(world, *lines))


def load_stale(world: World) -> None:
    """Reload the deliveries that ask for it, the newest first, as a run does."""
    for _ in range(10):
        with connected(world.url) as connection:
            stale = deliveries.stale(connection, world.name, world.source.fingerprint)
        if not stale:
            return
        world.load(stale[0])
    raise AssertionError("deliveries ask to be reloaded for ever")


def contents(world: World) -> list[str]:
    """Return the rows that readers of the table see, as they were published."""
    rows = world.query(f"SELECT code, amount, at FROM core.{world.name}")
    return sorted(f"{code},{amount},{at}" for code, amount, at in rows)


def state(world: World) -> list[tuple[Any, ...]]:
    """Return what is stored: the columns of the schema and of the mode, with deliveries by their place, not by id.

    Times of the run are only compared in whether there is one.
    """
    numbers = {row[0]: place for place, row in enumerate(world.query(_IDS.format(world.name)))}
    added = [*world.source.extension.columns, *world.source.extension.key]
    names = list(dict.fromkeys([*world.schema.names, *added]))
    rows = world.query(f"SELECT {', '.join(names)} FROM {world.source.stored_table}")

    def comparable(name: str, value: Any) -> Any:
        if name in _DELIVERIES:
            return numbers.get(value)
        return value if name in world.schema.names else value is None

    return sorted(
        (tuple(comparable(name, value) for name, value in zip(names, row, strict=True)) for row in rows), key=repr
    )


_IDS: Final = "SELECT id FROM etl.delivery WHERE source = '{}' ORDER BY id"


def unbalanced(world: World) -> list[str]:
    """Return where the ledger, the kept row counts and the table differ."""
    source = world.source
    present = f"SELECT count(*) FROM {source.table} WHERE {'_deleted_at IS NULL' if source.writer.marks else 'true'}"
    with connected(world.url) as connection:
        kept = ROW_COUNTS_ARE_THOSE_OF_THE_LEDGER.examine(connection)
        found = [*map(str, kept), *table_violations(connection, world.name, source.stored_table)]
        rows = count_rows(connection, world.name, source.table)
    loading = world.query(f"SELECT FROM etl.delivery WHERE source = '{world.name}' AND status = 'loading'")
    if not loading and (rows,) != world.query(present)[0]:
        found.append(f"{source.table} has other than the {rows} rows that are kept")
    return found


def assert_sound(world: World) -> None:
    """Fail with what the doctor finds, if it finds anything."""
    found = world.violations()
    assert not found, "\n".join(found)
