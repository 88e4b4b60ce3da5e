"""Texts of notifications fit into the smallest message, with one line for each part, whatever the alert contains."""

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
    values: dict[str, Any] = {
        "id": 7,
        "source": "people",
        "partition": "",
        "rule": "run_failed",
        "subject": "",
        "severity": "error",
        "status": "open",
        "summary": "It failed.",
        "remedy": "Correct it.",
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
    return Alert(**(values | changes))


@given(text=st.text(max_size=2000))
def test_no_text_breaks_a_line_or_makes_a_notification_too_long(text: str) -> None:
    alert = _alert(summary=text, remedy=text, source=text, partition="2026-01", subject=text)
    notification = text_of(alert, "opened", _UI)
    assert "\n" not in notification.title
    assert len(notification.title) < 200
    assert all(part.isprintable() for _, part in notification.lines)
    assert sum(len(label) + len(part) for label, part in notification.lines) < 800


def test_a_notification_says_how_often_the_reason_was_seen_if_more_than_once() -> None:
    assert "Since: 2026-03-04 12:30 UTC\n" in text_of(_alert(), "opened", _UI).text
    assert "seen 3 times, last 2026-03-04 12:30 UTC" in text_of(_alert(times=3), "opened", _UI).text


def test_markdown_syntax_is_escaped_except_in_links() -> None:
    markdown = text_of(_alert(summary="age__maximum *failed* [here](x)", run_id="a_b"), "opened", _UI).markdown
    assert r"age\_\_maximum \*failed\* \[here\]\(x\)" in markdown
    assert f"[Run]({_UI}/runs/a_b)" in markdown


def test_each_alert_is_one_incident_of_its_own() -> None:
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
def test_links_lead_to_the_asset_of_a_source_or_to_one_that_was_written_by_hand(source: str, path: str) -> None:
    assert asset_path(source) == path


def test_an_alert_without_source_and_run_has_no_links() -> None:
    assert text_of(_alert(source="", run_id=None), "opened", _UI).links == ()
