"""The command `drift`, where a change of names leaves a declared column empty."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from etl_assets_tests.cli.shirts import declare_shirts

if TYPE_CHECKING:
    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk

TINT = "Column('tint', 'text')"
BOTH = "Column('tint', 'text', published_as=('colour', 'tint'))"
STATUS = "SELECT status FROM etl.drift"
COUNT = "100 of 100 rows loaded since delivery 2 of shirts (2.csv)"
ACCEPT = "from etl_assets.cli import main; main(['drift', 'accept', '1'])"


def publish(desk: Desk, file: int, header: str) -> None:
    """Publish a hundred shirts of their own, with the same hundred values in the second column."""
    first = file * 1000
    lines = "".join(f"{first + number},shade {number}\n" for number in range(100))
    desk.publish(f"shirts/{file}.csv", f"{header}\n{lines}")


def prepare_renamed(desk: Desk) -> None:
    declare_shirts(desk, TINT)
    publish(desk, 1, "id,tint")
    publish(desk, 2, "id,colour")
    desk.succeed("migrate")
    desk.succeed("run", "shirts")


@pytest.fixture
def renamed(prepared: Prepared) -> Desk:
    """Change 1 renamed an optional column, of which 100 of 200 rows are empty since."""
    desk = prepared(prepare_renamed)
    declare_shirts(desk, TINT)
    return desk


def answer(desk: Desk, text: str) -> tuple[int, str]:
    """Accept change 1 at a terminal of its own and type an answer; return the exit code and the question."""
    ours, theirs = os.openpty()
    with closing(os.fdopen(ours, "wb")) as keyboard:
        with os.fdopen(theirs, "rb") as terminal:
            process = subprocess.Popen(
                [sys.executable, "-c", ACCEPT],
                stdin=terminal,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env={**os.environ, **desk.environment},
            )
        keyboard.write(f"{text}\n".encode())
        keyboard.flush()
        output, _ = process.communicate(timeout=60)
    return process.returncode, output


def test_show_counts_the_rows_that_are_empty_since(renamed: Desk) -> None:
    assert f"in 'tint' of {COUNT}" in renamed.succeed("drift", "show", "1")
    (shown,) = renamed.lines("drift", "show", "1", "--json")
    assert shown["proposal"] == BOTH
    assert shown["emptied_column"] == {
        "column": "tint",
        "published": False,
        "since_delivery": 2,
        "rows": 100,
        "null_rows": 100,
    }


def test_without_a_terminal_a_change_that_leaves_a_column_empty_is_accepted_only_with_yes(renamed: Desk) -> None:
    result = renamed.type("drift", "accept", "1")
    assert result.exit_code == 2
    for part in ("'tint' was renamed to 'colour'", COUNT, f"\n    {BOTH}\n", "--yes"):
        assert part in result.stderr
    assert renamed.query(STATUS) == [("open",)]
    assert "1 change accepted" in renamed.succeed("drift", "accept", "1", "--yes")
    assert renamed.query(STATUS) == [("accepted",)]


@pytest.mark.parametrize(("text", "code", "status"), [("", 1, "open"), ("y", 0, "accepted")])
def test_at_a_terminal_the_reviewer_decides(renamed: Desk, text: str, code: int, status: str) -> None:
    ended, output = answer(renamed, text)
    assert COUNT in output
    assert "Accept all the same? [y/N]" in output
    assert (ended, renamed.query(STATUS)) == (code, [(status,)])


def test_declared_as_proposed_every_row_is_filled_and_none_is_counted(renamed: Desk) -> None:
    (shown,) = renamed.lines("drift", "show", "1", "--json")
    declare_shirts(renamed, shown["proposal"])
    renamed.succeed("run", "shirts")
    assert renamed.query("SELECT count(*), count(tint) FROM core.shirts") == [(200, 200)]
    (shown,) = renamed.lines("drift", "show", "1", "--json")
    assert (shown["status"], shown["reviewer"]) == ("accepted", "the declaration")
    assert (shown["emptied_column"]["null_rows"], shown["emptied_column"]["published"]) == (0, True)


def test_deliveries_since_are_counted_too(renamed: Desk) -> None:
    publish(renamed, 3, "id,colour")
    renamed.succeed("run", "shirts")
    (shown,) = renamed.lines("drift", "show", "1", "--json")
    assert (shown["emptied_column"]["rows"], shown["emptied_column"]["null_rows"]) == (200, 200)


def test_a_removed_column_is_asked_about_and_an_added_one_is_not(desk: Desk) -> None:
    declare_shirts(desk, TINT)
    publish(desk, 1, "id,tint")
    desk.publish("shirts/2.csv", "id\n7\n")
    desk.publish("shirts/3.csv", "id,weight\n8,2\n")
    desk.succeed("migrate")
    desk.succeed("run", "shirts")
    kinds = {event["kind"]: str(event["id"]) for event in desk.lines("drift", "list", "--json")}
    (added,) = desk.lines("drift", "show", kinds["added"], "--json")
    assert added["emptied_column"] is None
    desk.succeed("drift", "accept", kinds["added"])
    result = desk.type("drift", "accept", kinds["removed"])
    assert result.exit_code == 2
    assert "2 of 2 rows loaded since delivery 2 of shirts (2.csv)" in result.stderr


def test_a_run_tells_of_a_misspelt_column_and_of_the_name_that_no_column_takes(renamed: Desk) -> None:
    declare_shirts(renamed, "Column('tnt', 'text')")
    told = {line["remarks"][0] for line in renamed.lines("run", "shirts", "--json")}
    assert renamed.query("SELECT count(tnt) FROM core.shirts") == [(0,)]
    assert told == {
        "the delivery lacks these columns, which have NULL or their default: tnt. No column takes what it publishes as "
        f"{name!r}. If they are the same, correct published_as."
        for name in ("tint", "colour")
    }
    declare_shirts(renamed, BOTH)
    assert [line["remarks"] for line in renamed.lines("run", "shirts", "--json")] == [[], []]
