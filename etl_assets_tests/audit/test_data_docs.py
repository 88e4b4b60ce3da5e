"""Data Docs are pages that can be read without a network and show no contents of records."""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import Column, Schema
from etl_assets.audit.data_docs import KEPT, index_of, page_of, publish
from etl_assets.audit.examination import TableAudit
from etl_assets.audit.suite import compile_suite
from etl_assets.model.check_result import CheckResult

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2026, 3, 1, 4, 15, tzinfo=UTC)
SCHEMA = Schema(
    (
        Column("id", "integer", required=True, minimum=1),
        Column("code", "text", pattern=r"<b>|\w{3}|$id &amp;", references="core.parents.code"),
        Column("seen", "text", pattern=r"\bx"),
    ),
    key=("id",),
)


def examined(**changes: Any) -> TableAudit:
    """Return an examination in which every expectation is met, except the named ones."""
    suite = compile_suite(SCHEMA)
    results = tuple(
        replace(CheckResult(expectation.name, passed=True, records=7), **changes.get(expectation.name, {}))
        for expectation in suite.expectations
    )
    return TableAudit("people", "core.people", changes.get("at", AT), suite, results)


UNMET = {
    "code__pattern": {
        "passed": False,
        "failed_records": 2,
        "description": "2 of 7 rows do not meet it.",
        "keys": ({"id": 3}, {"id": "<i>4</i>"}),
    }
}


class Page(HTMLParser):
    """The text of a page, and everything that it would load."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.words: list[str] = []
        self.loads: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self._hidden = False
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._hidden = tag == "style"
        for name, value in attrs:
            if name == "src" or (tag == "link" and name == "href"):
                self.loads.append(value or "")
            elif name == "href":
                self.links.append(value or "")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def test_a_page_shows_the_expectations_and_those_not_met(tmp_path: Path) -> None:
    page = Page(publish(tmp_path, examined(**UNMET), "run-1"))
    assert "core.people" in page.text
    assert "not as declared" in page.text
    assert "2 of 7 rows do not meet it." in page.text
    assert "code exists in core.parents.code" in page.text
    assert r"Postgres has no equivalent of \bx" in page.text
    assert "run-1" in page.text


def test_other_accounts_cannot_enter_the_folder(tmp_path: Path) -> None:
    former = os.umask(0)
    try:
        index = publish(tmp_path / "home", examined(), "run").parents[1]
    finally:
        os.umask(former)
    assert stat.S_IMODE(index.stat().st_mode) == 0o700


def test_pages_load_nothing_and_run_nothing(tmp_path: Path) -> None:
    publish(tmp_path, examined(**UNMET), "run-1")
    for path in (index_of(tmp_path), page_of(tmp_path, "people")):
        page = Page(path)
        assert page.loads == []
        assert "script" not in page.tags
        assert "url(" not in path.read_text("utf-8")
        assert not [link for link in page.links if "//" in link]


def test_contents_of_declarations_and_keys_are_escaped(tmp_path: Path) -> None:
    page = Page(publish(tmp_path, examined(**UNMET), "run-1"))
    assert page.text.count(r"code matches <b>|\w{3}|$id &amp;") == 2
    assert "<i>4</i>" in page.text
    assert not {"b"} & page.tags


def test_every_link_leads_to_an_existing_page(tmp_path: Path) -> None:
    publish(tmp_path, examined(), "run-1")
    publish(tmp_path, examined(at=AT + timedelta(days=7)), "run-2")
    for path in (index_of(tmp_path), page_of(tmp_path, "people")):
        text = path.read_text("utf-8")
        for link in Page(path).links:
            if link.startswith("#"):
                assert f'id="{link[1:]}"' in text
            else:
                assert (path.parent / link).is_file()


def test_the_index_shows_the_newest_result_of_every_table(tmp_path: Path) -> None:
    publish(tmp_path, examined(**UNMET), "run-1")
    publish(tmp_path, replace(examined(), source="places"), "run-2")
    text = Page(index_of(tmp_path)).text
    assert re.search(r"people not as declared .* places as declared", text)


def test_only_the_last_audits_are_kept(tmp_path: Path) -> None:
    for week in range(KEPT + 3):
        publish(tmp_path, examined(at=AT + timedelta(weeks=week)), f"run-{week}")
    pages = sorted(path.name for path in page_of(tmp_path, "people").parent.iterdir())
    assert len([name for name in pages if name.endswith("Z.html")]) == KEPT
    assert len(pages) == 2 * KEPT + 1
    assert f"run-{KEPT + 2}" in Page(page_of(tmp_path, "people")).text
    oldest = json.loads((page_of(tmp_path, "people").parent / pages[1]).read_text())
    assert oldest["run_id"] == "run-3"


@pytest.mark.parametrize(
    "result", [{"description": "It cannot be evaluated."}, {"observed": "TEXT"}, {"failed_records": 3, "records": 0}]
)
def test_every_kind_of_result_has_a_page(tmp_path: Path, result: dict[str, Any]) -> None:
    changed = {expectation.name: {"passed": False, **result} for expectation in compile_suite(SCHEMA).expectations}
    page = Page(publish(tmp_path, examined(**changed), "run-1"))
    assert "0 of" in page.text
