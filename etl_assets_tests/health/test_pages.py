"""The pages of the health of tables: what they show, what they link to, and what they never contain."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from etl_assets import After, watch
from etl_assets.catalog import Catalog
from etl_assets.health import pictures
from etl_assets.health.pages import Places, write
from etl_assets.health.survey import survey
from etl_assets.postgres.connection import connected
from etl_assets.postgres.health.histories import PastDelivery
from etl_assets.source_files import BrokenFile
from etl_assets_tests.ingest.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets import Source

_AT = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def world(migrated_url: str, tmp_path: Path) -> World:
    return World(migrated_url, tmp_path)


def pages(world: World, *sources: Source, broken: BrokenFile | None = None) -> dict[str, str]:
    """Write pages, and return the text of each by its name."""
    known = Catalog({source.name: source for source in sources}, {}, {broken.name: broken} if broken else {})
    places = Places(world.folder / "status", world.folder / "data_docs", "http://127.0.0.1:3000")
    with connected(world.url) as connection:
        index = write(connection, known, survey(connection, known), places)
    assert index == world.folder / "status" / "index.html"
    return {path.stem: path.read_text() for path in (world.folder / "status").rglob("*.html")}


def load(world: World, *lines: str) -> None:
    """Load a delivery, and merge its profiles."""
    world.publish(*lines)
    delivery = world.land().delivery
    world.load(delivery)
    with connected(world.url) as connection:
        watch.conclude(connection, world.source, delivery)


def test_a_page_shows_deliveries_columns_and_what_waits(world: World) -> None:
    for number in range(6):
        load(world, f"a,{number},", "b,2,", "c,x,")
    written = pages(world, world.source)
    page = written["goods"]
    assert page.count('class="some-rejected"') == 6
    assert "nine of ten deliveries have 3 to 3" in page
    assert "Share of nulls of note" in page
    assert re.search(r"<td>amount__type</td><td>open</td><td class=\"right\">1</td>", page)
    assert "etl-assets quarantine list --source goods" in page
    assert "http://127.0.0.1:3000/assets/core/goods?view=lineage" in page
    assert 'href="tables/goods.html"' in written["index"]
    assert "33.33%" in written["index"]


def test_the_id_and_the_severity_of_an_alert_are_not_broken_into_lines(world: World) -> None:
    load(world, "a,1,")
    world.publish("a,1,,", header="code,amount,note,added")
    world.land()
    page = pages(world, world.source)["goods"]
    assert re.search(r"<td class=\"whole\">1</td><td class=\"whole\">warning</td>", page)
    assert "td.whole { white-space: nowrap;" in page


def test_no_share_is_shown_of_a_delivery_that_was_refused(world: World) -> None:
    load(world, "a,1,", "b,2,")
    with connected(world.url) as connection:
        connection.execute("UPDATE etl.delivery SET status = 'refused'")
    written = pages(world, world.source)
    assert "<dt>Last rejected</dt><dd>refused</dd>" in written["index"]
    assert "<dt>Rejected of the newest delivery</dt><dd>refused</dd>" in written["goods"]


def test_a_page_has_the_stories_of_the_newest_deliveries_and_how_to_explain_a_row(world: World) -> None:
    for number in range(7):
        load(world, f"secret,{number},", "b,x,")
    page = pages(world, world.source)["goods"]
    assert re.findall(r"<summary>Delivery (\d+)", page) == ["7", "6", "5", "4", "3"]
    assert "2 read = 1 accepted + 1 rejected + 0 filtered" in page
    assert "<th>Rejected</th><td>amount__type: 1</td>" in page
    assert "<code>etl-assets explain core.goods code=…</code>" in page
    assert "<code>etl-assets explain delivery 7</code>" in page
    assert "secret" not in page


def test_a_page_loads_nothing_from_elsewhere(world: World) -> None:
    world.take("a,1,")
    for page in pages(world, world.source).values():
        assert not re.search(r"@import|url\(", page)
        assert "default-src 'none'" in page
        assert not re.search(r"<(img|link|iframe|script [^>]*src)", page)


def test_texts_of_declarations_and_files_are_escaped(world: World) -> None:
    world.take("a,1,")
    source = replace(world.source, description="<script>alert(1)</script>\n\nMore of it.")
    broken = BrokenFile("wrong", "/x/<b>.py", "Line 1: <img src=x>.")
    written = pages(world, source, broken=broken)
    assert "&lt;script&gt;alert(1)" in written["goods"]
    assert "More of it" not in written["goods"]
    assert "&lt;img src=x&gt;" in written["index"]
    assert "&lt;b&gt;" in written["wrong"]


def test_values_of_records_are_not_on_a_page(world: World) -> None:
    load(world, "abracadabra,1234567,hocuspocus", "b,hocuspocus,")
    text = "".join(pages(world, world.source).values())
    assert [value for value in ("abracadabra", "1234567", "hocuspocus") if value in text] == []


def test_a_table_that_was_audited_links_to_data_docs(world: World) -> None:
    world.take("a,1,")
    assert "Data Docs" not in pages(world, world.source)["goods"]
    (world.folder / "data_docs" / "goods").mkdir(parents=True)
    for page in ("index.html", "goods/index.html"):
        (world.folder / "data_docs" / page).write_text("")
    written = pages(world, world.source)
    assert 'href="../../data_docs/goods/index.html"' in written["goods"]
    assert 'href="../data_docs/index.html"' in written["index"]


@pytest.mark.parametrize("mode", [None, 0o755])
def test_only_a_folder_that_was_there_is_readable_by_others(world: World, mode: int | None) -> None:
    folder = world.folder / "status"
    if mode is not None:
        folder.mkdir()
        folder.chmod(mode)
    pages(world, world.source)
    assert [path.stat().st_mode & 0o777 for path in (folder, folder / "tables")] == [mode or 0o700] * 2


def test_downstream_are_the_sources_that_refer_to_a_table_or_run_after_it(world: World) -> None:
    after = replace(world.source, name="after", trigger=After("core/goods"))
    known = Catalog({"goods": world.source, "after": after}, {}, {})
    assert known.downstream(world.source) == ["after"]
    assert known.downstream(after) == []


def delivery(records: int, rejected: int = 0, status: str = "complete") -> PastDelivery:
    return PastDelivery("", status, _AT + timedelta(days=records), records, rejected)


def test_the_newest_delivery_is_at_the_right_edge() -> None:
    drawn = pictures.strip([delivery(1), delivery(2), delivery(3, status="refused")])
    kinds = re.findall(r'class="(loaded|refused)" x="([\d.]+)"', drawn)
    assert [kind for kind, _ in kinds] == ["loaded", "loaded", "refused"]
    assert float(kinds[-1][1]) == pytest.approx(360, abs=0.1)


def test_the_band_needs_five_complete_deliveries() -> None:
    assert pictures.usual([delivery(1)] * 4 + [delivery(9, status="refused")]) is None
    assert pictures.usual([delivery(100 + number) for number in range(21)]) == (101, 119)


def test_a_course_shows_no_numbers() -> None:
    drawn = pictures.course("Mean of amount", [1234.5, None, 1300.25])
    assert "1234" not in drawn
    assert drawn.count("<polyline") == 1
    assert pictures.course("Mean of note", [None, None]) == ""
