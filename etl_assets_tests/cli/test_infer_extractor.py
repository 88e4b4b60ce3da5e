"""``etl-assets infer EXTRACTOR.py`` and ``new``: a source for what a declared extractor fetches; and its preview."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from etl_assets import catalog
from etl_assets.cli import WRONG_SETTINGS, main
from etl_assets.extract.database.extractor import PREVIEW_ROWS
from etl_assets_tests.apis import Api, Reply, numbered, page_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

    from etl_assets_tests.apis import Asked

API = """
from etl_assets import Http, Json, PageNumber, RestExtractor{names}

EXTRACTOR = RestExtractor(
    url="{url}", format=Json("$.items"), pagination=PageNumber(), access=Http(private=True), params={params}
)
"""


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """An API of fifty records on ten pages."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ETL_ASSETS_HOME", str(tmp_path / "home"))
    (tmp_path / "feeds").mkdir()
    monkeypatch.setenv("ETL_ASSETS_SOURCES", "feeds")

    def answer(asked: Asked) -> Reply:
        return Reply({"items": page_of(numbered(50), asked, 5)})

    with Api(answer) as api:
        yield api


def write(folder: Path, api: Api, more: str = "", names: str = "", params: str = "{}") -> None:
    (folder / "feeds").mkdir(exist_ok=True)
    text = API.format(url=api.url(), names=names, params=params) + more
    (folder / "feeds" / "shop_api.py").write_text(text)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_a_source_is_written_that_imports_the_extractor_and_accepts_what_it_fetched(tmp_path: Path, api: Api) -> None:
    write(tmp_path, api)
    result = run("new", "items", "--from", "feeds/shop_api.py")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "feeds" / "items.py").read_text()
    assert "from .shop_api import EXTRACTOR\n" in text
    assert "from the first 15 records of items" in text
    assert "    extractor=EXTRACTOR,\n" in text
    assert "0 records of 15 would be rejected" in result.stdout
    assert catalog.load_file(tmp_path / "feeds" / "items.py").schema.key == ("id",)


def test_what_has_changed_is_added_if_no_columns_identify_a_record(tmp_path: Path, api: Api) -> None:
    incremental = 'incremental=Incremental("day", timedelta(days=1), type="date")'
    text = API.format(url=api.url(), names=", Incremental", params='{"since": "{since:%Y-%m-%d}"}, ' + incremental)
    (tmp_path / "feeds" / "shop_api.py").write_text("from datetime import timedelta\n" + text)
    records = [{"day": "2026-01-02"}, {"day": "2026-01-02"}]
    api.answer = lambda asked: Reply({"items": page_of(records, asked, 5)})
    result = run("infer", "feeds/shop_api.py")
    assert "Without a key every record that is fetched is added, also one that was fetched before." in result.stdout
    assert "    write=Append(),\n" in result.stdout


def test_a_preview_asks_for_the_first_pages_alone_and_shows_that(tmp_path: Path, api: Api) -> None:
    write(tmp_path, api)
    run("new", "items", "--from", "feeds/shop_api.py")
    api.asked.clear()
    shown = run("preview", "feeds/items.py")
    assert "Only the first records were fetched; a run fetches all of them." in shown.stdout
    assert [asked.params["page"] for asked in api.asked] == ["1", "2", "3"]
    facts = json.loads(run("preview", "feeds/items.py", "--json").stdout)
    assert (facts["partial"], facts["read"], facts["notes"]) == (True, 15, [])


@pytest.mark.parametrize(("rows", "is_cut"), [(5, False), (PREVIEW_ROWS + 1, True)])
def test_a_preview_of_a_table_is_partial_if_the_table_has_more_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, *, is_cut: bool
) -> None:
    monkeypatch.setenv("ETL_ASSETS_HOME", str(tmp_path / "home"))
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as shop, shop:
        shop.execute("CREATE TABLE items (id INTEGER PRIMARY KEY)")
        shop.executemany("INSERT INTO items VALUES (?)", ((number,) for number in range(rows)))
    extractor = (
        "from etl_assets import DatabaseExtractor\n\n"
        f"EXTRACTOR = DatabaseExtractor('sqlite:///{path}', table='items', order_by=('id',))\n"
    )
    (tmp_path / "shop_api.py").write_text(extractor)
    monkeypatch.setenv("ETL_ASSETS_SOURCES", str(tmp_path))
    assert run("new", "items", "--from", str(tmp_path / "shop_api.py")).exit_code == 0
    words = f"the first {PREVIEW_ROWS:,} records" if is_cut else f"all {rows} records"
    assert f"from {words} of" in (tmp_path / "items.py").read_text()
    facts = json.loads(run("preview", str(tmp_path / "items.py"), "--json").stdout)
    assert (facts["partial"], facts["read"]) == (is_cut, min(rows, PREVIEW_ROWS))


def test_the_newest_partition_is_asked_for_if_there_are_partitions(tmp_path: Path, api: Api) -> None:
    names = ", Static"
    write(tmp_path, api, 'PARTITIONS = Static(("north", "south"))\n', names, '{"region": "{key}"}')
    result = run("new", "items", "--from", "feeds/shop_api.py")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "feeds" / "items.py").read_text()
    assert "from .shop_api import EXTRACTOR, PARTITIONS\n" in text
    assert "    partitions=PARTITIONS,\n" in text
    assert api.asked[0].params["region"] == "south"


@pytest.mark.parametrize(
    ("arguments", "more", "problem"),
    [
        (["feeds/none.py"], "", "There is no file feeds/none.py"),
        (["feeds/shop_api.py", "--part", "x"], "", "are for files; declare them in the extractor"),
        (["feeds/shop_api.py"], "EXTRACTOR = 1\n", "EXTRACTOR is no extractor"),
        (["feeds/shop_api.py"], "PARTITIONS = 1\n", "PARTITIONS are no partitions"),
        (["feeds/shop_api.py"], "1 / 0\n", "ZeroDivisionError"),
        (["feeds/shop_api.py"], "from dataclasses import replace\nEXTRACTOR = replace(EXTRACTOR, url='x')\n", "url"),
    ],
)
def test_what_cannot_be_inferred_from_is_an_error_with_a_remedy(
    tmp_path: Path, api: Api, arguments: list[str], more: str, problem: str
) -> None:
    write(tmp_path, api, more)
    result = run("infer", *arguments)
    assert result.exit_code != 0
    assert problem in result.stderr
    assert not (tmp_path / "items.py").exists()


def test_a_source_of_an_extractor_is_written_beside_it_or_not_at_all(tmp_path: Path, api: Api) -> None:
    write(tmp_path, api)
    (tmp_path / "shop_api.py").write_text((tmp_path / "feeds" / "shop_api.py").read_text())
    result = run("new", "items", "--from", "shop_api.py")
    assert result.exit_code == WRONG_SETTINGS
    assert "There is no folder of sources that shop_api.py is in. Nothing was written." in result.stderr
    assert not list(tmp_path.rglob("items.py"))


def test_a_document_that_names_a_next_page_is_a_question(tmp_path: Path, api: Api) -> None:
    del api
    (tmp_path / "page.json").write_text(json.dumps({"items": numbered(3), "next": "/items?page=2"}))
    result = run("infer", "page.json")
    assert "names a next page at $.next, so that these may not be all records" in " ".join(
        result.stdout.replace("#", "").split()
    )
