"""Edits make the values of corrections from what was published."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets.ingest.edits import Redate, Replace, SetNull, SetText, Strip, check, edited
from etl_assets.schema import Column, Schema

if TYPE_CHECKING:
    from etl_assets.ingest.edits import Edit

_SCHEMA = Schema((Column("id", "integer", required=True), Column("day", "date", published_as=("Day", "Tag"))), ("id",))


@pytest.mark.parametrize(
    ("edit", "published", "new"),
    [
        (Redate("day", "%d.%m.%Y", "%Y-%m-%d"), "31.12.2012", "2012-12-31"),
        (Redate("day", "%-d.%-m.%y", "%Y-%m-%d"), "1.2.13", "2013-02-01"),
        (Redate("day", "%d.%m.%Y", "%Y%m%d"), "01.02.0013", "00130201"),
        (Redate("day", "%b %d, %Y %I:%M %p", "%Y-%m-%dT%H:%M:00"), "Feb 01, 2013 01:05 PM", "2013-02-01T13:05:00"),
        (Redate("day", "%Y-%m-%d", "%-d/%-m/%Y"), None, None),
        (Replace("day", "-", "/"), "1-2-3", "1/2/3"),
        (Strip("day", " x"), "x 1 x", "1"),
        (SetNull("day"), "1", None),
        (SetText("day", "{id}-{{{Tag}}}"), "1", "7-{1}"),
        (SetText("day", ""), "1", ""),
    ],
)
def test_a_value_is_made_from_the_published_one(edit: Edit, published: str | None, new: str | None) -> None:
    check([edit], _SCHEMA)
    assert edited([edit], {"id": "7", "Tag": published}, _SCHEMA) == {"day": new}


@pytest.mark.parametrize("published", ["1.2.2013", "01.13.2013", "2013-02-01", "01.02.2013 ", "01.02.13", ""])
def test_a_date_that_is_written_otherwise_is_not_guessed(published: str) -> None:
    with pytest.raises(ValueError, match="day is not written as"):
        edited([Redate("day", "%d.%m.%Y", "%Y-%m-%d")], {"Day": published}, _SCHEMA)


def test_a_day_that_no_calendar_has_is_no_date() -> None:
    with pytest.raises(ValueError, match="day is no date or time"):
        edited([Redate("day", "%d.%m.%Y", "%Y-%m-%d")], {"Day": "30.02.2013"}, _SCHEMA)


def test_edits_of_one_column_are_made_one_after_the_other() -> None:
    edits: list[Edit] = [Strip("day", "'"), Replace("day", ",", "."), Redate("day", "%d.%m.%Y", "%Y-%m-%d")]
    assert edited(edits, {"Day": "'01,02,2013"}, _SCHEMA) == {"day": "2013-02-01"}


def test_columns_can_be_swapped() -> None:
    edits = [SetText("day", "{id}"), SetText("id", "{day}")]
    assert edited(edits, {"id": "a", "Day": "b"}, _SCHEMA) == {"day": "a", "id": "b"}


@pytest.mark.parametrize(
    "edit",
    [
        SetNull("dey"),
        SetText("day", "{dey}"),
        SetText("day", "}"),
        Redate("day", "%d.%m.", "%Y"),
        Redate("day", "%Q", "%d"),
    ],
)
def test_an_edit_that_cannot_be_made_is_an_error(edit: Edit) -> None:
    with pytest.raises(ValueError, match=r"neither|has the year|no directive"):
        check([edit], _SCHEMA)
