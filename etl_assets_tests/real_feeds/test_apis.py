"""Recorded answers of GitHub and Crossref, served with failures; and a live API over a database of others."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from etl_assets import Column, Cursor, FileExtractor, Http, Json, LinkHeader, NextUrl, RestExtractor, SqlDump
from etl_assets.schema import Schema
from etl_assets_tests.apis import Api, Reply
from etl_assets_tests.ingest.world import World
from etl_assets_tests.ports import free_port
from etl_assets_tests.real_feeds.taking import FEEDS, with_real_feeds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets import Answer, Extractor, Request
    from etl_assets_tests.apis import Asked

pytestmark = with_real_feeds
RECORDED = FEEDS / "rest_recorded"
CHINOOK = FEEDS / "chinook"
NEARBY = Http(private=True, wait=0.01)
ID_AND_NAME = Schema(columns=(Column("id", "integer", required=True), Column("login", "text")), key=("id",))


class Recorded:
    """Answers as a recorded server did, in the order in which it did; now and then it cannot.

    Args:
        file: The recorded answers.
        failing: Every so many requests fail once; 0 for none.
    """

    def __init__(self, file: Path, failing: int = 0) -> None:
        self._answers: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
        for line in file.read_text("utf-8").splitlines():
            recorded = json.loads(line)
            parts = urlsplit(recorded["url"])
            self._host = f"{parts.scheme}://{parts.netloc}"
            self._answers[parts.path, tuple(sorted(parse_qsl(parts.query, keep_blank_values=True)))].append(recorded)
        self._failing = failing
        self._asked = self.failed = 0
        self.here = ""

    def __call__(self, asked: Asked) -> Reply:
        self._asked += 1
        if self._failing and self._asked % self._failing == 0:
            self.failed += 1
            failures = (
                Reply(status=429, headers={"Retry-After": "0"}),
                Reply(status=500),
                Reply([1, 2, 3], broken="cut"),
            )
            return failures[self.failed % len(failures)]
        answers = self._answers[asked.path, tuple(sorted(asked.params.items()))]
        if not answers:
            return Reply({"message": "Not Found"}, status=404)
        recorded = answers.pop(0) if len(answers) > 1 else answers[0]
        kept = ("content-type", "link", "etag")
        headers = {name: self._local(value) for name, value in recorded["headers"].items() if name in kept}
        return Reply(self._local(recorded["body"]).encode(), recorded["status"], headers)

    def _local(self, text: str) -> str:
        return text.replace(f"{self._host}/", f"{self.here}/").replace(f"{self._host}:443/", f"{self.here}/")


@contextmanager
def recorded(name: str, failing: int = 0) -> Iterator[tuple[Api, Recorded]]:
    server = Recorded(RECORDED / name, failing)
    with Api(server) as api:
        server.here = api.url("")
        yield api, server


def loaded(url: str, folder: Path, name: str, extractor: Extractor, schema: Schema) -> World:
    """Load what an extractor has into a table."""
    folder.mkdir(exist_ok=True)
    world = World(url, folder, name=name, schema=schema, extractor=extractor)
    world.load(world.land().delivery)
    assert world.violations() == []
    return world


@pytest.mark.parametrize("failing", [0, 2, 3])
@pytest.mark.parametrize(
    ("file", "path", "count"),
    [
        ("github_GitHub_repositories_by.jsonl", "/users/dstufft/repos", 203),
        ("github_Repository_contributors.jsonl", "/repos/sigmavirus24/github3.py/contributors", 102),
    ],
)
def test_every_item_of_github_is_a_row_once_with_failures_and_without(
    file: str, path: str, count: int, failing: int, migrated_url: str, tmp_path: Path
) -> None:
    with recorded(file, failing) as (api, server):
        extractor = RestExtractor(
            Json(), api.url(path), params={"per_page": "100"}, pagination=LinkHeader(), access=NEARBY
        )
        world = loaded(migrated_url, tmp_path, "github", extractor, ID_AND_NAME)
    assert bool(server.failed) == bool(failing)
    expected = {
        item["id"]: item.get("login")
        for line in (RECORDED / file).read_text("utf-8").splitlines()
        if urlsplit(json.loads(line)["url"]).query.startswith(("per_page=100",))
        for item in json.loads(json.loads(line)["body"])
    }
    assert len(expected) == count
    assert world.rows() == sorted(expected.items())


@dataclass(frozen=True)
class FirstSixty(Cursor):
    """The cursor of Crossref, for as many records as were recorded."""

    def following(self, answer: Answer) -> Request | None:
        return super().following(answer) if answer.so_far < 60 else None


@pytest.mark.parametrize("failing", [0, 2])
def test_every_item_of_crossref_is_a_row_once_although_its_cursor_repeats(
    failing: int, migrated_url: str, tmp_path: Path
) -> None:
    schema = Schema(
        columns=(Column("doi", "text", required=True, published_as="DOI"), Column("type", "text")),
        key=("doi",),
    )
    with recorded("crossref_test_cursor_max.jsonl", failing) as (api, _):
        extractor = RestExtractor(
            Json("$.message.items"),
            api.url("/works"),
            params={"query": "widget"},
            pagination=FirstSixty("$.message.next-cursor", start="*"),
            access=NEARBY,
        )
        world = loaded(migrated_url, tmp_path, "works", extractor, schema)
    lines = (RECORDED / "crossref_test_cursor_max.jsonl").read_text("utf-8").splitlines()[:3]
    items = [item for line in lines for item in json.loads(json.loads(line)["body"])["message"]["items"]]
    assert len({item["DOI"] for item in items}) == 60
    assert world.rows() == sorted((item["DOI"], item["type"]) for item in items)


@contextmanager
def datasette(database: Path) -> Iterator[str]:
    """Serve a database by datasette."""
    port = free_port()
    program = str(Path(sys.executable).with_name("datasette"))
    command = [program, "serve", "--immutable", str(database), "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(200):
            try:
                urllib.request.urlopen(f"{url}/-/versions.json", timeout=5).close()  # noqa: S310 -- http
                break
            except OSError:
                time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait()


TRACKS = Schema(
    columns=(
        Column("track_id", "integer", required=True, published_as=("track_id", "TrackId")),
        Column("name", "text", published_as=("name", "Name")),
        Column("album_id", "integer", published_as=("album_id", "AlbumId")),
        Column("media_type_id", "integer", published_as=("media_type_id", "MediaTypeId")),
        Column("genre_id", "integer", published_as=("genre_id", "GenreId")),
        Column("composer", "text", published_as=("composer", "Composer")),
        Column("milliseconds", "integer", published_as=("milliseconds", "Milliseconds")),
        Column("bytes", "integer", published_as=("bytes", "Bytes")),
        Column("unit_price", "decimal", scale=2, published_as=("unit_price", "UnitPrice")),
    ),
    key=("track_id",),
)


def test_a_live_paged_api_gives_the_same_table_as_the_dump_of_its_database(migrated_url: str, tmp_path: Path) -> None:
    with datasette(CHINOOK / "Chinook_Sqlite.sqlite") as url:
        api = RestExtractor(
            Json("$.rows"),
            f"{url}/Chinook_Sqlite/Track.json",
            params={"_shape": "objects", "_size": "100"},
            pagination=NextUrl("$.next_url", total="$.filtered_table_rows_count"),
            access=NEARBY,
        )
        of_api = loaded(migrated_url, tmp_path, "tracks", api, TRACKS)
    pages = of_api.query("SELECT (manifest -> 'statistics' ->> 'pages')::float8 FROM etl.delivery")
    assert pages == [(36.0,)]
    dump = FileExtractor(SqlDump("track", "postgres"), str(CHINOOK / "Chinook_PostgreSql.sql"), settle_seconds=0)
    of_dump = loaded(migrated_url, tmp_path, "tracks_of_dump", dump, TRACKS)
    assert len(of_api.rows()) == 3_503
    assert of_api.rows() == of_dump.rows()
