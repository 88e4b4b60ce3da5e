"""`etl-assets rebuild` builds, compares and replaces a table, and the errors that name it are true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets_tests.cli.desk import STATIONS

if TYPE_CHECKING:
    from etl_assets_tests.cli.desk import Desk

BY_DAY = 'Schema((Column("code", "text", required=True), Column("day", "integer", required=True)), ("code", "day"))'


@pytest.fixture
def stations(desk: Desk) -> Desk:
    desk.publish("stations.csv", "code,day\nA,1\nB,1\n")
    desk.succeed("migrate")
    desk.succeed("run", "stations")
    return desk


def declare(desk: Desk, changes: dict[str, str]) -> None:
    text = STATIONS.format(folder=str(desk.folder / "feeds"))
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    desk.declare("stations", text)


def declare_by_day(desk: Desk) -> None:
    declare(desk, {'Schema((Column("code", "text", required=True),), ("code",))': BY_DAY})


def test_what_the_refusal_of_a_changed_key_says_is_true_when_it_is_typed(stations: Desk) -> None:
    declare_by_day(stations)
    refused = stations.type("run", "stations")
    command = "etl-assets rebuild stations --swap"
    assert refused.exit_code == 1
    assert f"`{command}`" in " ".join(refused.output.split())
    assert f"Run `{command}`." in " ".join(stations.type("doctor").stdout.split())
    output = stations.succeed(*command.split()[1:])
    assert "stations: the table of 2 rows, built from 1 delivery, is in use." in output
    assert stations.query("SELECT code, day FROM core.stations ORDER BY 1") == [("A", 1), ("B", 1)]
    assert "All" in stations.succeed("doctor")
    assert "unchanged" in stations.succeed("run", "stations")


def test_a_table_becomes_a_history_by_what_the_refusal_says(stations: Desk) -> None:
    declare(stations, {"Schema, Source": "History, Schema, Source", "    schema=": "    write=History(),\n    schema="})
    refused = stations.type("run", "stations")
    command = "etl-assets rebuild stations --swap"
    assert refused.exit_code == 1
    assert f"`{command}`" in " ".join(refused.output.split())
    (line,) = stations.lines("doctor", "--json", exit_code=4)  # the run had begun to load
    assert line["to_rebuild"] == ["stations"]
    stations.succeed(*command.split()[1:])
    assert stations.query("SELECT code FROM core.stations_history ORDER BY 1") == [("A",), ("B",)]
    (line,) = stations.lines("doctor", "--json")
    assert line["to_rebuild"] == []
    assert "unchanged" in stations.succeed("run", "stations")
    assert "2 rows are equal." in stations.succeed("rebuild", "stations", "--verify")


def test_a_table_that_is_equal_exits_with_0_and_one_that_differs_with_1(stations: Desk) -> None:
    assert "2 rows are equal." in stations.succeed("rebuild", "stations", "--verify")
    stations.execute("DELETE FROM core.stations WHERE code = 'A'")
    differs = stations.type("rebuild", "stations", "--verify", "--swap")
    assert differs.exit_code == 1
    shown = " ".join(differs.stdout.split())
    assert "1 rows differ: 1 rows: it was deleted by hand: every delivery is loaded, and none lacks it." in shown
    assert "code=A" in shown
    assert stations.query("SELECT code FROM core.stations") == [("B",)]
    (line,) = stations.lines("rebuild", "stations", "--verify", "--json", exit_code=1)
    assert (line["rows"], line["swapped"], line["verified"]["differing"]) == (2, False, 1)
    stations.succeed("rebuild", "stations", "--swap")
    assert stations.query("SELECT code FROM core.stations ORDER BY 1") == [("A",), ("B",)]


def test_a_swap_of_a_delivery_that_was_only_landed_is_shown_in_dagster(stations: Desk) -> None:
    stations.succeed("rebuild", "stations", "--swap")
    assert "holds" in stations.succeed("doctor", "--deep")


def test_what_was_built_is_dropped(stations: Desk) -> None:
    assert "stations: nothing was built." in stations.succeed("rebuild", "stations", "--drop")
    stations.succeed("rebuild", "stations")
    assert stations.query("SELECT count(*) FROM etl_rebuild.stations") == [(2,)]
    assert "stations: what was built is dropped." in stations.succeed("rebuild", "stations", "--drop")
    assert stations.query("SELECT to_regclass('etl_rebuild.stations')") == [(None,)]


def test_drop_excludes_the_other_options(stations: Desk) -> None:
    assert stations.type("rebuild", "stations", "--drop", "--swap").exit_code == 2
