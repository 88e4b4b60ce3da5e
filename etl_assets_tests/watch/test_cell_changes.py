"""Differences between cells that are a change, and differences that are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets.model.drift import Change
from etl_assets.schema import Column, Schema
from etl_assets.watch.cell_changes import cell_changes, is_undone, merge_changes
from etl_assets.watch.cell_samples import from_json, merge, observe
from etl_assets_tests.validate.published import PublishedBatch

if TYPE_CHECKING:
    from etl_assets.watch.cell_samples import ColumnCells

COLUMNS = (
    Column("id", "integer", required=True),
    Column("number", "integer"),
    Column("amount", "decimal", scale=2),
    Column("free", "text"),
    Column("day", "date", formats=("%Y-%m-%d", "%d.%m.%Y")),
    Column("size", "text", allowed=("S", "M", "NA")),
    Column("secret", "text", sensitive=True),
)
SCHEMA = Schema(COLUMNS, ("id",))
ISO, GERMAN, AMERICAN = "2020-01-31", "31.01.2020", "1/31/2020"


def cells(name: str, *groups: tuple[str, int]) -> dict[str, ColumnCells]:
    """Return the summary of one column that has so many cells of each text."""
    texts = [text for text, count in groups for _ in range(count)]
    return from_json(observe(SCHEMA, PublishedBatch({"id": [str(n) for n in range(len(texts))], name: texts})))


def between(
    name: str, before: list[tuple[str, int]], now: list[tuple[str, int]], *, deliveries: int = 1
) -> list[Change]:
    return cell_changes(SCHEMA, [cells(name, *before)] * deliveries, cells(name, *now))


@pytest.mark.parametrize(
    ("name", "before", "now", "types"),
    [
        ("number", "7", "7.5", ("integer", "float")),
        ("number", "7", "seven", ("integer", "text")),
        ("number", "7", "yes", ("integer", "boolean")),
        ("number", "7", ISO, ("integer", "moment")),
        ("amount", "7.25", "7.125", ("decimal", "float")),
        ("day", ISO, "43861", ("date", "integer")),
        ("day", ISO, "soon", ("date", "text")),
        ("free", "7", "seven", ("number", "text")),
        ("free", "seven", "7.5", ("text", "number")),
        ("free", "seven", GERMAN, ("text", "moment")),
        ("secret", "seven", "7", ("text", "number")),
    ],
)
def test_a_column_that_becomes_another_type_is_retyped(
    name: str, before: str, now: str, types: tuple[str, str]
) -> None:
    (change,) = between(name, [(before, 100)], [(now, 96), (before, 4)])
    assert (change.kind, change.subject) == ("retyped", name)
    assert (change.detail["before"], change.detail["after"]) == types


@pytest.mark.parametrize(
    ("name", "before", "now"),
    [
        ("number", [("7", 100)], [("7.5", 90), ("x", 10)]),
        ("number", [("7", 100)], [("7.5", 40), ("7", 60)]),
        ("number", [("7", 90), ("x", 10)], [("7.5", 100)]),
        ("number", [("7", 19)], [("7.5", 100)]),
        ("number", [("7", 100)], [("7.5", 19)]),
        ("free", [("7", 94), ("x", 6)], [("x", 100)]),
        ("free", [("7", 100)], [("7.5", 100)]),
        ("day", [(ISO, 100)], [(ISO, 100)]),
    ],
)
def test_a_type_changes_only_if_nearly_all_of_at_least_twenty_cells_agree_before_and_after(
    name: str, before: list[tuple[str, int]], now: list[tuple[str, int]]
) -> None:
    assert between(name, before, now) == []


def test_a_change_back_to_the_declared_type_is_foreseen() -> None:
    (change,) = between("number", [("seven", 100)], [("7", 100)])
    assert (change.foreseen, change.detail["after"]) == (True, "integer")


def test_a_column_of_only_null_words_is_not_retyped_to_text() -> None:
    (change,) = between("number", [("7", 100)], [("N/A", 100)])
    assert (change.kind, change.detail["words"]) == ("null_word", ["N/A"])


def test_a_change_to_another_declared_format_is_foreseen() -> None:
    (change,) = between("day", [(ISO, 100)], [(GERMAN, 100)])
    assert (change.kind, change.subject, change.foreseen) == ("format", "day", True)
    assert (change.detail["before"], change.detail["after"]) == (["%Y-%m-%d"], ["%d.%m.%Y"])


def test_an_undeclared_format_is_reported_by_its_pattern() -> None:
    (change,) = between("day", [(ISO, 100)], [(ISO, 90), (AMERICAN, 10)])
    assert (change.kind, change.foreseen) == ("format", False)
    assert change.detail["after"] == ["%Y-%m-%d", "99/99/9999"]
    assert change.detail["readings"]["%-m/%-d/%Y"] == change.detail["strays"] == 10


def test_a_date_of_only_digits_is_a_change_of_format_and_not_of_type() -> None:
    (change,) = between("day", [(ISO, 100)], [("20200131", 100)])
    assert (change.kind, change.detail["readings"]) == ("format", {"%Y%m%d": 100})


def test_a_format_that_was_there_before_or_is_rare_is_no_change() -> None:
    assert between("day", [(ISO, 99), (GERMAN, 1)], [(GERMAN, 100)]) != []
    assert between("day", [(ISO, 90), (GERMAN, 10)], [(ISO, 10), (GERMAN, 90)]) == []
    assert between("day", [(ISO, 100)], [(ISO, 97), (GERMAN, 3)]) == []
    assert between("day", [(ISO, 99), (GERMAN, 1)], [(ISO, 90), (GERMAN, 10)]) == []


def test_a_null_word_must_be_new_and_numerous() -> None:
    before = [("7", 300)]
    (change,) = between("number", before, [("7", 97), ("-", 3)])
    assert (change.kind, change.detail["words"]) == ("null_word", ["-"])
    assert between("number", before, [("7", 98), ("-", 2)]) == []
    assert between("number", before, [("7", 997), ("-", 3)]) == []
    assert between("number", [("7", 299), ("-", 1)], [("7", 90), ("-", 10)]) == []
    assert between("number", [("7", 60)], [("7", 97), ("-", 3)]) == []


def test_a_null_word_that_is_an_allowed_value_is_no_change() -> None:
    assert between("size", [("S", 300)], [("S", 50), ("NA", 50)]) == []


def test_a_value_outside_the_allowed_set_is_reported_as_a_new_member() -> None:
    (change,) = between("size", [("S", 100), ("M", 100)], [("S", 90), ("XL", 10)])
    assert (change.kind, change.subject, change.detail["members"]) == ("category", "size", ["XL"])
    assert between("size", [("S", 250)], [("S", 249), ("size", 1)]) == []
    assert between("size", [("S", 100), ("XL", 1)], [("S", 90), ("XL", 10)]) == []


def test_a_category_is_learned_from_deliveries_that_agree() -> None:
    steady, new = [("A", 60), ("B", 40)], [("A", 60), ("B", 30), ("C", 10)]
    (change,) = between("free", steady, new, deliveries=5)
    assert (change.kind, change.detail["members"]) == ("category", ["C"])
    assert between("free", steady, new, deliveries=4) == []
    history = [cells("free", *steady)] * 4 + [cells("free", ("A", 60), ("D", 40))]
    assert cell_changes(SCHEMA, history, cells("free", *new)) == []
    assert between("free", [("A", 20), ("B", 19)], new, deliveries=5) == []
    assert between("secret", steady, new, deliveries=5) == []


def test_a_first_delivery_has_no_changes_and_empty_deliveries_are_skipped_as_baseline() -> None:
    before, empty, now = cells("number", ("7", 100)), cells("number"), cells("number", ("x", 100))
    assert cell_changes(SCHEMA, [], now) == []
    assert [change.kind for change in cell_changes(SCHEMA, [empty, before], now)] == ["retyped"]


@pytest.mark.parametrize(
    ("name", "before", "now"),
    [
        ("number", "7", "seven"),
        ("free", "7", "seven"),
        ("day", ISO, AMERICAN),
        ("number", "7", "N/A"),
        ("size", "S", "XXL"),
    ],
)
def test_a_change_is_taken_back_when_the_cells_are_as_before(name: str, before: str, now: str) -> None:
    (change,) = between(name, [(before, 100)], [(before, 4), (now, 96)])
    assert is_undone(SCHEMA, change, cells(name, (before, 100)))
    assert not is_undone(SCHEMA, change, cells(name, (now, 100)))
    assert not is_undone(SCHEMA, change, cells(name, (before, 19)))
    assert not is_undone(SCHEMA, change, cells("id"))


def test_a_later_change_of_the_same_kind_is_merged_into_the_open_one() -> None:
    former = Change("null_word", "number", detail={"words": ["-"], "cells": 10})
    later = Change("null_word", "number", detail={"words": ["?"], "cells": 30}, proposal="new")
    assert merge_changes(former, later).detail == {"words": ["-", "?"], "cells": 30}
    retyped = Change("retyped", "number", detail={"before": "integer", "after": "text"})
    again = Change("retyped", "number", detail={"before": "text", "after": "moment"})
    assert merge_changes(retyped, again).detail == {"before": "integer", "after": "moment"}


def test_the_batches_of_a_delivery_are_compared_together() -> None:
    parts = [observe(SCHEMA, PublishedBatch({"id": ["1"] * 10, "number": ["x"] * 10})) for _ in range(2)]
    changes = cell_changes(SCHEMA, [cells("number", ("7", 100))], from_json(merge(parts)))
    assert [change.kind for change in changes] == ["retyped"]
