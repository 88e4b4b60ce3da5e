"""The complete ingest of a feed whose files were written in several ways, and end in one table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from etl_assets import Csv, Layout, Ndjson, OneOf

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World

LAYOUTS = OneOf(
    Layout(Csv(header=("code", "amount", "note"), delimiter="|", encoding="cp1252"), last="2019.csv"),
    Csv(batch_bytes=64),
    Csv(delimiter=";", decimal=","),
    Ndjson(),
)


@pytest.fixture
def feed(world: World) -> World:
    return replace(world, format=LAYOUTS, files=True)


def take_every(feed: World) -> None:
    feed.take("plum|many|caf\xe9".encode("cp1252"), file="2018.csv", header="apple|1|x")
    feed.take("pear,2,y", "Fig,3,z", file="2020.csv")
    feed.take("kiwi;4;y", "lime;few;z", file="2021.csv", header="code;amount;note")
    feed.take('{"code": "nut", "amount": "none"}', file="2022.csv", header='{"code": "bean", "amount": 5}')


def test_files_of_every_layout_end_in_one_table(feed: World) -> None:
    take_every(feed)
    assert feed.rows() == [("apple", 1, "x"), ("bean", 5, None), ("kiwi", 4, "y"), ("pear", 2, "y")]
    assert feed.violations() == []


def test_records_of_the_quarantine_are_read_again_in_the_layout_of_their_file(feed: World) -> None:
    take_every(feed)
    feed.replay()
    assert [record.rules for record in feed.waiting()] == [
        ["amount__type"],
        ["code__pattern"],
        ["amount__type"],
        ["amount__type"],
    ]
    for record in feed.waiting():
        feed.correct(record, **({"code": "fig"} if "code__pattern" in record.rules else {"amount": "7"}))
    assert feed.replay().replayed == 4
    assert feed.rows() == [
        ("apple", 1, "x"),
        ("bean", 5, None),
        ("fig", 3, "z"),
        ("kiwi", 4, "y"),
        ("lime", 7, "z"),
        ("nut", 7, None),
        ("pear", 2, "y"),
        ("plum", 7, "café"),
    ]
    assert feed.violations() == []


def test_another_declaration_reloads_each_file_in_its_layout(feed: World) -> None:
    take_every(feed)
    wider = replace(feed, format=OneOf(Ndjson(), *LAYOUTS.layouts[:3]))
    for file in ("2018.csv", "2020.csv", "2021.csv", "2022.csv"):
        wider.load(wider.land(file).delivery)
    assert wider.rows() == [("apple", 1, "x"), ("bean", 5, None), ("kiwi", 4, "y"), ("pear", 2, "y")]
    assert wider.violations() == []


def test_names_of_layouts_are_compared_as_those_of_any_delivery(feed: World) -> None:
    feed.take("apple,1,x", file="2020.csv")
    feed.take("kiwi;4;y;new", file="2021.csv", header="code;amount;note;extra")
    assert feed.query("SELECT kind, subject FROM etl.drift") == [("added", "extra")]
