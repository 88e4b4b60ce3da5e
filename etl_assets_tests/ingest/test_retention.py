"""What tables no longer keep: which rows go, what is counted, and what the doctor finds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from etl_assets import Append, Column, PartitionBy, Replace, Schema, Upsert, ingest
from etl_assets.errors import TransientLoadError
from etl_assets.extract.formats.csv import Csv
from etl_assets.load.transaction import BatchTransaction
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import retention
from etl_assets.postgres.ledger.conservation import table_violations
from etl_assets.postgres.tables import range_partitions
from etl_assets_tests.ingest.world import ending_after

if TYPE_CHECKING:
    from concurrent.futures import Future

    from etl_assets.load.prepare import Prepared
    from etl_assets.load.writers import Writer
    from etl_assets.postgres.ledger.entries import Entry
    from etl_assets_tests.ingest.world import World

HEADER = "day,code,amount"
DAYS = Schema(
    (Column("day", "date", required=True), Column("code", "text", required=True), Column("amount", "integer")),
    key=("day", "code"),
)
TODAY = datetime.now(UTC).date()
NEW, OLD, OLDEST = (TODAY - timedelta(days=days) for days in (1, 40, 41))


def keeping(world: World, keep: str | None, write: Writer | None = None, schema: Schema = DAYS) -> World:
    """Return the same source, of which rows are kept for some time, with a child table for each day."""
    write = write or Upsert()
    schema = schema if write.needs_key else replace(schema, key=())
    more = {"partition_by": PartitionBy("day", every="day", keep=keep), "write": write}
    return world.other(schema=schema, more=more)


def lines(*days: date, amount: int = 1) -> list[str]:
    return [f"{day},a,{amount}" for day in days]


def days_of(world: World) -> list[date]:
    return [day for (day,) in world.query("SELECT day FROM core.goods ORDER BY 1")]


def entries(world: World) -> list[tuple[object, ...]]:
    return world.query(
        "SELECT source, column_name, keep, kept_from, dropped_from, child_tables, rows FROM etl.retention ORDER BY id"
    )


def test_rows_that_are_too_old_are_dropped_and_entered(world: World) -> None:
    keeping(world, None).take(*lines(OLDEST, OLD, NEW), header=HEADER)
    here = keeping(world, "30 days")
    assert ingest.drop_expired(here.source, here.warehouse) == 2
    assert days_of(here) == [NEW]
    kept_from = TODAY - timedelta(days=30)
    assert entries(here) == [("goods", "day", "30 days", kept_from, OLDEST, 2, 2)]
    with connected(here.url) as connection:
        assert table_violations(connection, "goods", "core.goods") == []
    assert here.violations() == []
    assert ingest.drop_expired(here.source, here.warehouse) is None


def test_a_load_drops_what_is_too_old_and_counts_what_it_does_not_write(world: World) -> None:
    keeping(world, None).take(*lines(OLD, NEW), header=HEADER)
    here = keeping(world, "30 days")
    report = here.take(*lines(OLDEST, OLD, NEW, amount=2), "x,a,1", header=HEADER)
    assert days_of(here) == [NEW]
    counts = report.counts
    assert (counts.read, counts.rejected, counts.produced) == (4, 1, 3)
    assert (counts.expired, counts.updated, counts.inserted, counts.unchanged) == (2, 1, 0, 0)
    assert here.violations() == []


def test_no_child_table_is_made_for_rows_that_are_too_old(world: World) -> None:
    here = keeping(world, "30 days")
    here.take(*lines(OLD), header=HEADER)
    assert here.query("SELECT count(*) FROM pg_inherits WHERE inhparent = 'core.goods'::regclass") == [(0,)]
    assert here.violations() == []


@pytest.mark.parametrize("write", [Upsert(), Append(), Replace()], ids=repr)
def test_what_is_dropped_stays_away_from_reloads_and_from_a_longer_keep(world: World, write: Writer) -> None:
    delivery = keeping(world, None, write).take(*lines(OLD, NEW), header=HEADER).delivery
    ingest.drop_expired(keeping(world, "30 days", write).source, world.warehouse)
    for keep in ("30 days", "90 days", None):
        here = keeping(world, keep, write)
        report = ingest.load(here.source, delivery, here.warehouse, "run", force=True)
        assert report.counts.expired == 1
        assert days_of(here) == [NEW]
        assert here.violations() == []


def test_staged_rows_that_have_become_too_old_are_not_moved_into_the_table(world: World) -> None:
    early = keeping(world, None, Replace()).other(format=Csv(batch_bytes=64))
    early.publish(*lines(OLDEST, OLD, OLD, OLD, NEW, NEW), header=HEADER)
    delivery = early.land().delivery
    with pytest.raises(KeyboardInterrupt):
        early.load(delivery, ending_after(1))
    here = early.other(more=keeping(world, "30 days", Replace()).more)
    here.load(delivery)
    assert days_of(here) == [NEW, NEW]
    assert here.query("SELECT count(*) FROM etl_staging.goods") == [(0,)]
    assert here.violations() == []


def test_a_corrected_record_that_is_too_old_leaves_the_quarantine_without_a_row(world: World) -> None:
    here = keeping(world, "30 days")
    here.take(*lines(NEW), "x,b,1", header=HEADER)
    (record,) = here.waiting()
    here.correct(record, day=str(OLD))
    report = here.replay(record.id)
    assert (report.counts.read, report.counts.expired, report.counts.inserted) == (1, 1, 0)
    assert here.waiting() == []
    assert days_of(here) == [NEW]
    assert here.violations() == []


def test_somebody_who_reads_the_table_puts_off_what_is_dropped_and_not_the_load(world: World) -> None:
    keeping(world, None).take(*lines(OLD, NEW), header=HEADER)
    here = keeping(world, "30 days")
    with connected(here.url) as reader, reader.transaction():
        reader.execute("SELECT FROM core.goods")
        report = here.take(*lines(OLD, NEW, amount=2), header=HEADER)
        assert (report.counts.updated, report.counts.expired) == (2, 0)
        assert entries(here) == []
    assert here.violations() == []
    assert ingest.drop_expired(here.source, here.warehouse) == 1
    assert here.violations() == []


def test_dropping_without_a_load_fails_if_somebody_uses_the_table(world: World) -> None:
    keeping(world, None).take(*lines(OLD), header=HEADER)
    here = keeping(world, "30 days")
    with connected(here.url) as reader, reader.transaction():
        reader.execute("SELECT FROM core.goods")
        with pytest.raises(TransientLoadError, match="Another session held a lock"), connected(here.url) as session:
            retention.drop_expired(session, "goods", "core.goods", here.more["partition_by"])
    assert days_of(here) == [OLD]


def test_a_batch_that_is_being_written_is_waited_for_and_its_rows_are_counted(world: World) -> None:
    early = keeping(world, None)
    early.take(*lines(OLD), header=HEADER)
    here = keeping(world, "30 days")
    with ThreadPoolExecutor() as pool:
        drops: list[Future[int | None]] = []

        class Waited(BatchTransaction):
            def write_entry(self, entry: Entry) -> None:
                drops.append(pool.submit(ingest.drop_expired, here.source, here.warehouse))
                with pytest.raises(TimeoutError):
                    drops[0].result(0.5)
                super().write_entry(entry)

        early.publish(*lines(OLDEST, OLD, NEW), header=HEADER)
        early.load(early.land().delivery, Waited)
    assert drops[0].result() == 2
    assert days_of(here) == [NEW]
    assert here.violations() == []


def test_rows_that_are_dropped_while_partitions_are_loaded_are_written_by_none_of_them(world: World) -> None:
    early = keeping(world, None).other(files=True, format=Csv(batch_bytes=64))
    here = early.other(more=keeping(world, "30 days").more)
    landed = []
    for number in range(3):
        early.publish(
            *(f"{day},{number}{again},1" for again in range(4) for day in (OLDEST, OLD, NEW)),
            file=f"{number}.csv",
            header=HEADER,
        )
        landed.append(early.land(f"{number}.csv").delivery)
    with ThreadPoolExecutor() as pool:
        loads = [pool.submit(early.load, delivery) for delivery in landed]
        drops = [pool.submit(ingest.drop_expired, here.source, here.warehouse) for _ in range(3)]
    reports = [load.result() for load in loads]
    dropped = sum(drop.result() or 0 for drop in drops) + (ingest.drop_expired(here.source, here.warehouse) or 0)
    assert sum(report.counts.expired for report in reports) + dropped == 24
    assert days_of(here) == [NEW] * 12
    assert here.violations() == []


def test_a_row_that_is_too_old_and_one_that_was_deleted_by_hand_are_found(world: World) -> None:
    keeping(world, None).take(*lines(OLD, NEW, TODAY), header=HEADER)
    here = keeping(world, "30 days")
    ingest.drop_expired(here.source, here.warehouse)
    assert here.violations() == []
    with connected(here.url) as connection:
        connection.execute(f"DELETE FROM core.goods WHERE day = '{NEW}'".encode())
        connection.execute(
            f"CREATE TABLE core.back PARTITION OF core.goods FOR VALUES FROM ('{OLD}') "
            f"TO ('{OLD + timedelta(days=1)}')".encode()
        )
        connection.execute(
            f"INSERT INTO core.goods SELECT '{OLD}', 'a', 1, _delivery_id, 1, 1 FROM core.goods".encode()
        )
    found = here.violations()
    assert any("expired_rows_are_gone" in violation and "has 1 rows before" in violation for violation in found)
    assert any("lacks 1 rows that records" in violation for violation in found)


class Forgetful(BatchTransaction):
    """A wrong transaction: it writes every row, however old."""

    def without_expired(self, prepared: Prepared) -> Prepared:
        target = self.target
        assert target.partition_by is not None
        periods = target.partition_by.periods_of(prepared.rows["day"])
        range_partitions.ensure(self.connection, target.table, target.partition_by, periods)
        return prepared


def test_a_transaction_that_writes_rows_which_are_too_old_is_caught(world: World) -> None:
    here = keeping(world, "30 days")
    here.publish(*lines(OLD, NEW), header=HEADER)
    here.load(here.land().delivery, Forgetful)
    assert any("expired_rows_are_gone" in violation for violation in here.violations())


def test_a_child_table_that_was_dropped_by_hand_is_found(world: World) -> None:
    here = keeping(world, None)
    here.take(*lines(OLD, NEW), header=HEADER)
    with connected(here.url) as connection:
        connection.execute(f'DROP TABLE etl_partitions."core.goods.{OLD}"'.encode())
    found = here.violations()
    assert any("rows_are_as_many_as_entered" in violation for violation in found)


@pytest.mark.parametrize(
    ("every", "keep", "today", "kept_from"),
    [
        ("day", "1 day", date(2024, 3, 1), date(2024, 2, 29)),
        ("day", "1 month", date(2024, 3, 31), date(2024, 2, 29)),
        ("week", "2 weeks", date(2024, 1, 3), date(2023, 12, 18)),
        ("month", "3 years", date(2024, 2, 29), date(2021, 2, 1)),
        ("month", "1 year", date(2024, 2, 29), date(2023, 2, 1)),
        ("year", "1 year", date(2024, 6, 1), date(2023, 1, 1)),
        ("day", "1 day", date(1, 1, 1), None),
        ("month", "99999 years", date(2024, 1, 1), None),
        ("day", None, date(2024, 1, 1), None),
    ],
)
def test_a_child_table_is_kept_as_long_as_one_of_its_days(
    every: str, keep: str | None, today: date, kept_from: date | None
) -> None:
    assert PartitionBy("day", every=every, keep=keep).kept_from(today) == kept_from  # type: ignore[arg-type]
