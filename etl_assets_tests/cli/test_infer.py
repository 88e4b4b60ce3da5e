"""``etl-assets infer`` and ``new``: a declaration from a file, which accepts the file that it was made from."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from etl_assets import catalog
from etl_assets.cli import WRONG_SETTINGS, main

if TYPE_CHECKING:
    from click.testing import Result

    from etl_assets_tests.cli.desk import Desk

FEED = b"id,day,amount,shop\n" + b"".join(b"%d,2024-01-%02d,%d.50,S%d\n" % (n, n % 28 + 1, n, n % 3) for n in range(90))


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ETL_ASSETS_HOME", str(tmp_path / "home"))
    (tmp_path / "feeds").mkdir()
    monkeypatch.setenv("ETL_ASSETS_SOURCES", "feeds")


def new(name: str, location: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["new", name, "--from", location, *arguments])


def infer(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["infer", *arguments])


def test_a_declaration_is_printed_with_its_evidence(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_bytes(FEED)
    result = infer("sales.csv")
    assert result.exit_code == 0
    assert "# 90 values, 90 different, from 0 to 89.\n" in result.stdout
    assert '            Column("id", "integer", required=True),\n' in result.stdout
    assert '            Column("day", "date"),\n' in result.stdout
    assert '            Column("amount", "decimal", scale=2),\n' in result.stdout
    assert '            Column("shop", "text", allowed=("S0", "S1", "S2")),\n' in result.stdout
    assert '        key=("id",),\n' in result.stdout
    assert result.stderr == "4 columns, key id; no question left open.\n"


def test_a_declaration_that_is_written_is_a_source_and_accepts_its_file(tmp_path: Path) -> None:
    (tmp_path / "sales.csv.gz").write_bytes(gzip.compress(FEED))
    result = new("sales", str(tmp_path / "sales.csv.gz"))
    assert result.exit_code == 0
    assert "0 records of 90 would be rejected" in result.stdout
    source = catalog.load_file(tmp_path / "feeds" / "sales.py")
    assert (source.name, source.schema.key) == ("sales", ("id",))


def test_what_is_written_is_formatted_and_its_lines_are_not_too_long(tmp_path: Path) -> None:
    names = ",".join(f"a very long name of the column number {number}" for number in range(12))
    (tmp_path / "wide.csv").write_bytes(f"id,{names}\n1{',x' * 12}\n2{',y' * 12}\n".encode())
    (tmp_path / "wide.py").write_text(infer("wide.csv").stdout)
    ruff = Path(sys.executable).with_name("ruff")
    subprocess.run([ruff, "format", "--isolated", "--line-length", "120", "--check", "wide.py"], check=True)


def test_a_file_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_bytes(FEED)
    (tmp_path / "feeds" / "sales.py").write_text("mine")
    result = new("sales", "sales.csv")
    assert result.exit_code == WRONG_SETTINGS
    assert "sales.py exists. Nothing was written." in result.stderr
    assert (tmp_path / "feeds" / "sales.py").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "error"), [("my-sales", "e.g. my_sales"), ("Sales", "e.g. sales"), ("2024-sales", "e.g. feed_2024_sales")]
)
def test_a_name_with_which_the_file_would_not_load_is_refused(tmp_path: Path, name: str, error: str) -> None:
    (tmp_path / "feed.csv").write_bytes(FEED)
    for result in (new(name, "feed.csv"), infer("feed.csv", "--name", name)):
        assert result.exit_code != 0
        assert error in " ".join(result.stderr.split())
    assert not list(tmp_path.rglob("*.py"))


def test_without_a_folder_of_sources_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sales.csv").write_bytes(FEED)
    monkeypatch.delenv("ETL_ASSETS_SOURCES")
    result = new("sales", "sales.csv")
    assert result.exit_code == WRONG_SETTINGS
    assert "There is no folder of sources. Nothing was written. Make a project with etl-assets init" in result.stderr
    assert not list(tmp_path.rglob("*.py"))


def test_the_name_of_a_file_is_cut_and_begins_with_a_letter(tmp_path: Path) -> None:
    (tmp_path / f"2024-{'a' * 60}.csv").write_bytes(FEED)
    assert f'    name="feed_2024_{"a" * 40}",\n' in infer(f"2024-{'a' * 60}.csv").stdout


def test_a_question_about_the_whole_file_is_printed(tmp_path: Path) -> None:
    (tmp_path / "orders.json").write_bytes(b'{"data": [{"id": 1}, {"id": 2}], "next": "https://example.org/?page=2"}')
    counted, question = infer("orders.json").stderr.splitlines()
    assert counted == "1 column, key id; 1 question for you in the comments."
    assert question.startswith(
        "The document names a next page at $.next, so that these may not be all records: declare"
    )


def test_the_records_in_all_records_of_another_place_are_counted(tmp_path: Path) -> None:
    orders = ", ".join(f'{{"id": {number}, "lines": [{{"sku": "A"}}, {{"sku": "B"}}]}}' for number in range(20))
    (tmp_path / "orders.json").write_bytes(f'{{"data": [{orders}]}}'.encode())
    assert (
        "# The file also has records at '$.data[*].lines', 40 in the part that was read." in infer("orders.json").stdout
    )


def test_a_likely_reference_is_counted_as_a_question(tmp_path: Path) -> None:
    (tmp_path / "trips.csv").write_bytes(b"id,carrier\n1,UA\n2,AA\n")
    assert infer("trips.csv").stderr == "2 columns, key id; 1 question for you in the comments.\n"


def test_malformed_records_are_counted_and_their_share_is_declared(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_bytes(FEED + b"90,2024-01-01,1.50\n")
    text = infer("sales.csv").stdout
    assert "# Malformed records, which are rejected: record__field_count 1.\n" in text
    assert "    max_rejected=0.02,\n" in text


def test_one_record_is_a_question_about_the_key(tmp_path: Path) -> None:
    (tmp_path / "today.csv").write_bytes(b"count,day\n7,2020-03-27\n")
    result = infer("today.csv")
    assert "from the only record of today.csv" in result.stdout
    assert "# 1 value, from 7 to 7.\n" in result.stdout
    assert (
        '# One record does not show which columns identify a record. Which do?\n        key=("day",),\n'
        in result.stdout
    )
    assert result.stderr == "2 columns, key day; 1 question for you in the comments.\n"


def test_a_file_without_a_line_end_may_go_on_without_one(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_bytes(FEED.rstrip(b"\n"))
    assert 'format=Csv(unterminated="report"),' in infer("sales.csv").stdout


def test_a_column_named_like_the_key_of_a_known_source_may_refer_to_it(tmp_path: Path) -> None:
    (tmp_path / "trips.csv").write_bytes(b"id,carrier\n1,UA\n2,AA\n")
    text = infer("trips.csv").stdout
    assert 'Named like the key of core.airlines: references="core.airlines.carrier" if it refers to it.' in text


def test_a_file_of_no_known_format_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "noise.bin").write_bytes(bytes(range(256)) * 10)
    result = infer("noise.bin")
    assert result.exit_code == 1
    assert "The format of noise.bin is not recognised. Nothing was inferred." in result.stderr


def test_contents_cannot_break_out_of_the_comments(tmp_path: Path) -> None:
    cells = "".join(f"{n}\n" for n in range(60)) + '"7\n""""""import os"\n'
    (tmp_path / "odd.csv").write_bytes(
        b"id,x\n"
        + b"".join(b"%d,%s\n" % (n, c.encode()) for n, c in enumerate(cells.splitlines()[:60]))
        + b'60,"7\nimport os"\n'
    )
    (tmp_path / "odd.py").write_text(infer("odd.csv").stdout)
    assert catalog.load_file(tmp_path / "odd.py").schema["x"].type.name == "text"
    assert "\nimport os" not in (tmp_path / "odd.py").read_text()


def test_the_table_of_a_file_without_a_key_has_each_of_its_records_once(desk: Desk) -> None:
    desk.publish("draws.csv", "side,weight\nheads,1.5\nheads,1.5\ntails,2.5\n")
    desk.succeed("new", "draws", "--from", str(desk.folder / "feeds" / "draws.csv"))
    desk.succeed("migrate")
    desk.succeed("run", "draws")
    desk.publish("draws.csv", "side,weight\nheads,1.5\nheads,1.5\ntails,2.5\ntails,2.5\n")
    desk.succeed("run", "draws")
    rows = desk.query("SELECT side, count(*) FROM core.draws GROUP BY side ORDER BY side")
    assert rows == [("heads", 2), ("tails", 2)]
