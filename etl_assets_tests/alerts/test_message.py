"""Texts of messages fit into the smallest message, with one line for each part, whatever the alerts contain."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.alerts.message import Background, Message, Places, asset_path, cut_words
from etl_assets.postgres.alerts.alerts import Alert

if TYPE_CHECKING:
    from collections.abc import Sequence

_AT = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)
PLACES = Places("https://dagster.example.org", "https://status.example.org")


def alert(**changes: Any) -> Alert:
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
        "command": "etl-assets run people",
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


def message(*alerts: Alert, **changes: Any) -> Message:
    """A message about the opening of some alerts."""
    values: dict[str, Any] = {
        "event": "opened",
        "alerts": alerts,
        "first": alerts[0],
        "together": len(alerts),
        "still_open": len(alerts),
        "number": 1,
        "background": Background(),
        "places": PLACES,
    }
    return Message(**(values | changes))


def hundred(summaries: Sequence[str] = ("It failed.",)) -> tuple[Alert, ...]:
    return tuple(
        alert(id=n, partition=f"p{n}", summary=summaries[n % len(summaries)], command=f"etl-assets run people --p{n}")
        for n in range(100)
    )


@given(text=st.text(max_size=2000))
def test_no_text_breaks_a_line_or_makes_a_message_too_long(text: str) -> None:
    odd = alert(summary=text, remedy=text, source=text, partition="2026-01", subject=text, command=text)
    composed = message(odd, odd, background=Background(text, (text, text)))
    assert "\n" not in composed.title
    assert len(composed.title) < 220
    assert all(part.isprintable() for label, part in composed.lines.items() if label != "Command")
    assert sum(len(label) + len(part) for label, part in composed.lines.items()) < 1000


@given(text=st.text(alphabet="ab ,.", max_size=300), most=st.integers(2, 100))
def test_no_text_is_cut_in_a_word_unless_the_word_is_longer_than_the_line(text: str, most: int) -> None:
    line = " ".join(text.split())
    cut = cut_words(line, most)
    assert len(cut) <= most
    assert cut == line or cut.endswith("…")
    whole = cut.removesuffix("…")
    assert line.startswith(whole)
    following = line[len(whole) : len(whole) + 1]
    assert cut == line or following in " ,;:(" or " " not in line[:most]


def test_a_message_says_how_often_the_reason_was_seen_if_more_than_once() -> None:
    assert "Since: 2026-03-04 12:30 UTC\n" in message(alert()).text
    assert "seen 3 times, last 2026-03-04 12:30 UTC" in message(alert(times=3)).text


def test_markdown_syntax_is_escaped_except_in_links() -> None:
    markdown = message(alert(summary="age__maximum *failed* [here](x)", run_id="a_b")).markdown
    assert r"age\_\_maximum \*failed\* \[here\]\(x\)" in markdown
    assert f"[Run]({PLACES.ui}/runs/a_b)" in markdown


def test_an_opening_and_its_end_are_one_incident_with_one_subject_and_two_identifiers() -> None:
    opened = message(alert(partition="2026-01"))
    resolved = replace(opened, event="resolved", still_open=0, number=9)
    assert opened.incident == resolved.incident
    assert opened.subject == resolved.subject == "people 2026-01: run failed"
    assert opened.identifier != resolved.identifier
    assert opened.incident != message(alert(id=8)).incident


def test_a_message_about_a_hundred_partitions_names_the_first_and_says_how_many() -> None:
    composed = message(*hundred())
    assert composed.title == "[error] people: run failed, 100 alerts"
    assert composed.where == "people, 100 partitions: p0, p1, p2 and 97 more"
    assert composed.summary == "It failed."
    assert composed.command == "etl-assets run people"


def test_a_message_about_many_alerts_says_what_most_of_them_say_and_how_many_differ() -> None:
    composed = message(*hundred(("It failed.", "It failed.", "It is late.")))
    assert composed.summary == "It failed. (67 times; 33 say something else, the first of them: It is late.)"


def test_errors_of_another_class_are_not_like_the_first() -> None:
    few = ("ShapeError: 1 lacks id.", "TooManyRejectedError: 2 breaks rules.", "TooManyRejectedError: 3 breaks rules.")
    composed = message(*(alert(id=n, partition=f"p{n}", summary=summary) for n, summary in enumerate(few)))
    assert composed.summary == f"{few[1]} (2 like it; 1 says something else, the first of them: {few[0]})"
    composed = message(*(alert(id=n, partition=f"p{n}", summary=summary) for n, summary in enumerate(few[:2])))
    assert composed.summary == f"{few[0]} (1 says something else, the first of them: {few[1]})"
    composed = message(*(alert(id=n, partition=f"p{n}", summary=summary) for n, summary in enumerate(few[1:])))
    assert composed.summary == f"{few[1]} 1 more like it."


def test_the_end_of_some_of_many_says_how_many_ended_and_how_many_are_open() -> None:
    ended = replace(alert(), resolved_at=_AT + timedelta(hours=1), resolution="Run 2 succeeded.", status="resolved")
    composed = message(ended, event="resolved", together=100, still_open=99)
    assert composed.title == "[resolved] people: run failed, 100 alerts: 1 of them"
    assert composed.lines["Resolved"] == "2026-03-04 13:30 UTC. Run 2 succeeded. 99 of 100 are open."
    assert "To do" not in composed.lines
    assert "Command" not in composed.lines
    assert (composed.state, composed.tone) == ("resolved", "error")
    assert replace(composed, still_open=0).tone == "resolved"


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


def test_an_alert_without_source_and_run_links_to_the_status_of_all_and_to_its_help() -> None:
    assert message(alert(source="", run_id=None)).links == {
        "Status": "https://status.example.org/",
        "Help": "https://github.com/etl-assets/etl-assets/blob/main/docs/alerts.md#run_failed",
    }
