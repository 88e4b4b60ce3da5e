"""The command `quarantine fix`: what is entered is judged at once, for one record or for many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets.ingest.correcting import chunks
from etl_assets_tests.cli.desk import prepare_january

if TYPE_CHECKING:
    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk

_EVENTS = """
from etl_assets import Column, Csv, FileExtractor, Schema, Source

SOURCE = Source(
    name="events",
    description="What happened.",
    owner="team:tests",
    extractor=FileExtractor(location={folder!r} + "/events.csv", format=Csv(), settle_seconds=0.0),
    schema=Schema(
        (
            Column("id", "integer", required=True),
            Column("opened", "date", published_as="Opened"),
            Column("amount", "decimal", precision=10, scale=2),
            Column("who", "text", sensitive=True, length=5),
        ),
        ("id",),
    ),
    max_rejected=1.0,
)
"""
_ROWS = (
    "id,Opened,amount,who\n1,31.12.2012,1,Ann\n2,29.02.2013,1,Bo\n3,2013-01-05,1 EUR,Cy\n4,01.01.2013,2,longer\n"
    "5,2013-01-01,5,Di\n"
)


_MISTAKES = (
    ((), "Give either the id"),
    (("1", "--source", "events", "--null", "who"), "Give either the id"),
    (("--source", "events"), "Say what to correct"),
    (
        ("--source", "events", "--null", "whom"),
        "'whom' is neither a column nor a name that is published; the nearest is 'who'",
    ),
    (("1", "opend=2013-01-05"), "'opend' is neither a column of source 'events'"),
    (("1", "opend=2013-01-05"), "; the nearest is 'opened'. Nothing was changed."),
    (("--source", "events", "--set", "who={whom}"), "{whom} is neither"),
    (("--source", "events", "--set", "who={"), "write {{"),
    (("--source", "events", "--date", "opened", "%d.%m.%Q", "%Y"), "'%Q' is no directive"),
    (("--source", "events", "--date", "opened", "%d.%m.", "%Y"), "has the year, which"),
    (("--source", "events", "--rule", "opened_type", "--null", "who"), "Did you mean 'opened__type'?"),
    (("--source", "event", "--null", "who"), "Did you mean 'events'?"),
    (("--source", "events", "--where", "amout=1", "--null", "who"), "Did you mean 'amount'?"),
    (("--source", "events", "--where", "amount", "--null", "who"), "not of the form NAME=VALUE"),
)


@pytest.fixture
def ready(prepared: Prepared) -> Desk:
    """Record 1 is open, record 2 is parked."""
    return prepared(prepare_january)


def prepare_events(desk: Desk) -> None:
    """Records 1, 2 and 4 have another layout of dates, 3 has a currency, and 4 is longer than it may be."""
    (desk.folder / "declared" / "events.py").write_text(_EVENTS.format(folder=str(desk.folder / "feeds")))
    desk.publish("events.csv", _ROWS)
    desk.succeed("migrate")
    desk.succeed("run", "events")


@pytest.fixture
def events(prepared: Prepared) -> Desk:
    return prepared(prepare_events)


def test_a_correction_is_judged_at_once(ready: Desk) -> None:
    text = ready.succeed("quarantine", "fix", "1", "celsius=mild")
    assert "still rejected: celsius__type requires that celsius is a float" in text
    text = ready.succeed("quarantine", "fix", "1", "celsius=9.5")
    assert "A replay would load it" in text
    assert "etl-assets quarantine replay readings 1" in text


def test_a_parent_that_is_missing_is_found_when_a_record_is_judged(ready: Desk) -> None:
    assert "still rejected: station__references" in ready.succeed("quarantine", "fix", "1", "celsius=1", "station=Q")


def test_a_dry_run_judges_and_enters_nothing(ready: Desk) -> None:
    text = ready.succeed("quarantine", "fix", "1", "celsius=9.5", "--dry-run")
    assert "would be corrected; nothing was changed" in text
    assert "A replay would load it" in text
    assert ready.query("SELECT correction, reviewer FROM etl.rejected WHERE id = 1") == [(None, None)]


def test_a_correction_is_replayed_at_once_if_that_is_asked_for(ready: Desk) -> None:
    assert "1 row inserted" in ready.succeed("quarantine", "fix", "1", "celsius=9.5", "--replay")
    assert ready.query("SELECT celsius FROM core.readings WHERE station = 'B'") == [(9.5,)]


def test_a_record_that_is_still_rejected_is_not_replayed(ready: Desk) -> None:
    ready.succeed("quarantine", "fix", "1", "celsius=mild", "--replay")
    assert ready.query("SELECT status, replays FROM etl.rejected WHERE id = 1") == [("open", 0)]


def test_dates_of_many_records_are_written_otherwise(events: Desk) -> None:
    arguments = ("--source", "events", "--where", "rule=opened__type", "--date", "opened", "%d.%m.%Y", "%Y-%m-%d")
    text = events.succeed("quarantine", "fix", *arguments)
    assert "2 records corrected." in text
    assert "opened is no date or time" in text
    assert events.query("SELECT record_no, correction ->> 'Opened' FROM etl.rejected ORDER BY 1") == [
        (1, "2012-12-31"), (2, None), (3, None), (4, "2013-01-01"),
    ]  # fmt: skip


def test_a_dry_run_of_many_shows_values_before_and_after_and_masks_sensitive_ones(events: Desk) -> None:
    text = events.succeed(
        "quarantine", "fix", "--source", "events", "--date", "opened", "%d.%m.%Y", "%Y-%m-%d",
        "--set", "who=x{who}", "--dry-run",
    )  # fmt: skip
    assert "'31.12.2012'" in text
    assert "'2012-12-31'" in text
    assert "***" in text
    assert "Ann" not in text
    assert "who__length" in text
    assert events.query("SELECT count(*) FROM etl.rejected WHERE correction IS NOT NULL") == [(0,)]
    assert events.query("SELECT count(*) FROM etl.decision") == [(0,)]


def test_texts_are_replaced_stripped_and_set_in_this_order(events: Desk) -> None:
    events.succeed(
        "quarantine", "fix", "--source", "events", "--where", "amount=1 EUR", "--set", "who={id}{{",
        "--replace", "amount", "EUR", "x", "--strip", "amount", " EUR",
    )  # fmt: skip
    assert events.query("SELECT correction FROM etl.rejected WHERE correction IS NOT NULL") == [
        ({"amount": "1", "who": "3{"},)
    ]


def test_the_same_command_again_has_no_effect(events: Desk) -> None:
    arguments = ("quarantine", "fix", "--source", "events", "--replace", "amount", "1", "11")
    events.succeed(*arguments)
    before = events.query("SELECT id, correction, reviewed_at FROM etl.rejected ORDER BY id")
    text = events.succeed(*arguments)
    assert "0 records corrected" in text
    assert "4 had these values already" in text
    assert events.query("SELECT id, correction, reviewed_at FROM etl.rejected ORDER BY id") == before


def test_a_correction_by_hand_is_kept_unless_it_is_to_be_overwritten(events: Desk) -> None:
    events.succeed("quarantine", "fix", "1", "opened=2000-01-01")
    arguments = ("quarantine", "fix", "--source", "events", "--date", "opened", "%d.%m.%Y", "%Y-%m-%d")
    assert "corrected otherwise already" in events.succeed(*arguments)
    assert events.query("SELECT correction FROM etl.rejected WHERE id = 1") == [({"Opened": "2000-01-01"},)]
    events.succeed(*arguments, "--overwrite")
    assert events.query("SELECT correction FROM etl.rejected WHERE id = 1") == [({"Opened": "2012-12-31"},)]


def test_many_corrected_records_are_replayed_at_once(events: Desk) -> None:
    text = events.succeed(
        "quarantine", "fix", "--source", "events", "--date", "opened", "%d.%m.%Y", "%Y-%m-%d", "--replay"
    )
    assert "1 row inserted" in text
    assert events.query("SELECT id, opened::text FROM core.events ORDER BY id") == [
        (1, "2012-12-31"),
        (5, "2013-01-01"),
    ]


def test_a_wrong_command_changes_nothing_and_names_the_mistake(events: Desk) -> None:
    for arguments, problem in _MISTAKES:
        result = events.type("quarantine", "fix", *arguments)
        assert result.exit_code == 2, arguments
        assert problem in result.stderr
    assert events.query("SELECT count(*) FROM etl.rejected WHERE correction IS NOT NULL") == [(0,)]


def test_parts_are_bounded_in_number_and_in_bytes(events: Desk) -> None:
    from etl_assets.postgres.connection import connected
    from etl_assets.postgres.ledger import quarantine

    with connected(events.url) as connection:
        records = quarantine.find(connection, source="events")
    assert [len(part) for part in chunks(records, size=3)] == [3, 1]
    assert [len(part) for part in chunks(records, most_bytes=1)] == [1, 1, 1, 1]
