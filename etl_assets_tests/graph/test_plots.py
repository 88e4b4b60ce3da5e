"""Plots: what stands in the picture is what was given, and nothing of it breaks the page."""

from __future__ import annotations

from base64 import b64decode
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from etl_assets.graph.plots import Bar, bars

_SVG = "{http://www.w3.org/2000/svg}"


def drawn(*given: Bar, band: tuple[float, float] | None = None) -> ET.Element:
    markdown = bars("Records", given, band).value
    assert markdown is not None
    assert markdown.startswith("![Records](data:image/svg+xml;base64,")
    return ET.fromstring(b64decode(markdown.split(",", 1)[1].removesuffix(")")))  # noqa: S314 -- our own


def heights(picture: ET.Element) -> list[float]:
    return [float(box.get("height", "0")) for box in picture.iter(f"{_SVG}rect")]


def test_bars_are_as_high_as_their_values_are_to_the_highest() -> None:
    low, high = heights(drawn(Bar("a", 25), Bar("b", 100)))
    assert low == high / 4


def test_what_is_bad_has_a_part_of_the_bar_in_the_other_colour() -> None:
    picture = drawn(Bar("a", 100, bad=50))
    good, bad = heights(picture)
    assert good == bad
    assert len({box.get("fill") for box in picture.iter(f"{_SVG}rect")}) == 2


def test_a_band_lies_behind_the_bars() -> None:
    assert heights(drawn(Bar("a", 100), band=(20, 80)))[0] > 0


def test_nothing_delivered_yet_is_said() -> None:
    assert "nothing yet" in "".join(drawn().itertext())


@given(st.lists(st.builds(Bar, st.text(st.characters(exclude_categories=["C"])), st.floats(0, 1e12), st.just(0.0))))
def test_any_labels_and_heights_give_a_picture_that_can_be_read(given_bars: list[Bar]) -> None:
    assert all(0 <= height <= 170 for height in heights(drawn(*given_bars)))
