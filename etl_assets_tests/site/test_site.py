"""The site is built without a warning, has every page that the code asks for, and requests nothing of other hosts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

import etl_assets
from etl_assets.cli import main
from etl_assets.schema.rules import KINDS
from etl_assets_tests.documented import ROOT
from etl_assets_tests.site import alert_rules, arguments, pages, rules, vocabulary

if TYPE_CHECKING:
    from pathlib import Path

_FETCHED: Final = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href", "object": "data"}
"""The attribute of each element whose address a browser fetches."""


class _Page(HTMLParser):
    """What a page of the site fetches, links to, and can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.anchors.add(given["id"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in _FETCHED and _FETCHED[tag] in given:
            self.fetched.append(given[_FETCHED[tag]])


def build(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Build the site into a folder."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder), *options],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    done = build(folder)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.fixture(scope="module")
def read(site: Path) -> dict[Path, _Page]:
    """Every page of the built site."""
    return {path: _Page(path.read_text("utf-8")) for path in site.rglob("*.html")}


def test_no_page_fetches_anything_from_another_host(read: dict[Path, _Page], site: Path) -> None:
    fetched = {address for page in read.values() for address in page.fetched}
    assert fetched
    assert {address for address in fetched if urlsplit(address).netloc} == set()
    sheets = [path.read_text("utf-8") for path in site.rglob("*.css")]
    assert [address for sheet in sheets for address in re.findall(r"url\(['\"]?(https?:[^)]*)|@import", sheet)] == []


def test_no_page_has_what_the_script_of_the_theme_would_ask_other_hosts_for(site: Path) -> None:
    """Skip nothing: the number of stars of a repository, and the library for diagrams."""
    for path in site.rglob("*.html"):
        text = path.read_text("utf-8")
        assert 'data-md-component="source"' not in text
        assert "mermaid" not in text


def test_every_link_of_the_built_site_leads_somewhere(read: dict[Path, _Page], site: Path) -> None:
    dead = []
    for path, page in read.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or path.name == "404.html":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(parts.fragment)
            if not target.exists() or (anchor and target in read and anchor not in read[target].anchors):
                dead.append((str(path.relative_to(site)), link))
    assert dead == []


def test_each_rule_format_command_alert_rule_and_decision_has_a_page(site: Path) -> None:
    expected = {f"reference/rules/{kind}" for kind in KINDS}
    expected |= {f"reference/formats/{name.lower()}" for name in vocabulary.formats_of_files()}
    expected |= {f"reference/commands/{name}" for name in main.commands or _names_of_commands()}
    expected |= {f"alert-rules/{kind}" for kind in alert_rules.kinds()}
    expected |= {f"adr/{path.stem}" for path in (ROOT / "docs" / "adr").glob("0*.md")}
    assert {page for page in expected if not (site / page / "index.html").exists()} == set()


def _names_of_commands() -> list[str]:
    import click

    return main.list_commands(click.Context(main))


def test_each_name_of_the_vocabulary_is_documented(read: dict[Path, _Page]) -> None:
    anchors = {anchor for page in read.values() for anchor in page.anchors}
    formats = {name.lower() for name in vocabulary.formats_of_files()}
    missing = [
        name
        for name in etl_assets.__all__
        if f"etl_assets.{vocabulary.module_of(name)}.{name}" not in anchors and name.lower() not in formats
    ]
    assert missing == []


def test_each_argument_of_a_format_or_an_alert_rule_is_described() -> None:
    declared = [getattr(etl_assets, name) for name in vocabulary.formats_of_files()]
    undescribed = {
        each.__name__: names
        for each in (*declared, *alert_rules.kinds().values())
        if (names := [name for name in arguments.undescribed(each) if not name.startswith("_")])
    }
    assert undescribed == {}


def test_each_setting_of_the_code_is_on_the_page_of_the_settings() -> None:
    code = (ROOT / "etl_assets" / "settings.py").read_text("utf-8")
    read_by_code = set(re.findall(r'"(ETL_ASSETS_[A-Z_]*[A-Z])"', code))
    assert read_by_code
    assert {name for name in read_by_code if name not in pages.generated()["reference/settings.md"]} == set()


def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    config = tmp_path / "mkdocs.yml"
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Start\n\n[gone](gone.md)\n\n[nor this](#nowhere)\n", "utf-8")
    validation = (ROOT / "mkdocs.yml").read_text("utf-8").split("\nvalidation:\n", 1)[1].split("\n\n", 1)[0]
    config.write_text(f"site_name: one\nstrict: true\nvalidation:\n{validation}\n", "utf-8")
    done = build(tmp_path / "site", "--config-file", str(config))
    assert done.returncode == 1
    assert "gone.md" in done.stderr
    assert "nowhere" in done.stderr


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "type"])
def test_the_sql_of_a_rule_finds_the_stored_values_that_break_it(kind: str, database_url: str) -> None:
    suite = rules.suites_by_kind()[kind]
    text = pages.generated()[f"reference/rules/{kind}.md"]
    (query,) = re.findall(r"^```sql\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA core")
        connection.execute("CREATE TABLE core.rule_parents (code text)")
        for code in suite.parents:
            connection.execute("INSERT INTO core.rule_parents VALUES (%s)", [code])
        suite().store_unvalidated(database_url, "core.example")
        found = {row[0] for row in connection.execute(query.encode()).fetchall()}
    expected = range(len(suite.kept) + 1, len(suite.kept) + len(suite.broken) + 1)
    assert found == (set(suite.broken) if kind == "unique" else set(expected))
