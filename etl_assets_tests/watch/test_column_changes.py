"""What changed in published names."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.model.drift import Change, Published
from etl_assets.schema import Column, Schema
from etl_assets.watch.column_changes import changes, first_changes, moved_names

BARE = Schema((Column("unseen", "text", required=True),), ("unseen",))
STOCK = Schema(
    columns=(
        Column("code", "text", required=True, published_as=("Code", "Product Code")),
        Column("amount", "integer"),
        Column("unit", "text", required=True, default="kg"),
    ),
    key=("code",),
    ignored=("remark", "comment"),
)
NAMES = st.lists(st.text(max_size=4), unique=True, max_size=7)


def changed(
    before: list[str], now: list[str], *, schema: Schema = STOCK, open_: tuple[Change, ...] = ()
) -> list[Change]:
    return changes(schema, Published(tuple(before)), Published(tuple(now)), open_)


def slots(found: list[Change]) -> list[tuple[str, str, str]]:
    return [change.slot for change in found]


@given(NAMES, NAMES)
def test_the_changes_lead_from_the_names_before_to_the_names_now(before: list[str], now: list[str]) -> None:
    names = set(before)
    for change in changed(before, now, schema=BARE):
        if change.kind in {"removed", "renamed"}:
            names.remove(change.subject)
        if change.kind in {"added", "renamed"}:
            names.add(change.replacement or change.subject)
    assert names == set(now)


@given(NAMES, NAMES)
def test_the_changes_in_the_opposite_direction_are_the_inverses(before: list[str], now: list[str]) -> None:
    inverses = {change.inverse for change in changed(before, now, schema=BARE) if change.kind != "reordered"}
    opposite = {change.identity for change in changed(now, before, schema=BARE) if change.kind != "reordered"}
    assert inverses == opposite


@given(NAMES, st.randoms(use_true_random=False))
def test_another_order_is_a_reordering_and_nothing_else(names: list[str], random: object) -> None:
    shuffled = names.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert slots(changed(names, shuffled, schema=BARE)) == ([] if names == shuffled else [("reordered", "", "")])


@given(st.permutations(range(6)))
def test_the_fewest_possible_names_are_reported_as_moved(order: list[int]) -> None:
    before, now = list("abcdef"), ["abcdef"[place] for place in order]
    moved = moved_names(before, now)
    assert [name for name in before if name not in moved] == [name for name in now if name not in moved]
    longest = max(
        length for length in range(1, 7) for kept in combinations(before, length) if kept == _names_in_order(now, kept)
    )
    assert len(moved) == 6 - longest


def _names_in_order(names: list[str], kept: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name in kept)


def test_added_and_removed_names_between_others_are_no_reordering() -> None:
    assert slots(changed(["Code", "remark", "amount"], ["x", "Code", "amount", "y"])) == [
        ("removed", "remark", ""),
        ("added", "x", ""),
        ("added", "y", ""),
    ]


def test_a_first_delivery_is_compared_with_the_declaration_and_may_lack_optional_columns() -> None:
    assert slots(first_changes(STOCK, Published(("remark", "Code", "colour")))) == [("added", "colour", "")]


@pytest.mark.parametrize(
    ("before", "now", "foreseen"),
    [
        (["Code"], ["Code", "amount"], True),
        (["Code"], ["Code", "remark"], True),
        (["Code"], ["Code", "colour"], False),
        (["Code", "remark"], ["Code"], True),
        (["Code", "colour"], ["Code"], False),
        (["Code", "amount"], ["Code"], False),
        (["Code", "Product Code"], ["Code"], True),
        (["Code"], ["Product Code"], True),
        (["Code", "colour"], ["Code", "colour_"], False),
        (["Code", "amount"], ["Code", "Amount"], False),
        (["Code", "amount"], ["amount", "Code"], True),
    ],
)
def test_a_change_that_is_provided_for_is_foreseen(before: list[str], now: list[str], *, foreseen: bool) -> None:
    (change,) = changed(before, now)
    assert change.foreseen == foreseen


def test_a_renaming_among_ignored_names_is_foreseen() -> None:
    schema = replace(STOCK, ignored=("long remark", "long_remark"))
    (change,) = changed(["long remark"], ["long_remark"], schema=schema)
    assert (change.slot, change.foreseen) == (("renamed", "long remark", "long_remark"), True)


@pytest.mark.parametrize(
    ("before", "now", "blocking"),
    [
        (["Code"], ["amount"], [True, False]),
        (["Code"], ["CODE"], [True]),
        (["Code", "unit"], ["Code"], [False]),
        (["Code", "amount"], ["Code"], [False]),
    ],
)
def test_a_missing_required_column_without_default_blocks(
    before: list[str], now: list[str], blocking: list[bool]
) -> None:
    assert [change.blocking for change in changed(before, now)] == blocking


def test_a_change_that_takes_back_an_open_one_is_not_paired_as_a_renaming() -> None:
    added = Change("added", "colour")
    assert slots(changed(["Code", "colour"], ["Code", "Colour"])) == [("renamed", "colour", "Colour")]
    assert slots(changed(["Code", "colour"], ["Code", "Colour"], open_=(added,))) == [
        ("removed", "colour", ""),
        ("added", "Colour", ""),
    ]


def test_the_inverse_of_an_open_renaming_is_a_renaming_however_different_the_names_are() -> None:
    renamed = Change("renamed", "tint", "colour")
    assert slots(changed(["Code", "colour"], ["Code", "tint"], open_=(renamed,))) == [("renamed", "colour", "tint")]
