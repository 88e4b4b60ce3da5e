"""The command `preview`, without a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets_tests.cli.desk import Desk

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    desk = Desk("postgresql://nobody@127.0.0.1:9/none", tmp_path)
    for name, value in desk.environment.items():
        monkeypatch.setenv(name, value)
    desk.publish_readings()
    return desk


def test_rejected_records_are_counted_by_rule_and_shown_with_their_values(desk: Desk) -> None:
    (preview,) = desk.lines("preview", "readings", "--partition", "2013-01-01", "--json")
    assert (preview["read"], preview["rejected"], preview["produced"], preview["refused"]) == (4, 1, 3, False)
    assert preview["rules"] == {"celsius__type": 1}
    (record,) = preview["records"]
    assert (record["record"], record["rules"], record["values"]) == (2, ["celsius__type"], {"temp": "warm"})


def test_values_of_sensitive_columns_are_masked(desk: Desk) -> None:
    result = desk.type("preview", "readings", "--partition", "2013-01-01", "--json")
    assert "***" in result.output
    assert not any(name in result.output for name in ("Ann", "Bo", "Di"))


def test_nothing_is_written(desk: Desk) -> None:
    before = sorted(desk.folder.rglob("*"))
    desk.succeed("preview", "readings")
    assert [path for path in sorted(desk.folder.rglob("*")) if "__pycache__" not in path.parts] == [
        path for path in before if "__pycache__" not in path.parts
    ]


def test_the_newest_partition_is_shown_unless_another_is_named(desk: Desk) -> None:
    (preview,) = desk.lines("preview", "readings", "--json")
    assert preview["partition"] == "2013-02-01"


def test_the_limit_applies_to_the_records_shown_and_not_to_the_counts(desk: Desk) -> None:
    desk.publish("2013-02-01.csv", "station,day,temp,keeper\n" + "A,x,1,Ann\n" * 9 + "A,1,1,Ann\n" * 9)
    (preview,) = desk.lines("preview", "readings", "--limit", "2", "--json")
    assert (len(preview["records"]), len(preview["sample"])) == (2, 2)
    assert (preview["rejected"], preview["produced"]) == (9, 9)


def test_the_preview_says_that_a_delivery_would_be_refused(desk: Desk) -> None:
    desk.publish("2013-02-01.csv", "station,day,temp,keeper\nA,x,1,Ann\n")
    assert "would be refused" in desk.succeed("preview", "readings")


def test_a_last_record_that_may_have_been_cut_does_not_count_against_max_rejected(desk: Desk) -> None:
    desk.publish("2013-02-01.csv", "station,day,temp,keeper\nA,1,1,Ann\nA,2,1,Ann")
    (preview,) = desk.lines("preview", "readings", "--json")
    assert (preview["rules"], preview["refused"]) == ({"record__unterminated": 1}, False)


def test_the_declaration_in_a_file_outside_the_settings_can_be_previewed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETL_ASSETS_SOURCES", "")
    assert "2 rows would go to core.stations" in desk.succeed("preview", str(desk.folder / "declared" / "stations.py"))


def test_the_preview_says_that_it_does_not_compare_the_keys_of_records(desk: Desk) -> None:
    words = "Whether records have the same key was not looked up"
    assert words not in desk.succeed("preview", "readings")
    declaration = desk.folder / "declared" / "stations.py"
    declaration.write_text(declaration.read_text().replace('("code",))', '("code",), repeated_keys="reject")'))
    assert words in desk.succeed("preview", "stations")


def test_a_missing_required_column_is_an_error_with_the_most_similar_name(desk: Desk) -> None:
    desk.publish("stations.csv", "Code\nA\n")
    result = desk.type("preview", "stations")
    assert result.exit_code == 1
    assert "'Code'" in result.stderr


def test_control_characters_of_a_record_do_not_reach_the_terminal(desk: Desk) -> None:
    desk.publish("2013-02-01.csv", "station,day,temp,keeper\nA,1,\x1b[31m,Ann\nA,2,1,Ann\n")
    assert "\x1b" not in desk.succeed("preview", "readings")
