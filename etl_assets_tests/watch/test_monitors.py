"""Deliveries are profiled once, whatever happened during their loads, and compared with the right deliveries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import polars as pl
import pytest

from etl_assets import watch
from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.csv import Csv
from etl_assets.load.transaction import BatchTransaction
from etl_assets.model.batch import BatchProfile
from etl_assets.model.delivery import Manifest, MemberIndex, Span
from etl_assets.model.monitors import Distribution, Monitors, Volume
from etl_assets.model.partitions import Daily, Files, Static
from etl_assets.model.profile import ColumnProfile
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries
from etl_assets.postgres.watch import profiles
from etl_assets.schema import Column, Schema
from etl_assets.source import Source
from etl_assets.watch.profiles import merge, profile_batch
from etl_assets_tests.load.feed import STOCK, Feed
from etl_assets_tests.real_feeds.taking import warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.load.prepare import Prepared
    from etl_assets.model.check_result import CheckResult
    from etl_assets.model.delivery import Delivery
    from etl_assets.model.partitions import Partitioning
    from etl_assets.postgres.connection import Connection

FIRST = [("a", 1, "x"), ("b", 2, None)]
SECOND = [("c", 5, None), ("d", None, None)]
THIRD = [("e", 3, "y")]


def source(name: str = "stock", schema: Schema = STOCK, **declared: Any) -> Source:
    return Source(
        name=name,
        description="Goods in stock.",
        owner="team:tests",
        extractor=FileExtractor(location="stock/*.csv", format=Csv()),
        schema=schema,
        **declared,
    )


class Profiling(BatchTransaction):
    """Writes a part with each batch."""

    def write_rejected(self, prepared: Prepared) -> None:
        super().write_rejected(prepared)
        part = BatchProfile(profile_batch(self.target.schema, prepared.batch.rows), {})
        profiles.put_part(self.connection, self.delivery, prepared.batch.span.batch, part)


class DyingOnce(Profiling):
    """Fails after everything of the second batch was written, before it is committed."""

    died = False

    def write_rejected(self, prepared: Prepared) -> None:
        super().write_rejected(prepared)
        if prepared.batch.span.batch == 2 and not DyingOnce.died:
            DyingOnce.died = True
            raise InterruptedError


@pytest.fixture
def feed(migrated_url: str) -> Feed:
    return Feed(migrated_url, transaction=Profiling, fingerprint=source().fingerprint)


def conclude(feed: Feed, delivery: Delivery) -> tuple[ColumnProfile, ...]:
    with connected(feed.url) as connection:
        return watch.conclude(connection, source(), delivery)


def stored_profiles(feed: Feed) -> list[Any]:
    return feed.query("SELECT * FROM etl.profile ORDER BY delivery_id, column_name")


def remaining_parts(feed: Feed) -> int:
    return int(feed.query("SELECT count(*) FROM etl.profile_part")[0][0])


def profile_of(*batches: Sequence[tuple[Any, ...]]) -> tuple[ColumnProfile, ...]:
    rows = pl.DataFrame([row for batch in batches for row in batch], schema=list(STOCK.names), orient="row")
    return merge(STOCK, [profile_batch(STOCK, rows)])


def equal_but_for_rounding(one: tuple[ColumnProfile, ...], other: tuple[ColumnProfile, ...]) -> bool:
    return [replace(a, mean=None, deviation=None) for a in one] == [
        replace(b, mean=None, deviation=None) for b in other
    ]


def test_concluding_a_delivery_merges_its_parts_into_a_profile_and_deletes_them(feed: Feed) -> None:
    report = feed.take(FIRST, SECOND, THIRD)
    assert remaining_parts(feed) == 3
    assert equal_but_for_rounding(conclude(feed, report.delivery), profile_of(FIRST, SECOND, THIRD))
    assert remaining_parts(feed) == 0
    columns = "column_name, rows, nulls, distinct_estimate, minimum, maximum, quantiles -> '0.5', top"
    assert feed.query(f"SELECT {columns} FROM etl.profile WHERE column_name <> 'code' ORDER BY 1") == [
        ("amount", 5, 1, 4.0, "1", "5", 2.0, []),
        ("note", 5, 3, 2.0, "x", "y", None, []),
    ]


def test_concluding_again_changes_nothing(feed: Feed) -> None:
    delivery = feed.take(FIRST, SECOND).delivery
    conclude(feed, delivery)
    before = stored_profiles(feed)
    assert conclude(feed, delivery) == ()
    assert stored_profiles(feed) == before


def test_a_resumed_load_has_the_profile_of_all_its_batches(feed: Feed) -> None:
    feed.transaction, DyingOnce.died = DyingOnce, False
    delivery = feed.send(FIRST, SECOND, THIRD)
    with pytest.raises(InterruptedError):
        feed.load(delivery)
    assert remaining_parts(feed) == 1
    assert conclude(feed, delivery) == ()
    assert remaining_parts(feed) == 1
    report = feed.load(delivery)
    assert report.status == "resumed"
    assert equal_but_for_rounding(conclude(feed, delivery), profile_of(FIRST, SECOND, THIRD))


def test_a_reloaded_delivery_gets_a_new_profile(feed: Feed) -> None:
    delivery = feed.take(FIRST, SECOND).delivery
    conclude(feed, delivery)
    with connected(feed.url) as connection:
        connection.execute("UPDATE etl.profile SET rows = 999")
    feed.load(delivery, force=True)
    conclude(feed, delivery)
    assert {rows for (rows,) in feed.query("SELECT rows FROM etl.profile")} == {4}


def test_parts_of_an_earlier_generation_are_not_counted(feed: Feed) -> None:
    delivery = feed.take(FIRST, SECOND).delivery
    feed.load(delivery, force=True)
    assert remaining_parts(feed) == 4
    assert equal_but_for_rounding(conclude(feed, delivery), profile_of(FIRST, SECOND))
    assert remaining_parts(feed) == 0


def test_a_delivery_with_a_batch_without_a_part_has_no_profile(feed: Feed) -> None:
    delivery = feed.take(FIRST, SECOND).delivery
    with connected(feed.url) as connection:
        connection.execute("DELETE FROM etl.profile_part WHERE number = 1")
    assert conclude(feed, delivery) == ()
    assert (remaining_parts(feed), stored_profiles(feed)) == (0, [])


def test_without_parts_nothing_is_written(feed: Feed) -> None:
    feed.transaction = BatchTransaction
    assert conclude(feed, feed.take(FIRST).delivery) == ()
    assert stored_profiles(feed) == []


def test_parts_of_another_declaration_are_kept(feed: Feed) -> None:
    feed.fingerprint = "another"
    assert conclude(feed, feed.take(FIRST).delivery) == ()
    assert remaining_parts(feed) == 1


def test_every_type_of_column_can_be_stored_and_compared(migrated_url: str) -> None:
    schema = Schema(
        columns=(
            Column("code", "text", required=True),
            Column("number", "integer"),
            Column("ratio", "float"),
            Column("price", "decimal", precision=38, scale=2),
            Column("sold", "boolean"),
            Column("day", "date"),
            Column("at", "timestamp"),
            Column("opens", "time"),
            Column("document", "json"),
            Column("guid", "uuid"),
        ),
        key=("code",),
    )
    declared = source(schema=schema)
    feed = Feed(migrated_url, schema, transaction=Profiling, fingerprint=declared.fingerprint)
    empty = (None,) * (len(schema.names) - 1)
    delivery = feed.take([("a", *empty), ("b", *empty)]).delivery
    with connected(migrated_url) as connection:
        assert len(watch.conclude(connection, declared, delivery)) == len(schema.names)
        volume, distribution = watch.examine(connection, declared, delivery)
    assert volume.passed
    assert distribution.passed


@dataclass
class Chronicle:
    """Enters deliveries of one source directly, without loading them."""

    url: str
    source: Source
    sent: int = 0

    def deliver(self, records: int, partition: str = "", *, after: float = 0.0, status: str = "complete") -> Delivery:
        """Enter a delivery with so many records, fetched so many days after the first."""
        self.sent += 1
        span = Span(1, "", 0, records, 1, records, 2)
        manifest = Manifest(
            f"{self.sent:064}", records, "x.csv", "here", members=(MemberIndex("", 1, ("a",), (span,)),)
        )
        with connected(self.url) as connection:
            key = self.source.partition(partition or None)
            delivery, _ = deliveries.record(connection, self.source.name, key, manifest)
            connection.execute(
                "UPDATE etl.delivery SET status = %s, fetched_at = timestamptz '2024-01-01' + %s WHERE id = %s",
                (status, timedelta(days=after), delivery.id),
            )
            return deliveries.by_id(connection, delivery.id) or delivery

    def profile(self, delivery: Delivery, nulls: int, rows: int = 10_000) -> None:
        """Enter a profile of a delivery in which so many rows have no note."""
        column = ColumnProfile("note", rows, nulls, 50.0, mean=7.0, deviation=2.0, top=(("hidden", 99),))
        with connected(self.url) as connection:
            profiles.replace(connection, delivery, [column])

    def examine(self, delivery: Delivery) -> dict[str, CheckResult]:
        with connected(self.url) as connection:
            return {result.name: result for result in watch.examine(connection, self.source, delivery)}

    def volume(self, delivery: Delivery) -> str:
        return self.examine(delivery)["volume"].description


@pytest.fixture(scope="module")
def shared_url(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with warehouse(postgres_url, tmp_path_factory.mktemp("landing")) as ready:
        yield ready.url


@pytest.fixture
def chronicle(shared_url: str) -> Chronicle:
    return Chronicle(shared_url, source(f"s{uuid4().hex}"))


def partitioned(chronicle: Chronicle, partitions: Partitioning) -> Chronicle:
    return replace(chronicle, source=replace(chronicle.source, partitions=partitions))


def test_a_delivery_is_compared_with_those_before_it(chronicle: Chronicle) -> None:
    for number in range(6):
        chronicle.deliver(100 + number)
    now, _later = chronicle.deliver(1000), chronicle.deliver(5)
    found = chronicle.examine(now)["volume"]
    assert found.description == "1,000 records, expected 76 to 136 (6 deliveries before it)."
    assert (found.passed, found.failed_records, found.records) == (False, 1, 1000)


def test_only_complete_deliveries_of_the_source_count(chronicle: Chronicle) -> None:
    replace(chronicle, source=source(f"s{uuid4().hex}"), sent=500).deliver(7)
    chronicle.deliver(7, status="refused")
    chronicle.deliver(7, status="loading")
    assert "0 deliveries before it" in chronicle.volume(chronicle.deliver(100))


def test_a_file_is_compared_with_the_newest_delivery_of_each_file_before_it(chronicle: Chronicle) -> None:
    chronicle = partitioned(chronicle, Files())
    for name in ("d", "b", "c", "a", "e"):
        chronicle.deliver(1, name)
        chronicle.deliver(100, name)
        chronicle.deliver(3, name, status="refused")
    now = chronicle.deliver(101, "f")
    chronicle.deliver(1, "g")
    assert chronicle.volume(now) == "101 records, expected 70 to 130 (5 deliveries before it)."
    late = chronicle.deliver(100, "bb")
    assert "2 deliveries before it" in chronicle.volume(late)


def test_named_partitions_are_compared_in_their_declared_order(chronicle: Chronicle) -> None:
    chronicle = partitioned(chronicle, Static(("south", "north", "east")))
    chronicle.deliver(10, "east")
    chronicle.deliver(10, "south")
    assert "1 delivery before it" in chronicle.volume(chronicle.deliver(10, "north"))


def test_daily_partitions_are_compared_by_weekday(chronicle: Chronicle) -> None:
    monday = date(2024, 1, 1)
    chronicle = partitioned(chronicle, Daily(start=monday))
    days = [monday + timedelta(days=number) for number in range(42)]
    sent = {day: chronicle.deliver(10 if day.weekday() > 4 else 100, day.isoformat()) for day in days}
    assert chronicle.volume(sent[days[-1]]) == "10 records, expected 1 to 19 (5 Sundays before it)."


def test_a_source_without_partitions_is_compared_by_the_weekday_of_the_fetch(chronicle: Chronicle) -> None:
    sent = [chronicle.deliver(10 if day % 7 > 4 else 100, after=day) for day in range(42)]
    assert chronicle.volume(sent[-1]) == "10 records, expected 1 to 19 (5 Sundays before it)."


def test_deliveries_that_were_fetched_in_one_hour_are_not_compared_by_weekday(chronicle: Chronicle) -> None:
    sent = [chronicle.deliver(100, after=day / 1000) for day in range(42)]
    assert chronicle.volume(sent[-1]) == "100 records, expected 70 to 130 (41 deliveries before it)."


def test_an_anomalous_column_is_described_without_its_values(chronicle: Chronicle) -> None:
    for number in range(9):
        chronicle.profile(chronicle.deliver(10_000), nulls=200 + number)
    now = chronicle.deliver(10_000)
    chronicle.profile(now, nulls=3120)
    found = chronicle.examine(now)["distribution"]
    text = "null share of note 31.2%, expected 0.2% to 5.9% (9 profiled deliveries before it)."
    assert (found.passed, found.failed_records, found.description) == (False, 1, text)
    assert {fact["statistic"] for fact in found.facts} == {"null share", "distinct values", "mean length"}
    assert "hidden" not in repr(found)


def test_a_column_that_is_as_usual_passes(chronicle: Chronicle) -> None:
    for _ in range(10):
        now = chronicle.deliver(10_000)
        chronicle.profile(now, nulls=200)
    found = chronicle.examine(now)["distribution"]
    assert (found.passed, found.failed_records) == (True, 0)
    assert found.description == "1 column is as usual (9 profiled deliveries before it)."


def test_with_too_few_profiles_nothing_is_compared(chronicle: Chronicle) -> None:
    for nulls in (0, 0, 0, 9999):
        now = chronicle.deliver(10_000)
        chronicle.profile(now, nulls)
    found = chronicle.examine(now)["distribution"]
    assert (found.passed, found.facts) == (True, ())
    assert found.description == "Too little history to compare: 3 profiled deliveries before it."


def test_a_delivery_without_a_profile_passes_and_says_so(chronicle: Chronicle) -> None:
    found = chronicle.examine(chronicle.deliver(10_000))["distribution"]
    assert found.passed
    assert found.description.startswith("The delivery has no profile")


def test_many_anomalous_columns_are_all_counted_but_only_the_first_are_described(chronicle: Chronicle) -> None:
    names = [f"c{number}" for number in range(15)]
    schema = Schema(columns=(Column("code", "text", required=True), *(Column(n, "text") for n in names)), key=("code",))
    chronicle = replace(chronicle, source=replace(chronicle.source, schema=schema))
    with connected(chronicle.url) as connection:
        for nulls in (*[0] * 8, 10_000):
            now = chronicle.deliver(10_000)
            profiles.replace(connection, now, [ColumnProfile(name, 10_000, nulls) for name in names])
    found = chronicle.examine(now)["distribution"]
    assert found.failed_records == 15
    assert "null share of c9 100.0%, expected 0.0% to 1.0%; and 5 more (8" in found.description


@pytest.mark.parametrize(
    ("monitors", "checks"),
    [
        (Monitors(), {"volume", "distribution"}),
        (Monitors(volume=None), {"distribution"}),
        (Monitors(distribution=None), {"volume"}),
        (Monitors(distribution=None, columns={"note": Distribution()}), {"volume", "distribution"}),
        (Monitors(volume=None, distribution=None), set()),
    ],
)
def test_there_is_a_check_for_each_declared_monitor(chronicle: Chronicle, monitors: Monitors, checks: set[str]) -> None:
    chronicle = replace(chronicle, source=replace(chronicle.source, monitors=monitors))
    assert set(chronicle.examine(chronicle.deliver(10))) == checks == set(watch.checks_of(chronicle.source))


def test_limits_of_the_declaration_hold(chronicle: Chronicle) -> None:
    chronicle = replace(chronicle, source=replace(chronicle.source, monitors=Monitors(volume=Volume(at_least=20))))
    assert chronicle.volume(chronicle.deliver(10)) == "10 records; at least 20 are expected."


def nulls_of(connection: Connection, *found: Delivery) -> list[int]:
    """Return how many rows had no note, by the profiles of some deliveries."""
    columns = profiles.find_profiles(connection, [delivery.id for delivery in found])
    return [columns[delivery.id]["note"].nulls for delivery in found if delivery.id in columns]


def test_remembered_profiles_are_read_again_after_another_session_replaced_them(chronicle: Chronicle) -> None:
    one, other = chronicle.deliver(10_000), chronicle.deliver(10_000)
    chronicle.profile(one, 1)
    chronicle.profile(other, 2)
    with connected(chronicle.url) as connection:
        assert nulls_of(connection, one, other) == [1, 2]
        assert nulls_of(connection, one, other) == [1, 2]
        chronicle.profile(one, 3)
        assert nulls_of(connection, one, other) == [3, 2]
        with connected(chronicle.url) as second:
            second.execute("DELETE FROM etl.profile WHERE delivery_id = %s", (other.id,))
        assert nulls_of(connection, one, other) == [3]


def test_remembered_profiles_are_read_again_after_their_own_transaction_replaced_them(chronicle: Chronicle) -> None:
    delivery = chronicle.deliver(10_000)
    with connected(chronicle.url) as connection, connection.transaction():
        for nulls in (1, 2):
            profiles.replace(connection, delivery, [ColumnProfile("note", 10_000, nulls)])
            assert nulls_of(connection, delivery) == [nulls]


def test_profiles_that_one_transaction_wrote_are_told_apart(chronicle: Chronicle) -> None:
    one, other = chronicle.deliver(10_000), chronicle.deliver(10_000)
    with connected(chronicle.url) as connection:
        with connection.transaction():
            profiles.replace(connection, one, [ColumnProfile("note", 10_000, 1)])
            profiles.replace(connection, other, [ColumnProfile("note", 10_000, 2)])
        assert nulls_of(connection, one) == [1]
        assert nulls_of(connection, one, other) == [1, 2]
