"""Drift events: which changes open them, and what closes them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets.errors import DriftError
from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.csv import Csv
from etl_assets.landing import LandingStore, Warehouse
from etl_assets.model.alert import DriftOpened
from etl_assets.model.partitions import Files
from etl_assets.postgres.connection import connected
from etl_assets.schema import Column, Schema
from etl_assets.source import Source
from etl_assets.watch import drift
from etl_assets.watch.drift import Drift
from etl_assets_tests.watching import Watch, slots

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GOODS = Schema(
    columns=(
        Column("code", "text", required=True, published_as=("code", "Code")),
        Column("amount", "integer"),
        Column("day", "date", formats=("%Y-%m-%d", "%d.%m.%Y")),
        Column("size", "text", allowed=("S", "M")),
    ),
    key=("code",),
    ignored=("remark",),
)
COLOUR = [("added", "colour", "")]


@dataclass
class Shop:
    """Publishes files of one source and observes each of them. A higher number is a later partition."""

    watch: Watch
    folder: Path

    def publish(self, number: int, header: str, *lines: str) -> str:
        key = f"{number:02}.csv"
        (self.folder / key).write_text("\n".join((header, *(lines or ("1",)), "")))
        return key

    def take(self, number: int, header: str, *lines: str) -> Drift:
        """Publish a file and return the drift that it brought."""
        return self.watch.poll(self.publish(number, header, *(lines or (",".join(header.split(",")),))))

    def take_cells(self, number: int, name: str, *cells: str) -> Drift:
        """Publish a file with one column beside the key and return the drift that it brought."""
        return self.take(number, f"code,{name}", *(f"{place},{cell}" for place, cell in enumerate(cells)))

    def declare(self, schema: Schema, **more: Any) -> None:
        """Change the declaration of the source."""
        self.watch.source = replace(self.watch.source, schema=schema, **more)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return self.watch.connection.execute(sql.encode()).fetchall()


@contextmanager
def opened(url: str, folder: Path) -> Iterator[Shop]:
    source = Source(
        name="goods",
        description="Goods in stock.",
        owner="team:tests",
        extractor=FileExtractor(location=f"{folder / 'goods'}/*.csv", format=Csv(), settle_seconds=0),
        schema=GOODS,
        partitions=Files(),
    )
    (folder / "goods").mkdir(exist_ok=True)
    with connected(url) as connection:
        yield Shop(Watch(source, Warehouse(url, LandingStore(str(folder / "landing"))), connection), folder / "goods")


@pytest.fixture
def shop(migrated_url: str, tmp_path: Path) -> Iterator[Shop]:
    with opened(migrated_url, tmp_path) as shop:
        yield shop


def test_a_first_delivery_opens_only_events_of_undeclared_names(shop: Shop) -> None:
    found = shop.take(1, "code,colour,remark")
    assert (slots(found.opened), found.closed) == (COLOUR, ())


def test_a_change_is_opened_once_and_stays_open_while_deliveries_agree(shop: Shop) -> None:
    shop.take(1, "code")
    (event,) = shop.take(2, "code,colour").opened
    assert (event.status, event.closed_at) == ("open", None)
    assert [shop.take(number, "code,colour", f"x,{number}") for number in (3, 4)] == [Drift(), Drift()]
    (still_open,) = shop.watch.open_events()
    assert still_open.first_delivery == event.first_delivery == shop.watch.delivered("02.csv").id
    assert still_open.last_delivery == shop.watch.delivered("04.csv").id


def test_a_delivery_that_takes_a_change_back_resolves_it_and_opens_nothing(shop: Shop) -> None:
    shop.take(1, "code")
    (event,) = shop.take(2, "code,colour").opened
    back = shop.take(3, "code", "x")
    assert back.opened == ()
    (closed,) = back.closed
    assert (closed.id, closed.status, closed.closed_delivery) == (
        event.id,
        "resolved",
        shop.watch.delivered("03.csv").id,
    )
    assert slots(shop.take(4, "code,colour", "x,4").opened) == COLOUR


def test_a_renaming_is_taken_back_by_the_opposite_renaming(shop: Shop) -> None:
    shop.take(1, "code,amount")
    assert slots(shop.take(2, "code,Amount").opened) == [("renamed", "amount", "Amount")]
    assert slots(shop.take(3, "code,amount,remark").closed) == [("renamed", "amount", "Amount")]
    assert shop.watch.open_events() == []


def test_after_a_change_is_accepted_its_inverse_is_a_change(shop: Shop) -> None:
    shop.take(1, "code")
    shop.watch.accept(shop.take(2, "code,colour").opened)
    back = shop.take(3, "code", "x")
    assert (slots(back.opened), back.closed) == ([("removed", "colour", "")], ())


def test_after_a_change_is_ignored_neither_it_nor_its_inverse_is_reported(shop: Shop) -> None:
    shop.take(1, "code")
    shop.watch.ignore(shop.take(2, "code,colour").opened)
    assert shop.take(3, "code", "x") == shop.take(4, "code,colour", "x,y") == Drift()
    assert slots(shop.take(5, "code,colour,weight").opened) == [("added", "weight", "")]


def test_only_an_open_change_can_be_closed(shop: Shop) -> None:
    (event,) = shop.take(1, "code,colour").opened
    shop.watch.accept([event])
    assert shop.query("SELECT status, reviewer, note FROM etl.drift") == [("accepted", "ada", "seen")]
    with pytest.raises(DriftError, match="is not open"):
        shop.watch.ignore([event])
    with pytest.raises(DriftError, match="99 is not open"):
        drift.accept(shop.watch.connection, (), 99, "ada")


def test_foreseen_changes_are_entered_as_accepted_by_the_declaration(shop: Shop) -> None:
    shop.take(1, "code")
    found = shop.take(2, "remark,Code,amount")
    assert sorted(slots(found.opened)) == [
        ("added", "amount", ""),
        ("added", "remark", ""),
        ("renamed", "code", "Code"),
    ]
    assert {(event.status, event.reviewer) for event in found.opened} == {("accepted", "the declaration")}
    assert found.unforeseen == ()
    assert shop.watch.open_events() == []


def test_a_removed_required_column_blocks(shop: Shop) -> None:
    shop.take(1, "code,amount")
    delivery = shop.watch.delivered(shop.publish(2, "amount"))
    (event,) = shop.watch.observe_names(delivery).opened
    assert (event.change.slot, event.change.blocking) == (("removed", "code", ""), True)


def test_a_partition_that_comes_late_is_compared_with_the_one_before_it(shop: Shop) -> None:
    shop.take(1, "code")
    shop.take(5, "code,colour,weight")
    assert slots(shop.take(3, "code,colour,height").opened) == [("added", "height", "")]


def test_a_change_that_a_late_partition_has_too_is_not_opened_twice(shop: Shop) -> None:
    shop.take(1, "code")
    (event,) = shop.take(5, "code,colour").opened
    assert shop.take(3, "code,colour", "x,3") == Drift()
    (still_open,) = shop.watch.open_events()
    assert still_open.id == event.id
    assert still_open.first_delivery == shop.watch.delivered("03.csv").id
    assert still_open.last_delivery == shop.watch.delivered("05.csv").id


def test_a_foreseen_change_of_a_later_delivery_is_not_entered_again_for_a_late_one_before_it(shop: Shop) -> None:
    shop.take(1, "code")
    shop.take(5, "code,amount")
    assert shop.take(3, "code,amount", "x,3") == Drift()
    assert shop.query("SELECT count(*), min(first_delivery) FROM etl.drift") == [(1, shop.watch.delivered("03.csv").id)]


def test_a_change_of_a_late_partition_that_the_next_one_takes_back_is_resolved_at_once(shop: Shop) -> None:
    shop.take(1, "code")
    shop.take(5, "code,remark")
    found = shop.take(3, "code,colour")
    (event,) = found.opened
    assert (event.status, event.closed_delivery) == ("resolved", shop.watch.delivered("05.csv").id)
    assert found.unforeseen == found.closed == ()
    assert shop.watch.open_events() == []


def test_a_late_partition_does_not_take_back_a_change_that_a_later_one_still_has(shop: Shop) -> None:
    shop.take(1, "code")
    shop.take(3, "code,colour")
    shop.take(7, "code,colour", "x,7")
    found = shop.take(5, "code", "x")
    assert found.closed == ()
    assert slots(shop.watch.open_events()) == COLOUR


def test_the_same_bytes_again_bring_no_event_and_are_not_read(shop: Shop) -> None:
    shop.take(1, "code")
    shop.take(2, "code,colour")
    assert shop.watch.reads == 2
    assert shop.watch.poll("02.csv") == Drift()
    assert shop.watch.reads == 2


def test_a_delivery_whose_names_were_not_compared_when_it_landed_is_compared_with_its_cells(shop: Shop) -> None:
    shop.take(1, "code")
    delivery = shop.watch.delivered(shop.publish(2, "code,colour"))
    assert slots(shop.watch.observe_cells(delivery).opened) == COLOUR
    assert shop.watch.observe_names(delivery) == Drift()


def test_a_delivery_without_records_keeps_the_remembered_values(shop: Shop) -> None:
    values = [f"{number},v{number}" for number in range(100)]
    shop.take(1, "code,tint", *values)
    shop.watch.accept(shop.watch.open_events())
    key = "02.csv"
    (shop.folder / key).write_text("code,tint\n")
    assert shop.watch.poll(key) == Drift()
    assert shop.watch.reads == 1
    assert slots(shop.take(3, "code,colour", *values).opened) == [("renamed", "tint", "colour")]


def test_a_change_of_type_opens_an_event_and_the_former_type_resolves_it(shop: Shop) -> None:
    shop.take_cells(1, "amount", *["7"] * 40)
    (event,) = shop.take_cells(2, "amount", *["7.5"] * 40).opened
    assert event.change.proposal == "Column('amount', 'float')"
    assert shop.take_cells(3, "amount", *["8.5"] * 40) == Drift()
    back = shop.take_cells(4, "amount", *["9"] * 40)
    assert (back.opened, slots(back.closed)) == ((), [("retyped", "amount", "")])


def test_an_ignored_change_of_type_is_not_reported_again_in_either_direction(shop: Shop) -> None:
    shop.take_cells(1, "amount", *["7"] * 40)
    shop.watch.ignore(shop.take_cells(2, "amount", *["x"] * 40).opened)
    assert shop.take_cells(3, "amount", *["8"] * 40) == shop.take_cells(4, "amount", *["z"] * 40) == Drift()
    assert slots(shop.take_cells(5, "amount", *["7.5"] * 40).opened) == [("retyped", "amount", "")]


def test_changes_to_declared_formats_are_accepted_and_others_stay_open(shop: Shop) -> None:
    shop.take_cells(1, "day", *["2020-01-31"] * 40)
    (event,) = shop.take_cells(2, "day", *["31.01.2020"] * 40).opened
    assert event.status == "accepted"
    (event,) = shop.take_cells(3, "day", *["1/31/2020"] * 40).opened
    assert event.status == "open"
    assert event.change.proposal == "Column('day', 'date', formats=('%Y-%m-%d', '%d.%m.%Y', '%-m/%-d/%Y'))"
    back = shop.take_cells(4, "day", *["2020-01-31"] * 40)
    assert slots(back.closed) == [("format", "day", "")]
    assert back.unforeseen == ()


def test_a_second_null_word_is_added_to_the_open_event_of_the_first(shop: Shop) -> None:
    shop.take_cells(1, "amount", *["7"] * 200)
    (event,) = shop.take_cells(2, "amount", *["7"] * 80, *["-"] * 20).opened
    assert shop.take_cells(3, "amount", *["7"] * 60, *["-"] * 20, *["?"] * 20) == Drift()
    (still_open,) = shop.watch.open_events()
    assert (still_open.id, still_open.change.detail["words"]) == (event.id, ["-", "?"])
    assert still_open.change.proposal == "Column('amount', 'integer', null=('-', '?'))"
    assert slots(shop.take_cells(4, "amount", *["7"] * 80).closed) == [("null_word", "amount", "")]


def test_new_members_of_a_category_are_kept_for_the_reviewer_but_are_in_no_row_of_facts(shop: Shop) -> None:
    shop.take_cells(1, "size", *["S"] * 100)
    (event,) = shop.take_cells(2, "size", *["S"] * 60, *["Private"] * 40).opened
    assert event.change.detail["members"] == ["Private"]
    facts = drift.facts(shop.watch.open_events())
    assert [(fact["kind"], fact["subject"]) for fact in facts] == [("category", "size")]
    assert "Private" not in json.dumps(facts)


def test_the_cells_of_a_reloaded_delivery_replace_the_remembered_ones_and_bring_no_event(shop: Shop) -> None:
    shop.take_cells(1, "amount", *["7"] * 40)
    shop.take_cells(2, "amount", *["7.5"] * 40)
    columns = tuple(c.replace(type="float") if c.name == "amount" else c for c in GOODS.columns)
    shop.declare(replace(GOODS, columns=columns))
    assert shop.watch.observe_cells(shop.watch.delivered("02.csv")) == Drift()
    assert shop.query("SELECT cells->'amount'->'declared' FROM etl.observation ORDER BY rank DESC LIMIT 1") == [(40,)]
    assert shop.take_cells(3, "amount", *["8.5"] * 40) == Drift()


def test_no_contents_of_sensitive_columns_are_remembered(shop: Shop) -> None:
    columns = (*GOODS.columns, Column("keeper", "text", sensitive=True))
    shop.declare(replace(GOODS, columns=columns))
    shop.take(1, "code,keeper,colour", *(f"{n},Ann{n},red{n}" for n in range(30)))
    ((published,),) = shop.query("SELECT published FROM etl.observation")
    assert published["names"] == ["code", "keeper", "colour"]
    assert set(published["values"]) == {"code"}
    assert "Ann" not in json.dumps(shop.query("SELECT published, cells FROM etl.observation"))


def test_only_a_few_hashes_of_values_are_remembered(shop: Shop) -> None:
    shop.take(1, "code,colour", *(f"{n},red{n}" for n in range(300)))
    ((published,),) = shop.query("SELECT published FROM etl.observation")
    assert published["values"]["colour"]["distinct"] == 300
    assert len(published["values"]["colour"]["hashes"]) == drift.MOST_HASHES
    assert "red" not in json.dumps(published)


def test_runs_that_compare_one_delivery_at_the_same_time_open_its_change_once(
    shop: Shop, migrated_url: str, tmp_path: Path
) -> None:
    shop.take(1, "code")
    delivery = shop.watch.delivered(shop.publish(2, "code,colour"))

    def compare(_: int) -> Drift:
        with opened(migrated_url, tmp_path) as other:
            return other.watch.observe_names(delivery)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(compare, range(4)))
    assert [slots(drift.opened) for drift in found if drift != Drift()] == [COLOUR]


def test_a_drift_alert_is_opened_once_and_resolved_with_its_event(shop: Shop) -> None:
    shop.declare(GOODS, alerts=(DriftOpened(),))
    shop.take(1, "code,amount")
    shop.take(2, "code,amount,colour,remark")
    alerts = "SELECT subject, status FROM etl.alert ORDER BY id"
    assert shop.query(alerts) == [("added colour", "open")]
    shop.watch.accept(shop.watch.open_events())
    assert shop.query(alerts) == [("added colour", "resolved")]
    shop.take(3, "code,amount,remark")
    shop.take(4, "code,amount,colour,remark", "x,1,red,y")
    assert shop.query(alerts)[1:] == [("removed colour", "resolved")]


def test_the_event_of_a_column_that_is_declared_now_is_accepted_at_the_next_poll(shop: Shop) -> None:
    shop.take(1, "code,amount")
    shop.take(2, "code,amount,colour")
    shop.declare(replace(GOODS, columns=(*GOODS.columns, Column("colour", "text"))))
    assert shop.watch.poll("02.csv") == Drift()
    assert shop.watch.open_changes() == []
    assert shop.query("SELECT status, reviewer, note FROM etl.drift WHERE kind = 'added'") == [
        ("accepted", "the declaration", "declared since")
    ]


def test_the_event_of_a_removed_column_is_closed_when_the_declaration_drops_it_too(shop: Shop) -> None:
    shop.take(1, "code,amount")
    shop.take(2, "code")
    assert slots(shop.watch.open_events()) == [("removed", "amount", "")]
    shop.declare(replace(GOODS, columns=tuple(column for column in GOODS.columns if column.name != "amount")))
    shop.watch.poll("02.csv")
    assert shop.watch.open_changes() == []


def test_declaring_another_column_closes_no_event(shop: Shop) -> None:
    shop.take(1, "code,amount")
    shop.take(2, "code,amount,colour")
    shop.declare(replace(GOODS, columns=(*GOODS.columns, Column("weight", "text"))))
    shop.watch.poll("02.csv")
    assert slots(shop.watch.open_events()) == COLOUR


def test_the_event_of_a_null_word_that_is_declared_now_is_closed_when_the_delivery_is_reloaded(shop: Shop) -> None:
    usual = [str(number) for number in range(100)]
    shop.take_cells(1, "amount", *usual)
    shop.take_cells(2, "amount", *usual, *["N/A"] * 10)
    assert [change.kind for change in shop.watch.open_changes()] == ["null_word"]
    columns = tuple(c.replace(null=("N/A",)) if c.name == "amount" else c for c in GOODS.columns)
    shop.declare(replace(GOODS, columns=columns))
    shop.watch.poll("02.csv")
    assert shop.watch.open_changes() == []
