"""Removed and added names that mean the same column are paired as renamings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.schema import Column, Schema
from etl_assets.watch.renames import find_renames, overlap, similarity, sketch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from etl_assets.model.drift import Values

BARE = Schema((Column("unseen", "text", required=True),), ("unseen",))


def values(cells: Iterable[object]) -> Values:
    made = sketch(pl.Series([str(cell) for cell in cells], dtype=pl.String))
    assert made is not None
    return made


def renamed(
    removed: Mapping[str, Values | None], added: Mapping[str, Values | None], schema: Schema = BARE
) -> dict[str, str]:
    def known(columns: Mapping[str, Values | None]) -> dict[str, Values]:
        return {name: kept for name, kept in columns.items() if kept is not None}

    return find_renames(schema, list(removed), list(added), known(removed), known(added))


def test_hashes_are_the_same_everywhere() -> None:
    assert sketch(pl.Series(["Namibia", None, "NA", "Namibia"])) == values(["NA", "Namibia"])
    assert [f"{hash_:012x}" for hash_ in values(["NA", "Namibia"]).hashes] == ["12cb8db50317", "77a91e66b6f6"]


def test_a_column_without_values_has_no_sketch() -> None:
    assert sketch(pl.Series([None, None], dtype=pl.String)) is None


@pytest.mark.parametrize("shared", [0, 50, 200, 400])
def test_a_few_hashes_suffice_to_estimate_how_many_values_two_columns_share(shared: int) -> None:
    one, other = values(range(400)), values(range(400 - shared, 800 - shared))
    assert overlap(one, other) == pytest.approx((shared / (800 - shared), shared / 400))
    common, contained = overlap(one.shortened(64), other.shortened(64))
    assert common == pytest.approx(shared / (800 - shared), abs=0.15)
    assert contained == pytest.approx(shared / 400, abs=0.2)


def test_a_small_column_is_found_in_a_large_one() -> None:
    _, contained = overlap(values(range(300)).shortened(64), values(range(4000)))
    assert contained == pytest.approx(1, abs=0.3)


@given(st.text(), st.text())
def test_the_similarity_of_names_is_symmetric(one: str, other: str) -> None:
    assert similarity(one, other) == similarity(other, one)
    assert 0 <= similarity(one, other) <= 1
    assert similarity(one, one) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Last Update", "Last_Update"),
        ("Province/State", "Province_State"),
        ("AlphabeticCode", "alphabetic code"),
        ("Global Code", "\ufeffGlobal Code"),
    ],
)
def test_case_and_separators_do_not_make_names_different(one: str, other: str) -> None:
    assert similarity(one, other) == 1
    assert renamed({one: values(["a"])}, {other: values(["b"])}) == {one: other}


@pytest.mark.parametrize(("old", "new"), [("Latitude", "Lat"), ("Longitude", "Long_"), ("name", "name in English")])
def test_an_abbreviation_or_extension_needs_values_that_agree(old: str, new: str) -> None:
    one, other, unrelated = values(range(100)), values(range(30, 3000)), values(range(5000, 5100))
    assert renamed({old: one}, {new: other}) == {old: new}
    assert renamed({old: one}, {new: unrelated}) == {}
    assert renamed({old: one}, {new: None}) == {}


def test_equal_values_are_enough_when_they_are_many() -> None:
    assert renamed({"ISO3166-1-numeric": values(range(250))}, {"M49": values(range(251))}) == {
        "ISO3166-1-numeric": "M49"
    }
    assert renamed({"is_open": values(["yes", "no"])}, {"has_roof": values(["yes", "no"])}) == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [("Confirmed", "Recovered"), ("official_name_es", "official_name_ru"), ("address 1", "address 2"), ("a", "b")],
)
def test_slightly_similar_names_are_not_enough(old: str, new: str) -> None:
    assert renamed({old: values(range(100))}, {new: values(range(200, 300))}) == {}


def test_columns_of_small_numbers_that_share_many_values_are_not_paired() -> None:
    confirmed, recovered = values(range(0, 300, 2)), values(range(0, 300, 3))
    assert overlap(confirmed, recovered)[1] == pytest.approx(0.5)
    assert renamed({"Confirmed": confirmed}, {"Recovered": recovered}) == {}


def test_names_with_different_numbers_are_not_paired_however_similar_they_are() -> None:
    assert renamed({"address_line_1": None}, {"address_line_2": None}) == {}
    assert renamed({"address_line": None}, {"address_lines": None}) == {"address_line": "address_lines"}


def test_the_best_pairs_are_taken_first_and_each_name_once() -> None:
    same = values(range(100))
    removed = {"currency_name": same, "currency_names": same}
    assert renamed(removed, {"ISO-currency_name": same, "currency names": same}) == {
        "currency_names": "currency names",
        "currency_name": "ISO-currency_name",
    }


def test_names_that_are_declared_for_one_column_are_paired_whatever_their_values() -> None:
    schema = Schema((Column("number", "integer", published_as=("Nummer", "M49"), required=True),), ("number",))
    assert renamed({"Nummer": values("ab")}, {"Nummern": values("ab"), "M49": values("cd")}, schema) == {
        "Nummer": "M49"
    }


def test_names_that_are_declared_for_different_columns_are_not_paired_however_similar() -> None:
    columns = (Column("a", "text", required=True, published_as="Code"), Column("b", "text", published_as="CODE"))
    schema = Schema(columns, ("a",), ignored=("code",))
    assert renamed({"Code": None}, {"CODE": None, "code": None}, schema) == {}


def test_names_that_differ_only_behind_their_first_hundred_characters_are_similar_and_not_the_same() -> None:
    assert 0.9 < similarity("a" * 200, "a" * 200 + "b") < 1


def test_of_very_many_names_only_those_of_equal_words_or_of_one_column_are_paired() -> None:
    schema = Schema((Column("code", "text", required=True, published_as=("code", "id")),), ("code",))
    removed = {f"Measure {n}": None for n in range(1000)} | {"confirmed_case": None, "id": None}
    added = {f"measure_{n}": None for n in range(1000)} | {"confirmed_cases": None, "code": None}
    pairs = renamed(removed, added, schema)
    assert pairs == {f"Measure {n}": f"measure_{n}" for n in range(1000)} | {"id": "code"}


def test_of_very_many_names_of_equal_words_each_is_paired_once() -> None:
    removed = {f"a{'-' * n}b": None for n in range(200)}
    added = {f"a{'_' * n}b": None for n in range(1, 200)}
    pairs = renamed(removed, added)
    assert 0 < len(pairs) == len(set(pairs.values()))
