"""Runs commands in a prepared environment, returns their output, and queries the database."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from click.testing import CliRunner

from etl_assets.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

STATIONS = """
from etl_assets import Column, Csv, FileExtractor, Schema, Source

SOURCE = Source(
    name="stations",
    description="Where it is measured.",
    owner="team:tests",
    extractor=FileExtractor(location={folder!r} + "/stations.csv", format=Csv(), settle_seconds=0.0),
    schema=Schema((Column("code", "text", required=True),), ("code",)),
)
"""
READINGS = """
from etl_assets import Column, Csv, FileExtractor, Schema, Source, Static

SOURCE = Source(
    name="readings",
    description="What is measured.",
    owner="team:tests",
    extractor=FileExtractor(location={folder!r} + "/{{key}}.csv", format=Csv(), settle_seconds=0.0),
    schema=Schema(
        columns=(
            Column("station", "text", required=True, references="core.stations.code"),
            Column("day", "integer", required=True),
            Column("celsius", "float", published_as="temp"),
            Column("keeper", "text", sensitive=True),
        ),
        key=("station", "day"),
    ),
    partitions=Static(("2013-01-01", "2013-01-02", "2013-02-01")),
    max_rejected=0.5,
)
"""
PARCELS = """
from etl_assets import Column, Csv, FileExtractor, Files, Schema, Source

SOURCE = Source(
    name="parcels",
    description="A file now and then.",
    owner="team:tests",
    extractor=FileExtractor(location={folder!r} + "/parcels/*.csv", format=Csv(), settle_seconds=0.0),
    schema=Schema((Column("id", "integer", required=True),), ("id",)),
    partitions=Files(),
)
"""


@dataclass
class Desk:
    """The environment in which a test runs commands.

    Attributes:
        url: URL of the warehouse.
        folder: Folder of the feeds, their declarations and the home.
    """

    url: str
    folder: Path

    def __post_init__(self) -> None:
        for name in ("feeds", "declared"):
            (self.folder / name).mkdir(exist_ok=True)
        for name, text in (("stations", STATIONS), ("readings", READINGS), ("parcels", PARCELS)):
            (self.folder / "declared" / f"{name}.py").write_text(text.format(folder=str(self.folder / "feeds")))

    @property
    def environment(self) -> dict[str, str]:
        return {
            "ETL_ASSETS_HOME": str(self.folder / "home"),
            "ETL_ASSETS_DATABASE_URL": self.url,
            "ETL_ASSETS_SOURCES": str(self.folder / "declared"),
        }

    def declare(self, name: str, text: str) -> None:
        """Write the file of a source; the next command reads it, as if it was another process."""
        path = self.folder / "declared" / f"{name}.py"
        path.write_text(text)
        for module in [key for key, each in sys.modules.items() if getattr(each, "__file__", None) == str(path)]:
            del sys.modules[module]
        sys.modules.pop("etl_assets.definitions", None)

    def publish(self, name: str, text: str) -> None:
        path = self.folder / "feeds" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def publish_readings(self) -> None:
        """Publish two stations, and readings: one is no number, one has an unknown station, the others are valid."""
        self.publish("stations.csv", "code\nA\nB\n")
        self.publish("2013-01-01.csv", "station,day,temp,keeper\nA,1,2.5,Ann\nB,1,warm,=Bo\nZ,1,3,Cy\nA,2,1,Di\n")
        self.publish("2013-01-02.csv", "station,day,temp,keeper\nA,3,2.5,Ann\n")
        self.publish("2013-02-01.csv", "station,day,temp,keeper\nB,4,2.5,Ann\n")

    def type(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, list(arguments))

    def succeed(self, *arguments: str) -> str:
        result = self.type(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    def lines(self, *arguments: str, exit_code: int = 0) -> list[dict[str, Any]]:
        result = self.type(*arguments)
        assert result.exit_code == exit_code, result.output
        return [json.loads(line) for line in result.stdout.splitlines()]

    def query(self, question: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(question.encode()).fetchall()

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())


def prepare_published(desk: Desk) -> None:
    """Publish everything, and load nothing."""
    desk.publish_readings()
    desk.succeed("migrate")


def prepare_january(desk: Desk) -> None:
    """Load the stations, and the first day of the readings."""
    _prepare_loaded(desk, "2013-01-01")


def prepare_february(desk: Desk) -> None:
    """Load the stations, and the readings of February."""
    _prepare_loaded(desk, "2013-02")


def _prepare_loaded(desk: Desk, partition: str) -> None:
    prepare_published(desk)
    desk.succeed("run", "stations")
    desk.succeed("run", "readings", "--partition", partition)
