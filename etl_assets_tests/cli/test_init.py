"""``etl-assets init``: a project whose printed commands work literally, in an empty folder and a process of its own."""

from __future__ import annotations

import http.server
import json
import os
import re
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import xlsxwriter
from click.testing import CliRunner

from etl_assets.cli import WRONG_SETTINGS, main
from etl_assets.infer import infer
from etl_assets.project import of_folder
from etl_assets.scaffold import package_name, project_files
from etl_assets_tests.documented import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result

_MOST_SECONDS = 300
STATIONS = "id,name,opened\n101,Aldergate,1931-05-01\n102,Brook,1948-11-23\n103,Carrow,1952-04-23\n"
ORDERS = {"items": [{"id": 1, "price": "1.50"}, {"id": 2, "price": "2.25"}, {"id": 3, "price": "7.00"}]}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which is empty, in an environment without settings."""
    for name in list(os.environ):
        if name.startswith("ETL_ASSETS_") and not name.startswith("ETL_ASSETS_TEST"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    (tmp_path / "shop").mkdir()
    monkeypatch.chdir(tmp_path / "shop")
    return tmp_path / "shop"


def init(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["init", *arguments])


def shell(folder: Path, line: str) -> str:
    """What a line prints that is typed into a shell in a folder; the commands are those of this Python."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    done = subprocess.run(["sh", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def hints(printed: str) -> list[str]:
    """The commands that were printed, each in a line of its own."""
    return re.findall(r"^    (\S.*)$", printed.split("\nNext:", 1)[1], re.MULTILINE)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the files of a folder on loopback; yield the address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the name of the library
            del format, args

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def feed(kind: str, folder: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A feed of a kind: what a user types, and the rows of the table."""
    if kind == "csv":
        (folder / "stations.csv").write_text(STATIONS)
        yield "stations.csv", [{"id": 101, "name": "Aldergate", "opened": "1931-05-01"}]
    elif kind == "excel":
        with xlsxwriter.Workbook(folder / "prices.xlsx") as book:
            sheet = book.add_worksheet("Prices")
            sheet.write_row(0, 0, ["article", "price"])
            for row, (article, price) in enumerate([("A1", 1.5), ("A2", 20), ("A3", 7.25)], 1):
                sheet.write_row(row, 0, [article, price])
        yield "prices.xlsx", [{"article": "A1", "price": "1.50"}]
    else:
        (folder.parent / "api").mkdir()
        (folder.parent / "api" / "orders.json").write_text(json.dumps(ORDERS))
        with served(folder.parent / "api") as address:
            yield f"{address}/orders.json", [{"id": 1, "price": "1.50"}]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("location", "extras"),
    [
        ("s3a://bucket/a.csv", "embedded,s3"),
        ("abfss://files/a.csv", "embedded,azure"),
        ("gcs://bucket/a.csv", "embedded,gcs"),
        ("https://example.org/a.csv", "embedded"),
    ],
)
def test_a_project_depends_on_what_reaches_the_place_of_its_first_source(
    folder: Path, location: str, extras: str
) -> None:
    (folder / "stations.csv").write_text(STATIONS)
    with infer(str(folder / "stations.csv"), "stations", {}) as inference:
        there = replace(inference, file=replace(inference.file, location=location))
        pyproject = project_files(folder, "shop", there)[folder / "pyproject.toml"]
    assert f'"etl-assets[{extras}]>=' in pyproject


@pytest.mark.parametrize("kind", ["csv", "excel", "api"])
def test_the_first_table_is_there_after_the_printed_commands_alone(folder: Path, kind: str) -> None:
    begin = time.monotonic()
    with feed(kind, folder) as (location, first):
        printed = shell(folder, f"etl-assets init {location}")
        typed = hints(printed)
        assert [line.split()[1] for line in typed] == ["migrate", "run", "sql", "dev"]
        shown = [shell(folder, line) for line in typed if line != "etl-assets dev"]
    assert time.monotonic() - begin < _MOST_SECONDS
    assert " loaded " in shown[1]
    table = typed[2].split("FROM ")[1].split()[0]
    columns = ", ".join(first[0])
    rows = shell(folder, f"etl-assets sql --json 'SELECT {columns} FROM {table} ORDER BY 1 LIMIT 1'")
    assert [json.loads(line) for line in rows.splitlines()] == first


@pytest.mark.slow
def test_the_project_passes_its_own_test_and_etl_assets_check(folder: Path) -> None:
    (folder / "stations.csv").write_text(STATIONS)
    shell(folder, "etl-assets init stations.csv")
    assert "1 file checked, 0 errors." in shell(folder, "etl-assets check")
    assert "2 passed" in shell(folder, "python -m pytest -q -p no:cacheprovider tests")
    (folder / "stations.csv").write_text(STATIONS.replace("1931-05-01", "1.5.1931"))
    with pytest.raises(AssertionError, match="1 failed, 1 passed"):
        shell(folder, "python -m pytest -q -p no:cacheprovider tests")


def test_a_project_is_found_from_every_folder_of_it_and_so_is_its_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "stations.csv").write_text(STATIONS)
    result = init("stations.csv")
    assert result.exit_code == 0, result.output
    assert "3 columns, key id; no question left open.\n" in result.stdout
    assert '        location="stations.csv",\n' in (folder / "shop/defs/sources/stations.py").read_text()
    monkeypatch.chdir(folder / "tests")
    found = CliRunner().invoke(main, ["sources", "--json"])
    assert [(fact["name"], fact["from"]) for fact in map(json.loads, found.stdout.splitlines())] == [
        ("stations", "stations.csv")
    ]
    assert "0 records of 3 would be rejected" in CliRunner().invoke(main, ["preview", "stations"]).stdout


def test_a_second_source_is_added_with_its_test(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "stations.csv").write_text(STATIONS)
    init("stations.csv")
    (folder / "tests" / "rates.csv").write_text("code,rate\nA,1.5\nB,2.5\n")
    monkeypatch.chdir(folder / "tests")
    result = CliRunner().invoke(main, ["new", "rates", "--from", "rates.csv"])
    assert result.exit_code == 0, result.output
    assert '        location="tests/rates.csv",\n' in (folder / "shop/defs/sources/rates.py").read_text()
    assert '["check", "rates"]' in (folder / "tests" / "test_rates.py").read_text()
    assert result.stdout.endswith("\nThen load it:\n    etl-assets run rates\n")
    again = CliRunner().invoke(main, ["new", "rates", "--from", "rates.csv"])
    assert again.exit_code == WRONG_SETTINGS
    assert "test_rates.py exist. Nothing was written." in again.stderr


def test_another_folder_may_be_named_and_the_file_stays_where_it_is(folder: Path) -> None:
    (folder / "stations.csv").write_text(STATIONS)
    result = init("stations.csv", "my-feeds", "--name", "places")
    assert hints(result.stdout)[0] == "cd my-feeds"
    text = (folder / "my-feeds/my_feeds/defs/sources/places.py").read_text()
    assert f'        location="{folder}/stations.csv",\n' in text
    project = of_folder(folder / "my-feeds" / "tests")
    assert project is not None
    assert project.variables["ETL_ASSETS_SOURCES"] == str(folder / "my-feeds/my_feeds/defs/sources")


@pytest.mark.parametrize("taken", ["pyproject.toml", ".gitignore", "tests/test_stations.py"])
def test_nothing_is_overwritten_and_then_nothing_is_written(folder: Path, taken: str) -> None:
    (folder / "stations.csv").write_text(STATIONS)
    (folder / taken).parent.mkdir(exist_ok=True)
    (folder / taken).write_text("mine")
    result = init("stations.csv")
    assert result.exit_code == WRONG_SETTINGS
    assert f"{taken} exists. Nothing was written." in result.stderr
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert (left, (folder / taken).read_text()) == ({"stations.csv", taken}, "mine")


def test_of_a_file_that_is_not_recognised_no_project_is_made(folder: Path) -> None:
    (folder / "noise.bin").write_bytes(bytes(range(256)) * 10)
    result = init("noise.bin")
    assert result.exit_code == 1
    assert "The format of noise.bin is not recognised. Nothing was inferred." in result.stderr
    assert [path.name for path in folder.iterdir()] == ["noise.bin"]


def test_the_host_of_a_private_network_is_declared_as_one(folder: Path) -> None:
    with feed("api", folder) as (location, _):
        result = init(location)
    assert result.exit_code == 0, result.output
    assert "        access=Http(private=True),\n" in (folder / "shop/defs/sources/orders.py").read_text()


@pytest.mark.parametrize(
    ("folder_name", "package"),
    [("my-feeds", "my_feeds"), ("json", "json_feeds"), ("polars", "polars_feeds"), ("2024", "feeds"), ("x y", "x_y")],
)
def test_the_package_has_the_name_of_the_folder_unless_a_module_has_it(folder_name: str, package: str) -> None:
    assert package_name(Path("/srv") / folder_name) == package
