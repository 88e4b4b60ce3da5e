"""The complete ingest of JSON and XML feeds: their keys are the published names, including rare keys."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import Json, Ndjson, Xml
from etl_assets.schema import Column, Schema

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World

ORDERS = Schema(
    columns=(
        Column("id", "integer", required=True),
        Column("total", "decimal", precision=38, scale=10),
        Column("note", "text"),
        Column("items", "json"),
    ),
    key=("id",),
)


@pytest.fixture
def orders(world: World) -> World:
    return replace(world, name="orders", schema=ORDERS, format=Ndjson(batch_bytes=256))


def take(world: World, *records: dict[str, Any] | str) -> Any:
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    return world.take(*lines[1:], header=lines[0])


def events(world: World) -> list[tuple[Any, ...]]:
    return world.query("SELECT kind, subject, status FROM etl.drift ORDER BY id")


def test_values_are_stored_as_they_were_published(orders: World) -> None:
    take(orders, '{"id": 1, "total": 12345678901234567890.1234567890, "items": [{"n": 1.10}], "note": null}')
    assert orders.rows() == [(1, Decimal("12345678901234567890.1234567890"), None, [{"n": 1.1}])]
    assert orders.query("SELECT items::text FROM core.orders") == [('[{"n": 1.10}]',)]


def test_a_key_that_only_one_record_of_a_later_batch_has_is_drift_and_is_not_lost(orders: World) -> None:
    records: list[dict[str, Any]] = [{"id": n, "note": "of some length, so that there are batches"} for n in range(30)]
    take(orders, *records)
    assert events(orders) == []
    records[25]["discount"] = "0.50"
    take(orders, *records)
    assert events(orders) == [("added", "discount", "open")]
    assert "discount" in orders.land().delivery.manifest.names
    discounted = replace(orders, schema=replace(ORDERS, columns=(*ORDERS.columns, Column("discount", "text"))))
    discounted.load(discounted.land().delivery)
    assert discounted.query("SELECT id, discount FROM core.orders WHERE discount IS NOT NULL") == [(25, "0.50")]


def test_keys_in_another_order_are_no_drift(orders: World) -> None:
    take(orders, '{"id": 1, "note": "a"}')
    take(orders, '{"note": "b", "id": 1}')
    assert events(orders) == []


def test_a_delivery_without_a_required_key_in_any_record_is_refused(orders: World) -> None:
    with pytest.raises(Exception, match="lacks required columns: id"):
        take(orders, '{"ID": 1}')


def test_a_delivery_without_records_is_loaded_and_hides_no_drift(world: World) -> None:
    listed = replace(world, name="orders", schema=ORDERS, format=Json())
    listed.take_bytes(b'[{"id": 1, "note": "a"}]')
    report = listed.take_bytes(b"[]")
    assert (report.status, report.counts.read) == ("loaded", 0)
    assert events(listed) == []
    listed.take_bytes(b'[{"id": 2, "note": "b"}]')
    assert events(listed) == []
    listed.take_bytes(b" []")
    listed.take_bytes(b'[{"id": 3, "remark": "c"}]')
    assert events(listed) == [("removed", "note", "open"), ("added", "remark", "open")]
    assert [row[0] for row in listed.rows()] == [1, 2, 3]
    assert listed.violations() == []


def test_a_feed_may_begin_with_a_delivery_without_records(world: World) -> None:
    listed = replace(world, name="orders", schema=ORDERS, format=Xml(record="/orders/order"))
    listed.take_bytes(b"<orders/>")
    assert listed.rows() == []
    listed.take_bytes(b"<orders><order><id>1</id></order></orders>")
    assert [row[0] for row in listed.rows()] == [1]
    assert listed.violations() == []


def test_a_record_without_a_required_key_is_rejected(orders: World) -> None:
    take(orders, '{"id": 1}', '{"note": "x"}')
    assert [(record.record_no, record.rules) for record in orders.waiting()] == [(2, ["id__required"])]


def test_a_record_that_is_no_object_waits_with_its_bytes_and_is_corrected_by_fields(orders: World) -> None:
    take(orders, '{"id": 1, "note": "a"}', '{"id": 2, "id": 3}', "gone", '{"id": "x"}')
    waiting = {record.record_no: record for record in orders.waiting()}
    assert {number: record.rules for number, record in waiting.items()} == {
        2: ["record__key_twice"],
        3: ["record__object"],
        4: ["id__type"],
    }
    assert waiting[3].raw == b"gone"
    assert "no key stands twice in the record" in {rule.words for rule in orders.source.rules}
    orders.correct(waiting[3], id="7", note="found", total=None, items=None)
    assert orders.replay().replayed == 1
    assert [row[:3] for row in orders.rows()] == [(1, None, "a"), (7, None, "found")]
    assert orders.violations() == []


def test_members_of_an_archive_may_publish_different_names(orders: World) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.json", '{"id": 1, "note": "a"}\n')
        archive.writestr("b.json", '{"total": 2.50, "id": 2}\n{"id": 3, "more": 1}\n')
    path = orders.folder / "orders" / "goods.csv"
    path.parent.mkdir()
    path.write_bytes(packed.getvalue())
    landed = orders.land()
    assert landed.delivery.manifest.names == ("id", "note", "total", "more")
    orders.load(landed.delivery)
    assert [row[:3] for row in orders.rows()] == [(1, None, "a"), (2, Decimal("2.5"), None), (3, None, None)]


def test_a_record_with_a_nul_character_waits_with_its_bytes_and_without_fields(orders: World) -> None:
    published = r'{"id": 2, "note": "a\u0000b", "total": 5}'
    report = take(orders, '{"id": 1, "note": "a"}', published, r'{"id": "x", "note": "a\\u0000b"}')
    assert (report.counts.inserted, report.counts.rejected) == (1, 2)
    nul, escaped = orders.waiting()
    assert (nul.rules, nul.raw, nul.fields) == (["record__nul"], published.encode(), None)
    assert escaped.fields == {"id": "x", "note": r"a\u0000b", "total": None}
    assert orders.violations() == []


def test_a_correction_of_a_record_with_a_nul_character_keeps_its_other_fields(orders: World) -> None:
    take(orders, '{"id": 1, "note": "a"}', r'{"id": 2, "note": "a\u0000b", "total": 5}')
    orders.correct(orders.waiting()[0], total="6")
    assert orders.replay().replayed == 0
    orders.correct(orders.waiting()[0], note="ab")
    assert orders.replay().replayed == 1
    assert orders.rows()[1] == (2, Decimal(6), "ab", None)
    assert orders.violations() == []


def test_fields_are_the_published_texts_whatever_they_contain(orders: World) -> None:
    record: dict[str, Any] = {"id": "x", 'a"\\\n\tü': 'b"\\\n\x01\x7f\u2028é😀', "*": "", "note": None}
    take(orders, record, {"id": "y"}, "{}", "[]")
    first, second, third, malformed = orders.waiting()
    assert first.fields == record
    assert second.fields == {**dict.fromkeys(record), "id": "y"}
    assert third.fields == dict.fromkeys(record)
    assert malformed.fields is None
