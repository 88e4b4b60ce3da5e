"""Plots: the picture shows the given values, and no label or value breaks the page."""

from __future__ import annotations

import re
from base64 import b64decode
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from etl_assets.graph.assets.plots import MOST_BARS, Bar, bars

_SVG = "{http://www.w3.org/2000/svg}"
_SHOWN_IN_PLACE = 1000


def markdown(*given: Bar) -> str:
    return bars("Records", given).md_str or ""


def drawn(*given: Bar) -> ET.Element:
    assert markdown(*given).startswith("![Records](data:image/svg+xml;base64,")
    return ET.fromstring(b64decode(markdown(*given).split(",", 1)[1].removesuffix(")")))  # noqa: S314 -- our own


def heights(picture: ET.Element) -> list[list[int]]:
    """Return the heights of the bars of each area."""
    paths = [path.get("d", "") for path in picture.iter(f"{_SVG}path")]
    return [[95 - int(top) for top in re.findall(r"V(\d+)h", path)] for path in paths]


def test_heights_of_bars_are_proportional_to_their_values() -> None:
    assert heights(drawn(Bar("a", 50), Bar("b", 100))) == [[45, 90]]


def test_the_bad_part_is_the_top_of_the_bar_in_the_other_colour() -> None:
    picture = drawn(Bar("a", 100, bad=50), Bar("b", 100))
    assert heights(picture) == [[90, 90], [45, 90]]
    assert len({path.get("fill") for path in picture.iter(f"{_SVG}path")}) == 2


def test_a_very_small_value_has_a_visible_bar() -> None:
    assert heights(drawn(Bar("a", 1), Bar("b", 1_000_000), Bar("c", 0))) == [[1, 90, 0]]


def test_a_plot_without_bars_shows_a_text() -> None:
    assert "nothing yet" in "".join(drawn().itertext())


def test_only_the_newest_of_many_bars_are_drawn() -> None:
    many = [Bar(f"number {number}", number) for number in range(1, 200)]
    assert [len(area) for area in heights(drawn(*many))] == [MOST_BARS]
    assert "number 199" in "".join(drawn(*many).itertext())


@given(st.integers(1, 100))
def test_the_newest_bar_is_at_the_right_edge_of_a_picture_that_no_cell_cuts_off(number: int) -> None:
    picture = drawn(*(Bar(str(place), 1) for place in range(number)))
    (path,) = (path.get("d", "") for path in picture.iter(f"{_SVG}path"))
    left, steps = int(re.findall(r"^M(\d+)", path)[0]), [int(step) for step in re.findall(r"h(\d+)", path)]
    assert picture.get("width") == "300"
    assert left + sum(steps) == 300
    assert left >= 56  # beside the numbers of the axis


_LABELS = st.text(st.characters(exclude_categories=["C"]))


@given(st.lists(st.builds(Bar, _LABELS, st.floats(0, 1e12), st.just(0.0)), max_size=40))
def test_any_labels_and_heights_make_a_valid_picture(given_bars: list[Bar]) -> None:
    assert all(0 <= height <= 90 for area in heights(drawn(*given_bars)) for height in area)


@given(st.lists(st.builds(Bar, st.text("0123456789-: ."), st.integers(2, 10**9), st.integers(1, 2)), max_size=60))
def test_the_picture_is_short_enough_to_be_shown_in_place(given_bars: list[Bar]) -> None:
    assert len(markdown(*given_bars)) < _SHOWN_IN_PLACE
