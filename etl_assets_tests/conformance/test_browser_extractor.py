"""The documented extractor that drives a browser, against a portal of this test."""

from __future__ import annotations

import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from etl_assets import Csv, Partition, Secret
from etl_assets.errors import DeliveryMissingError, DeliveryUnreachableError
from etl_assets_tests.documented import example

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DOCUMENT = "docs/browser.md"
REPORT: Any = example(DOCUMENT, "class BrowserReport")
SUITE: Any = example(DOCUMENT, "class TestBrowserReport")

pytestmark = pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no Chromium")

PAGES = {
    "/login": "<form method=post><label>User <input name=user></label><label>Password <input name=password "
    "type=password></label><button>Log in</button></form>",
    "/reports": "<form action=/report><label>Month <input name=month></label><button>Download</button></form>",
}


class Portal(BaseHTTPRequestHandler):
    """Serves a form for the login, a form for the report, and one report to those who are logged in."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path != "/login" and "session=open" not in self.headers.get("Cookie", ""):
            self.answer(b"", {"Location": "/login"}, 303)
        elif url.path in PAGES:
            self.answer(PAGES[url.path].encode())
        elif parse_qs(url.query).get("month") == ["2024-01"]:
            disposition = 'attachment; filename="report-2024-01.csv"'
            self.answer(b"id,amount\n1,5\n2,7\n", {"Content-Type": "text/csv", "Content-Disposition": disposition})
        else:
            self.answer(b"There is no report.")

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.asked.append(form["user"][0])
        if form["password"] == ["sesame-open"]:
            self.answer(b"", {"Location": "/reports", "Set-Cookie": "session=open"}, 303)
        else:
            self.answer(b"The password is wrong.")

    def answer(self, body: bytes, headers: Mapping[str, str] = MappingProxyType({}), status: int = 200) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "text/html", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def portal() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Portal) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTAL_LOGIN", "sesame-open")


@pytest.mark.slow
class TestDocumentedBrowserExtractor(SUITE.TestBrowserReport):  # type: ignore[misc]
    """The suite as the document declares it."""


def extractor(portal: str, seconds: float = 5) -> Any:
    return REPORT.BrowserReport(Csv(), portal=portal, user="ada", login=Secret("PORTAL_LOGIN"), seconds=seconds)


def test_a_wrong_password_is_an_error_that_does_not_contain_it(portal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTAL_LOGIN", "a-wrong-password")
    with pytest.raises(DeliveryMissingError) as raised, extractor(portal, 1).fetch(Partition("2024-01-01")):
        pass
    assert "a-wrong-password" not in str(raised.value)


def test_a_portal_that_is_away_is_an_error_of_the_network() -> None:
    with pytest.raises(DeliveryUnreachableError), extractor("http://127.0.0.1:9").fetch(Partition("2024-01-01")):
        pass
