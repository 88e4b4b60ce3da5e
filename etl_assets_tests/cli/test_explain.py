"""The command `explain`."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

from etl_assets.postgres.explain import rows
from etl_assets_tests.cli.desk import prepare_january
from etl_assets_tests.documented import blocks

if TYPE_CHECKING:
    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk


@pytest.fixture
def ready(prepared: Prepared) -> Desk:
    """The stations, and readings: record 1 and 4 have rows, record 2 is open, record 3 waits for its station."""
    return prepared(prepare_january)


def prepare_airlines(desk: Desk) -> None:
    desk.succeed("migrate")
    desk.succeed("run", "airlines")


def test_a_row_is_shown_with_its_delivery_and_masked_values(ready: Desk) -> None:
    text = ready.succeed("explain", "core.readings", "station=A", "day=1")
    assert "It has a row; its contents are from record 1 of delivery 2." in text
    assert "2013-01-01.csv" in text
    assert re.search(r"keeper +\*\*\*", text)
    assert re.search(r"as published +\*\*\*", text)
    assert "Ann" not in text


def test_reveal_shows_the_line_as_it_was_published(ready: Desk) -> None:
    (story,) = ready.lines("explain", "readings", "station=A", "day=1", "--reveal", "--json")
    (version,) = story["versions"]
    assert (version["raw"], version["row"]["keeper"], version["at"]) == ("A,1,2.5,Ann", "Ann", ":2")
    assert version["fields"] == {"station": "A", "day": "1", "temp": "2.5", "keeper": "Ann"}
    assert [found["raw"] for found in story["search"]["found"]] == ["A,1,2.5,Ann"]


def test_json_has_no_sensitive_value(ready: Desk) -> None:
    ready.succeed("quarantine", "fix", "1", "celsius=9.5", "keeper=Eve")
    for day, station in (("1", "A"), ("1", "B"), ("1", "Z")):
        text = ready.succeed("explain", "readings", f"station={station}", f"day={day}", "--json")
        assert not {"Ann", "=Bo", "Cy", "Eve"} & set(re.findall(r"[=\w]+", text))
    (story,) = ready.lines("explain", "readings", "station=B", "day=1", "--json")
    assert story["rejected"][0]["correction"] == {"temp": "9.5", "keeper": "***"}


def test_keys_without_a_row_are_explained(ready: Desk) -> None:
    open_ = ready.succeed("explain", "core.readings", "station=B", "day=1")
    assert "It has no row: record 2 of delivery 2 broke celsius__type, and waits for a person." in open_
    parked = ready.succeed("explain", "core.readings", "station=Z", "day=1")
    assert "broke station__references, and waits for its parent." in parked
    unseen = ready.succeed("explain", "core.readings", "station=B", "day=9")
    assert "The key was never delivered: it is not in the only delivery." in unseen


def test_rows_that_refer_to_a_row_and_assets_downstream_are_shown(ready: Desk) -> None:
    (story,) = ready.lines("explain", "core.stations", "code=A", "--json")
    assert story["referring"] == [{"table": "core.readings", "columns": ["station"], "rows": 2, "is_cut": False}]
    assert story["downstream"] == ["readings"]
    assert story["assets_downstream"] == ["core/readings"]


def test_marts_are_downstream(ready: Desk) -> None:
    mart = (
        "import dagster as dg\n\n@dg.asset(deps=[dg.AssetKey(['core', 'stations'])])\ndef by_station() -> None: ...\n"
    )
    (ready.folder / "declared" / "by_station.py").write_text(mart)
    assert "Downstream: by_station, core/readings." in ready.succeed("explain", "core.stations", "code=A")


def test_all_searches_every_delivery(ready: Desk) -> None:
    for number in range(21):
        ready.publish("stations.csv", f"code\nA\nC{number}\n")
        ready.succeed("run", "stations")
    few = ready.succeed("explain", "core.stations", "code=B")
    assert "Searched the frozen bytes of 20 deliveries of 22" in few
    assert "--all searches them, too" in few
    (story,) = ready.lines("explain", "core.stations", "code=B", "--all", "--json")
    assert (story["search"]["searched"], [found["delivery"] for found in story["search"]["found"]]) == (22, [1])


@pytest.mark.parametrize(
    ("arguments", "clause"),
    [
        (("core.reading", "day=1"), "Did you mean core.readings?"),
        (("nothing.like.it",), "There are core.airlines"),
        (("core.readings", "day"), "is no COLUMN=VALUE"),
        (("delivery", "x"), "Write the id of one delivery"),
        (("delivery",), "Write the id of one delivery"),
    ],
)
def test_a_wrong_command_line_is_explained(ready: Desk, arguments: tuple[str, ...], clause: str) -> None:
    result = ready.type("explain", *arguments)
    assert result.exit_code == 2
    assert clause in " ".join(result.stderr.split())


def test_a_key_that_cannot_be_read_is_an_error_without_its_value(ready: Desk) -> None:
    result = ready.type("explain", "core.readings", "station=A", "day=tomorrow")
    assert result.exit_code == 1
    assert "The key cannot be read: day is not written as an integer." in result.stderr
    assert "tomorrow" not in result.stderr


def test_of_many_rows_that_refer_to_it_at_least_the_counted_ones_are_said(
    ready: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert " rows of core.readings refer to it" in ready.succeed("explain", "core.stations", "code=A")
    monkeypatch.setattr(rows, "MOST_REFERRING", 2)
    assert "At least 2 rows of core.readings refer to it by station." in ready.succeed(
        "explain", "core.stations", "code=A"
    )


def test_the_story_of_a_delivery_is_shown(ready: Desk) -> None:
    text = ready.succeed("explain", "delivery", "2")
    assert "Delivery 2 of readings (2013-01-01) is complete." in text
    assert "4 read = 2 accepted + 2 rejected + 0 filtered" in text
    assert re.search(r"celsius__type +1", text)
    assert "succeeded" in text
    (story,) = ready.lines("explain", "delivery", "2", "--json")
    assert story["add_up"]
    assert story["rejected_by_status"] == {"open": 1, "parked": 1}
    assert story["counts"]["ingest"]["inserted"] == 2
    assert {check["name"] for check in story["checks"] if not check["passed"]} == {
        "celsius__type",
        "station__references",
    }
    assert "Ann" not in str(story)


def test_a_delivery_that_is_not_there_is_an_error(ready: Desk) -> None:
    result = ready.type("explain", "delivery", "99")
    assert result.exit_code == 1
    assert "There is no delivery 99." in result.stderr


def test_every_command_of_the_document_succeeds(prepared: Prepared) -> None:
    desk = prepared(prepare_airlines)
    text = "".join(blocks("docs/explain.md", "bash", "## Commands"))
    commands = [line for line in text.splitlines() if line]
    assert len(commands) >= 5
    for line in commands:
        program, *arguments = shlex.split(line)
        assert program == "etl-assets"
        desk.succeed(*arguments)
