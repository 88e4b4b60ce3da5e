"""The command `run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import click
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from etl_assets.cli.run import matching_partition
from etl_assets.graph.assets import partition_range
from etl_assets.graph.assets.partition_steps import count_waiting
from etl_assets.postgres.migrations.migrate import newest
from etl_assets_tests.cli.desk import prepare_published

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.graph.assets.partition_steps import PartitionStep, Report
    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk

_KEYS = [
    "source", "partition", "delivery", "status", "since", "read", "rejected", "filtered", "produced", "inserted",
    "updated", "unchanged", "duplicate", "deleted", "skipped", "expired", "seconds", "error", "remarks",
]  # fmt: skip


@pytest.fixture
def ready(prepared: Prepared) -> Desk:
    return prepared(prepare_published)


def test_each_partition_is_one_line_of_json_and_nothing_else_is_printed(ready: Desk) -> None:
    stations, first, second, third = ready.lines("run", "readings", "stations", "--json")
    assert list(first) == _KEYS
    assert (stations["source"], stations["partition"], stations["inserted"]) == ("stations", None, 2)
    assert [line["partition"] for line in (first, second, third)] == ["2013-01-01", "2013-01-02", "2013-02-01"]
    assert (first["status"], first["read"], first["rejected"], first["inserted"]) == ("loaded", 4, 2, 2)
    assert "database" in first["seconds"]
    assert first["error"] is None
    assert ready.query("SELECT count(*) FROM core.readings") == [(4,)]


def test_complete_partitions_run_again_only_with_the_option_all(ready: Desk) -> None:
    ready.succeed("run", "stations", "readings")
    assert "complete" in ready.succeed("run", "readings")
    assert ready.lines("run", "readings", "--json") == []
    again = ready.lines("run", "readings", "--all", "--json")
    assert [(line["status"], line["read"]) for line in again] == [("unchanged", 0)] * 3


def test_force_reloads_a_complete_delivery(ready: Desk) -> None:
    ready.succeed("run", "stations", "readings")
    (line,) = ready.lines("run", "readings", "--partition", "2013-02", "--force", "--json")
    assert (line["status"], line["read"], line["unchanged"]) == ("loaded", 1, 1)


def test_a_refused_partition_fails_the_command_but_the_later_partitions_run(ready: Desk) -> None:
    ready.publish("2013-01-02.csv", "station,day,temp,keeper\nA,x,1,Ann\nA,y,1,Ann\nA,3,1,Ann\n")
    ready.succeed("run", "stations")
    lines = ready.lines("run", "readings", "--json", exit_code=1)
    assert [line["status"] for line in lines] == ["loaded", "refused", "loaded"]
    assert lines[1]["error"]["class"] == "TooManyRejectedError"
    assert "max_rejected=0.5" in lines[1]["error"]["message"]
    assert lines[1]["delivery"] is not None


def test_a_delivery_that_is_refused_for_its_columns_is_named(ready: Desk) -> None:
    ready.publish("2013-01-02.csv", "place,day,temp,keeper\nA,3,1,Ann\n")
    ready.succeed("run", "stations")
    (line,) = ready.lines("run", "readings", "--partition", "2013-01-02", "--json", exit_code=1)
    assert (line["status"], line["error"]["class"]) == ("refused", "ShapeError")
    assert ready.query("SELECT id FROM etl.delivery WHERE status = 'refused'") == [(line["delivery"],)]


def test_a_source_whose_files_are_not_found_is_not_said_to_be_complete(ready: Desk) -> None:
    result = ready.type("run", "parcels")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "parcels has no partitions yet" in result.stderr
    ready.publish("parcels/a.csv", "id\n1\n")
    ready.succeed("run", "parcels")
    assert "Every partition is complete." in ready.succeed("run", "parcels")


def test_a_run_that_landed_nothing_shows_no_delivery(ready: Desk) -> None:
    ready.succeed("run", "stations")
    (ready.folder / "feeds" / "stations.csv").unlink()
    (line,) = ready.lines("run", "stations", "--json", exit_code=1)
    assert line["delivery"] is None


def test_a_missing_feed_is_an_error_without_a_traceback(ready: Desk) -> None:
    (ready.folder / "feeds" / "2013-01-02.csv").unlink()
    result = ready.type("run", "readings", "--partition", "2013-01-02")
    assert result.exit_code == 1
    assert "DeliveryMissingError" in result.stderr
    assert "Traceback" not in result.output


def test_new_files_become_partitions_in_their_order(ready: Desk) -> None:
    ready.publish("parcels/b.csv", "id\n1\n")
    ready.publish("parcels/a.csv", "id\n2\n")
    assert [line["partition"] for line in ready.lines("run", "parcels", "--json")] == ["a.csv", "b.csv"]
    ready.publish("parcels/c.csv", "id\n3\n")
    assert [line["partition"] for line in ready.lines("run", "parcels", "--json")] == ["c.csv"]


def test_a_backlog_of_files_is_one_run_and_each_file_has_its_line(ready: Desk) -> None:
    for number in range(5):
        ready.publish(f"parcels/{number}.csv", f"id\n{number}\n")
    lines = ready.lines("run", "parcels", "--json")
    assert [line["partition"] for line in lines] == [f"{number}.csv" for number in range(5)]
    assert {(line["status"], line["inserted"]) for line in lines} == {("loaded", 1)}
    assert ready.query("SELECT count(DISTINCT run_id), count(*) FROM etl.run WHERE source = 'parcels'") == [(1, 5)]
    assert ready.lines("run", "parcels", "--json") == []


def test_a_file_of_a_backlog_that_fails_fails_the_command_and_the_others_are_loaded(ready: Desk) -> None:
    ready.publish("parcels/a.csv", "id\n1\n")
    ready.publish("parcels/b.csv", "id\nx\n")
    ready.publish("parcels/c.csv", "other\n3\n")
    ready.publish("parcels/d.csv", "id\n4\n")
    result = ready.type("run", "parcels")
    assert result.exit_code == 1
    assert result.stderr.count("parcels b.csv: TooManyRejectedError: ") == 1
    assert result.stderr.count("parcels c.csv: ShapeError: ") == 1
    assert "not started" not in result.stderr
    assert "will proceed" not in result.stderr
    assert ready.query("SELECT id FROM core.parcels ORDER BY id") == [(1,), (4,)]
    ready.publish("parcels/b.csv", "id\n2\n")
    again = ready.lines("run", "parcels", "--json", exit_code=1)
    assert [(line["partition"], line["status"]) for line in again] == [("b.csv", "loaded"), ("c.csv", "refused")]


def test_dagster_has_the_checks_of_a_file_before_the_history_says_that_it_succeeded(
    ready: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stored() -> list[str]:
        address = make_conninfo(ready.url, dbname=f"{conninfo_to_dict(ready.url)['dbname']}_dagster")
        with psycopg.connect(address) as connection:
            return [
                row[0]
                for row in connection.execute(
                    "SELECT partition FROM asset_check_executions WHERE check_name = 'conservation' "
                    "AND execution_status = 'SUCCEEDED' ORDER BY partition"
                )
            ]

    seen: list[list[str]] = []

    def count(step: PartitionStep) -> Iterator[Report]:
        seen.append(stored())
        return count_waiting(step)

    monkeypatch.setitem(cast("dict[str, Any]", partition_range._STEPS), "quarantine", count)
    ready.publish("parcels/a.csv", "id\n1\n")
    ready.publish("parcels/b.csv", "id\n2\n")
    ready.succeed("run", "parcels")
    assert seen == [["a.csv", "b.csv"]] * 2


def test_run_names_parked_records_whose_parents_have_arrived_and_they_can_be_replayed(ready: Desk) -> None:
    ready.succeed("run", "stations", "readings")
    ready.publish("stations.csv", "code\nA\nB\nZ\n")
    assert "etl-assets quarantine replay readings --parked" in ready.succeed("run", "stations")
    (output,) = ready.lines("quarantine", "replay", "readings", "--parked", "--json")
    assert (output["status"], output["read"], output["inserted"]) == ("replayed", 1, 1)
    assert [record["status"] for record in output["waiting"]] == ["open"]
    assert ready.query("SELECT celsius FROM core.readings WHERE station = 'Z'") == [(3.0,)]


def test_an_unknown_source_or_partition_is_a_usage_error_that_names_the_known_ones(ready: Desk) -> None:
    for arguments, known in (
        (("run", "readngs"), "readings"),
        (("run", "readings", "--partition", "2014"), "2013-02-01"),
    ):
        result = ready.type(*arguments)
        assert result.exit_code == 2
        assert known in result.stderr


def test_a_database_that_was_not_migrated_is_an_error_that_names_the_command(desk: Desk) -> None:
    result = desk.type("run", "stations")
    assert result.exit_code == 3
    assert "etl-assets migrate" in result.stderr


def test_a_server_that_does_not_answer_is_a_settings_error(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETL_ASSETS_DATABASE_URL", "postgresql://nobody:geheim@127.0.0.1:9/none")
    result = desk.type("run", "stations")
    assert result.exit_code == 3
    assert "geheim" not in result.output


def test_a_unique_beginning_of_a_key_selects_its_partition() -> None:
    known = ["2013-01-01", "2013-01-02", "2013-02-01"]
    assert matching_partition("2013-02", known, "x") == "2013-02-01"
    assert matching_partition("2013-01-01", known, "x") == "2013-01-01"
    with pytest.raises(click.UsageError, match="matches 2 partitions"):
        matching_partition("2013-01", known, "x")


def test_a_whole_key_selects_its_partition_even_if_another_key_begins_with_it() -> None:
    assert matching_partition("a", ["a", "ab"], "x") == "a"


def test_migrate_prints_both_revisions_and_can_be_repeated(desk: Desk) -> None:
    assert f"Schema etl went from nothing to {newest()}." in desk.succeed("migrate")
    assert f"Schema etl is at revision {newest()}." in desk.succeed("migrate")


def test_names_that_cannot_be_keys_are_reported_and_the_other_files_are_loaded(ready: Desk) -> None:
    ready.publish("parcels/a.csv", "id\n1\n")
    for name in ("b\x1b\n.csv", "caf\udce9.csv"):
        ready.publish(f"parcels/{name}", "id\n2\n")
    result = ready.type("run", "parcels")
    assert result.exit_code == 1
    assert "parcels: 2 files are set aside because of the name, and not loaded. Have it renamed:\n" in result.stderr
    assert r"  'b\x1b\n.csv' contains '\n'" in result.stderr
    assert r"  'caf\xe9.csv' is not UTF-8" in result.stderr
    assert ready.query("SELECT id FROM core.parcels") == [(1,)]
    assert ready.query("SELECT rule, status FROM etl.alert") == [("files_set_aside", "open")]
    ready.succeed("run", "parcels", "--partition", "a.csv")
    for path in (ready.folder / "feeds" / "parcels").glob("[bc]*"):
        path.unlink()
    ready.succeed("run", "parcels")
    assert ready.query("SELECT status FROM etl.alert") == [("resolved",)]


def test_names_are_printed_without_characters_that_could_control_the_terminal(ready: Desk) -> None:
    ready.publish("parcels/\x1b[31m\u202e.csv", "id\nx\n")
    for arguments in (("run", "parcels"), ("run", "parcels", "--json"), ("run", "parcels", "--partition", "x")):
        result = ready.type(*arguments)
        assert result.exit_code != 0
        assert "31m" in result.output
        assert all(line.isprintable() for line in result.output.splitlines()), arguments
