"""The results of a load, case by case."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, get_args
from uuid import UUID

import pytest

from etl_assets.errors import BusyError, IncompatibleTableError, TooManyRejectedError, TransientLoadError
from etl_assets.load import LoadRequest, PostgresLoader, Target
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries, locks
from etl_assets.schema import Column, References, Schema
from etl_assets.schema.types import TYPES, TypeName
from etl_assets_tests.load.feed import STOCK

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets_tests.load.feed import Feed

AB = [("a", 1, "x"), ("b", 2, None)]


def test_a_first_load_puts_every_row_in(feed: Feed) -> None:
    report = feed.take(AB)
    assert feed.rows() == AB
    assert (report.status, report.counts.inserted, report.counts.read) == ("loaded", 2, 2)
    assert report.delivery.status == "complete"


def test_every_row_has_its_delivery_and_record_number(feed: Feed) -> None:
    report = feed.take([("a", 1, "x")], [("b", 2, "y")])
    marks = feed.query("SELECT _delivery_id, _record_no FROM core.stock ORDER BY code")
    assert marks == [(report.delivery.id, 1), (report.delivery.id, 2)]


def test_a_complete_delivery_is_not_read_again(feed: Feed) -> None:
    feed.take(AB)
    again = feed.take(AB)
    assert (again.status, again.counts.read) == ("unchanged", 0)


def test_rows_that_come_again_in_other_bytes_stay_unchanged(feed: Feed) -> None:
    first = feed.take(AB)
    again = feed.take(AB[::-1])
    assert (again.counts.unchanged, again.counts.updated, again.counts.inserted) == (2, 0, 0)
    assert feed.query("SELECT DISTINCT _delivery_id FROM core.stock") == [(first.delivery.id,)]


def test_rows_that_differ_are_updated_and_new_ones_inserted(feed: Feed) -> None:
    feed.take(AB)
    report = feed.take([("a", 1, "x"), ("b", 3, None), ("c", 4, "new")])
    assert (report.counts.unchanged, report.counts.updated, report.counts.inserted) == (1, 1, 1)
    assert feed.rows() == [("a", 1, "x"), ("b", 3, None), ("c", 4, "new")]


@pytest.mark.parametrize("before", [[], AB], ids=["empty table", "other rows in it"])
def test_the_later_of_two_records_with_the_same_key_is_stored(feed: Feed, before: list[tuple[str, int, str]]) -> None:
    if before:
        feed.take(before)
    report = feed.take([("k", 1, "old"), ("z", 0, None), ("k", 2, "new")])
    assert (report.counts.duplicate, report.counts.produced) == (1, 3)
    assert ("k", 2, "new") in feed.rows()


def test_a_key_that_comes_again_in_a_later_batch_is_updated(feed: Feed) -> None:
    report = feed.take([("k", 1, "old"), ("y", 0, None)], [("k", 2, "new"), ("z", 0, None)])
    assert (report.counts.inserted, report.counts.updated) == (3, 1)
    assert ("k", 2, "new") in feed.rows()


def test_many_changed_rows_are_merged_without_a_probe(feed: Feed) -> None:
    feed.take([(f"k{n}", 0, None) for n in range(50)], [(f"l{n}", 0, None) for n in range(50)])
    report = feed.take([(f"k{n}", 1, None) for n in range(50)], [(f"l{n}", n % 2, None) for n in range(50)])
    assert (report.counts.updated, report.counts.unchanged) == (75, 25)


def test_rejected_records_are_in_the_quarantine_with_their_bytes_and_all_their_rules(feed: Feed) -> None:
    report = feed.take(AB, rejected={3: ["amount__type", "code__required"]})
    records = feed.query("SELECT record_no, raw, rules, status, location FROM etl.rejected")
    assert records == [(3, b"record 3", ["amount__type", "code__required"], "open", ":4")]
    assert (report.counts.rejected, report.rules) == (1, {"amount__type": 1, "code__required": 1})


def test_too_many_rejected_records_stop_the_run_with_nothing_written(feed: Feed) -> None:
    feed.max_rejected = 0.3
    delivery = feed.send(AB, rejected={3: ["amount__type"]})
    with pytest.raises(TooManyRejectedError, match=r"amount__type \(1\)"):
        feed.load(delivery)
    assert feed.rows() == []
    assert feed.query("SELECT count(*) FROM etl.rejected") == [(0,)]
    assert feed.query("SELECT status FROM etl.delivery") == [("refused",)]


def test_a_refused_delivery_can_be_loaded_when_max_rejected_is_raised(feed: Feed) -> None:
    feed.max_rejected = 0.3
    delivery = feed.send(AB, rejected={3: ["amount__type"]})
    with pytest.raises(TooManyRejectedError):
        feed.load(delivery)
    feed.max_rejected = 0.5
    assert feed.load(delivery).counts.inserted == 2


def test_a_load_is_stopped_if_the_batches_before_rejected_more_than_is_consented_to_now(feed: Feed) -> None:
    delivery = feed.send([("a", 1, None)], AB, rejected={2: ["amount__type"]})
    feed.open = lambda skip: iter(feed.batches(delivery)[:1] if not skip else feed.batches(delivery)[1:])
    with pytest.raises(TransientLoadError):
        feed.load(delivery)
    feed.max_rejected = 0.0
    with pytest.raises(TooManyRejectedError, match="at least 1 of 4 records"):
        feed.load(delivery)


def test_a_load_is_stopped_if_its_batches_together_reject_more_than_is_consented_to(feed: Feed) -> None:
    feed.max_rejected = 0.2
    delivery = feed.send([("a", 1, None)], AB, rejected={2: ["amount__type"], 5: ["amount__type"]})
    with pytest.raises(TooManyRejectedError, match="at least 2 of 5 records"):
        feed.load(delivery)
    assert feed.rows() == [("a", 1, None)], "the first batch stays"


def test_the_allowance_applies_to_the_delivery_and_not_to_a_batch(feed: Feed) -> None:
    feed.max_rejected = 0.25
    report = feed.take([("a", 1, None)], [(f"k{n}", 1, None) for n in range(6)], rejected={2: ["amount__type"]})
    assert report.counts.rejected == 1


@pytest.mark.parametrize("newer_first", [False, True])
def test_the_newer_partition_wins_whichever_is_loaded_first(feed: Feed, newer_first: bool) -> None:  # noqa: FBT001
    old = feed.send([("a", 1, "old")], partition="2024-01")
    new = feed.send([("a", 2, "new")], partition="2024-02")
    for delivery in (new, old) if newer_first else (old, new):
        feed.load(delivery)
    assert feed.rows() == [("a", 2, "new")]


@pytest.mark.parametrize("rows", [[("a", 5, "1")], [("a", 5, "1"), ("a", 3, "2")]])
def test_the_order_column_takes_precedence_over_the_order_of_arrival(
    feed: Feed, rows: list[tuple[str, int, str]]
) -> None:
    feed.schema = replace(
        STOCK, columns=(STOCK["code"], STOCK["amount"].replace(required=True), STOCK["note"]), order_by="amount"
    )
    feed.take(rows)
    report = feed.take([("a", 4, "late")])
    assert feed.rows() == [("a", 5, "1")]
    assert report.counts.unchanged == 1


def test_a_second_run_of_the_same_partition_fails_because_it_is_busy(feed: Feed) -> None:
    delivery = feed.send(AB)
    with connected(feed.url) as other:
        locks.lock(other, "stock", "")
        with pytest.raises(BusyError, match="Another run is loading stock"):
            feed.load(delivery)


def test_a_record_that_the_database_cannot_store_is_found_and_quarantined(feed: Feed) -> None:
    poison = "x" * 3_000_000  # longer than any index entry may be
    rows = [(f"k{n}", n, None) for n in range(20)]
    report = feed.take([*rows[:13], (poison, 13, None), *rows[14:]])
    assert report.counts.rejected == 1
    assert report.rules == {"record__database": 1}
    assert len(feed.rows()) == 19
    assert feed.query("SELECT record_no FROM etl.rejected") == [(14,)]


@pytest.fixture
def parents(feed: Feed) -> Callable[..., Feed]:
    def referring(missing: str) -> Feed:
        feed.take(AB)
        reference = References("core.stock.code", missing)  # type: ignore[arg-type]
        schema = Schema((Column("id", "integer", required=True), Column("code", "text", references=reference)), ("id",))
        return replace(feed, source="orders", schema=schema, _sent={})

    return referring


def test_a_record_whose_parent_is_missing_is_parked(parents: Callable[..., Feed]) -> None:
    orders = parents("park")
    report = orders.take([(1, "a"), (2, "nowhere"), (3, None)])
    assert orders.rows() == [(1, "a"), (3, None)]
    assert report.rules == {"code__references": 1}
    assert orders.query("SELECT record_no, status FROM etl.rejected") == [(2, "parked")]


def test_a_missing_parent_rejects_the_record_if_declared_so(parents: Callable[..., Feed]) -> None:
    orders = parents("reject")
    orders.take([(1, "a"), (2, "nowhere")])
    assert orders.query("SELECT status FROM etl.rejected") == [("open",)]


def test_a_missing_parent_is_only_reported_if_declared_so(parents: Callable[..., Feed]) -> None:
    orders = parents("report")
    report = orders.take([(1, "a"), (2, "nowhere")])
    assert orders.rows() == [(1, "a"), (2, "nowhere")]
    assert (report.counts.rejected, report.rules) == (0, {"code__references": 1})


def test_a_record_that_claims_a_taken_value_is_rejected(feed: Feed) -> None:
    feed.schema = replace(STOCK, columns=(STOCK["code"], STOCK["amount"], STOCK["note"].replace(unique=True)))
    feed.take([("a", 1, "mine")])
    report = feed.take([("a", 2, "mine"), ("b", 1, "mine"), ("c", 1, "twice"), ("d", 1, "twice")])
    assert feed.rows() == [("a", 2, "mine"), ("c", 1, "twice")]
    assert report.rules == {"note__unique": 2}


def test_values_of_every_type_are_stored_and_recognised_as_unchanged(feed: Feed) -> None:
    at = datetime(2024, 2, 29, 12, 30, 0, 1)  # noqa: DTZ001 -- a time without a zone
    values: dict[str, Any] = {
        "text": "é\n",
        "integer": -(2**63),
        "float": 1.5,
        "decimal": Decimal("12.30"),
        "boolean": True,
        "date": date(1, 1, 1),
        "timestamp": at,
        "time": time(23, 59, 59, 999999),
        "json": '{"a": [1.10, null]}',
        "uuid": "6f9619ff-8b86-d011-b42d-00c04fc964ff",
    }
    assert set(values) == {*TYPES}
    more: dict[str, Any] = {"decimal": {"scale": 2}}
    columns = [Column(name, name, **more.get(name, {})) for name in get_args(TypeName)]
    instant = Column("instant", "timestamp", zone="Europe/Paris")
    feed.schema = Schema((Column("code", "text", required=True), *columns, instant), key=("code",))
    row = ("a", *(values[name] for name in TYPES), at.replace(tzinfo=UTC))
    nothing = ("b", *[None] * (len(TYPES) + 1))
    report = feed.take([row, nothing])
    assert (report.counts.inserted, report.counts.rejected) == (2, 0)
    stored, empty = feed.rows()
    expected = {**values, "json": {"a": [1.1, None]}, "uuid": UUID(values["uuid"])}
    assert stored == ("a", *(expected[name] for name in TYPES), at.replace(tzinfo=UTC))
    assert empty == nothing
    assert feed.take([row, nothing, ("c", *nothing[1:])]).counts.unchanged == 2


def test_a_new_column_is_added_and_filled_when_the_delivery_is_reloaded(feed: Feed) -> None:
    delivery = feed.send(AB)
    feed.load(delivery)
    feed.schema = replace(STOCK, columns=(*STOCK.columns, Column("size", "integer")))
    feed.fingerprint = "f2"
    feed._sent[delivery.id] = [feed.batch(1, 1, [("a", 1, "x", 7), ("b", 2, None, None)], {})]
    report = feed.load(delivery)
    assert feed.rows() == [("a", 1, "x", 7), ("b", 2, None, None)]
    assert (report.delivery.generation, report.counts.updated, report.counts.unchanged) == (2, 1, 1)


def test_a_reload_deletes_rows_that_the_delivery_no_longer_yields(feed: Feed) -> None:
    delivery = feed.send(AB)
    feed.load(delivery)
    feed._sent[delivery.id] = [feed.batch(1, 1, [("a", 1, "x")], {2: ["note__required"]})]
    feed.fingerprint = "f2"
    report = feed.load(delivery)
    assert feed.rows() == [("a", 1, "x")]
    assert (report.counts.deleted, report.counts.rejected) == (1, 1)


def test_a_reload_closes_records_that_are_no_longer_rejected(feed: Feed) -> None:
    delivery = feed.send([("a", 1, "x")], rejected={2: ["note__required"]})
    feed.load(delivery)
    feed._sent[delivery.id] = [feed.batch(1, 1, AB, {})]
    feed.load(delivery, force=True)
    assert feed.rows() == AB
    assert feed.query("SELECT status FROM etl.rejected") == [("superseded",)]


@pytest.mark.parametrize(
    "schema",
    [
        replace(STOCK, key=("code", "note"), columns=(*STOCK.columns[:2], STOCK["note"].replace(required=True))),
        replace(STOCK, columns=(STOCK["code"], STOCK["amount"].replace(type="boolean"), STOCK["note"])),
    ],
    ids=["another key", "another type"],
)
def test_an_incompatible_schema_is_refused_and_the_table_stays_unchanged(feed: Feed, schema: Schema) -> None:
    feed.take(AB)
    feed.schema, feed.fingerprint = schema, "f2"
    with pytest.raises(IncompatibleTableError, match="Nothing was changed"):
        feed.load(feed.send([("c", True, "n")]))
    feed.schema = STOCK
    assert feed.rows() == AB


def test_a_table_that_etl_assets_did_not_create_is_refused(feed: Feed) -> None:
    with connected(feed.url) as connection:
        connection.execute("CREATE SCHEMA core; CREATE TABLE core.stock (code text PRIMARY KEY)")
    with pytest.raises(IncompatibleTableError, match="was not created by etl_assets"):
        feed.take(AB)


def test_a_load_leaves_no_temporary_tables_behind(feed: Feed) -> None:
    feed.take(AB)
    feed.take([("a", 9, None)])
    assert feed.query("SELECT relname FROM pg_class WHERE relname LIKE 'etl\\_%'") == []


def test_a_reload_with_fewer_records_deletes_the_rows_of_the_records_that_are_gone(feed: Feed) -> None:
    delivery = feed.send([*AB, ("c", 3, None)])
    feed.load(delivery)
    shorter = feed.batch(1, 1, AB, {})
    feed._sent[delivery.id] = [shorter]
    feed.fingerprint = "f2"
    with connected(feed.url) as connection:
        stored = deliveries.by_id(connection, delivery.id)
    assert stored is not None
    member = replace(stored.manifest.members[0], spans=(shorter.span,))
    again = replace(stored, manifest=replace(stored.manifest, members=(member,)))
    target = Target(feed.table, feed.schema, feed.fingerprint, 1.0)
    report = PostgresLoader().load(LoadRequest(feed.url, "run", target, again, lambda _skip: iter([shorter])))
    assert feed.rows() == AB
    assert report.counts.deleted == 1
