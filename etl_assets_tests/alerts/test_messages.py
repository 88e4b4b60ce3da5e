"""What people read fits into the smallest message, in one line a thing, whatever stands in it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.alerts.notification_text import asset_path, text_of
from etl_assets.postgres.alerts.alerts import Alert

_AT = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)
_UI = "https://dagster.example.org"


def _alert(**changes: Any) -> Alert:
    told: dict[str, Any] = {
        "id": 7,
        "source": "people",
        "partition": "",
        "rule": "run_failed",
        "subject": "",
        "severity": "error",
        "status": "open",
        "summary": "It failed.",
        "remedy": "Mend it.",
        "run_id": "run-1",
        "delivery_id": None,
        "times": 1,
        "opened_at": _AT,
        "seen_at": _AT,
        "acknowledged_at": None,
        "acknowledged_by": None,
        "note": None,
        "resolved_at": None,
        "resolution": None,
    }
    return Alert(**(told | changes))


@given(text=st.text(max_size=2000))
def test_no_text_breaks_a_line_or_makes_a_message_too_long(text: str) -> None:
    told = text_of(_alert(summary=text, remedy=text, source=text, partition="2026-01", subject=text), "opened", _UI)
    assert "\n" not in told.title
    assert len(told.title) < 200
    assert all(part.isprintable() for _, part in told.lines)
    assert sum(len(label) + len(part) for label, part in told.lines) < 800


def test_how_often_it_was_seen_is_told_when_it_was_more_than_once() -> None:
    assert "Since: 2026-03-04 12:30 UTC\n" in text_of(_alert(), "opened", _UI).text
    assert "seen 3 times, last 2026-03-04 12:30 UTC" in text_of(_alert(times=3), "opened", _UI).text


def test_what_markdown_would_act_upon_is_escaped_and_links_are_not() -> None:
    told = text_of(_alert(summary="age__maximum *failed* [here](x)", run_id="a_b"), "opened", _UI).markdown
    assert r"age\_\_maximum \*failed\* \[here\]\(x\)" in told
    assert f"[Run]({_UI}/runs/a_b)" in told


def test_two_alerts_are_two_incidents_and_one_alert_is_one() -> None:
    opened, resolved = text_of(_alert(), "opened", _UI), text_of(_alert(), "resolved", _UI)
    assert opened.incident == resolved.incident
    assert opened.incident != text_of(_alert(id=8), "opened", _UI).incident


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("people", "core/people"),
        ("marts.delays", "marts/delays"),
        ("public.delays", "delays"),
        ("odd/name", "core/odd%2Fname"),
    ],
)
def test_links_lead_to_the_asset_that_the_source_is_or_that_was_written_by_hand(source: str, path: str) -> None:
    assert asset_path(source) == path


def test_what_concerns_no_source_and_no_run_has_no_links() -> None:
    assert text_of(_alert(source="", run_id=None), "opened", _UI).links == ()
