"""The pages beside the Dagster UI, behind the guard."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from etl_assets.cli.guard import Guard
from etl_assets.cli.served_pages import FRESH_SECONDS, ServedPages
from etl_assets_tests.cli.desk import prepare_published

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets_tests.cli.conftest import Prepared


def client(home: Path) -> TestClient:
    app = Guard(ServedPages(PlainTextResponse("the UI"), home, "http://127.0.0.1:3217"))
    return TestClient(app, base_url="http://127.0.0.1:3000", follow_redirects=True)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("status/tables", "data_docs"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "status" / "index.html").write_text("every table")
    (tmp_path / "status" / "tables" / "goods.html").write_text("goods")
    (tmp_path / "data_docs" / "index.html").write_text("audits")
    (tmp_path / "secret.txt").write_text("secret")
    return tmp_path


def test_pages_are_served_beside_the_ui(home: Path) -> None:
    browser = client(home)
    texts = [browser.get(path).text for path in ("/status", "/status/tables/goods.html", "/data_docs/", "/assets")]
    assert texts == ["every table", "goods", "audits", "the UI"]


@pytest.mark.parametrize("path", ["/status/../secret.txt", "/status/%2e%2e/secret.txt", "/status//secret.txt"])
def test_nothing_beside_the_pages_is_served(home: Path, path: str) -> None:
    assert "secret" not in client(home).get(path).text


def test_a_page_under_another_host_is_refused(home: Path) -> None:
    answer = client(home).get("/status/", headers={"host": "evil.example"})
    assert (answer.status_code, "every table" in answer.text) == (403, False)


def test_where_nothing_was_written_the_answer_says_what_to_run(tmp_path: Path) -> None:
    answer = client(tmp_path).get("/data_docs/")
    assert (answer.status_code, "Run etl-assets" in answer.text) == (404, True)


@pytest.mark.slow
def test_pages_that_are_old_are_written_again(prepared: Prepared) -> None:
    desk = prepared(prepare_published)
    home = desk.folder / "home"
    page = home / "status" / "index.html"
    page.parent.mkdir()
    page.write_text("old")
    assert client(home).get("/status/").text == "old"
    long_ago = time.time() - FRESH_SECONDS - 1
    os.utime(page, (long_ago, long_ago))
    written = client(home).get("/status/").text
    assert "readings" in written
    assert 'href="http://127.0.0.1:3217"' in written
