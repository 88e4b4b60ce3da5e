"""Polling: the validators of a file, without fetching it."""

from __future__ import annotations

import os
import threading
import uuid
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import fsspec
import pytest

from etl_assets import Csv, FileExtractor, Partition
from etl_assets.errors import DeliveryError, DeliveryMissingError, DeliveryUnreachableError
from etl_assets.extract.access.http import Http
from etl_assets.extract.validators import from_listing, modification_time, same_state

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_WHOLE = Partition()
_MODIFIED = "Wed, 03 Jan 2024 06:00:00 GMT"


def _poll(location: str, partition: Partition = _WHOLE) -> Mapping[str, str] | None:
    access = Http(private=True) if location.startswith("http") else None
    return FileExtractor(location=location, format=Csv(), settle_seconds=0, access=access).poll(partition)


def _validators(location: str) -> Mapping[str, str]:
    with FileExtractor(location=location, format=Csv(), settle_seconds=0).fetch(_WHOLE) as fetched:
        return fetched.validators


def test_a_local_file_has_size_and_time_as_validators_and_a_fetch_returns_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a")
    first = _poll(str(path))
    assert first == _validators(str(path))
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1))
    assert _poll(str(path)) != first


def test_a_file_of_a_glob_is_polled_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a")
    assert _poll(str(tmp_path / "*.csv"), Partition("a.csv")) == _poll(str(tmp_path / "a.csv"))
    with pytest.raises(DeliveryMissingError):
        _poll(str(tmp_path / "*.csv"), Partition("b.csv"))


def test_a_poll_of_a_missing_file_raises(tmp_path: Path) -> None:
    with pytest.raises(DeliveryMissingError):
        _poll(str(tmp_path / "a.csv"))
    with pytest.raises(DeliveryMissingError):
        _poll(f"memory://{uuid.uuid4().hex}/a.csv")
    with pytest.raises(DeliveryError, match="no regular file"):
        _poll(str(tmp_path))


def test_the_validators_of_a_remote_file_come_from_its_file_system(tmp_path: Path) -> None:
    location = f"memory://{uuid.uuid4().hex}/a.csv"
    for content in (b"a", b"b"):
        with fsspec.open(location, "wb") as file:
            file.write(content)
        polled = _poll(location)
        assert polled == _validators(location)
        (tmp_path / content.decode()).write_text(str(polled))
    assert (tmp_path / "a").read_text() != (tmp_path / "b").read_text()


class _Publisher(BaseHTTPRequestHandler):
    """Answers with the status and headers in the ``answers`` of its server."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        status, headers = self.server.answers.get(self.command, (200, {}))  # type: ignore[attr-defined]  # by the fixture
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 -- its name in the base class
        """Log nothing."""


@pytest.fixture
def publisher() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Publisher) as server:
        server.answers = {}  # type: ignore[attr-defined]  # read by the handler
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def _address(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}/a.csv"


def _set_answer(server: ThreadingHTTPServer, status: int, method: str = "HEAD", **headers: str) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    server.answers[method] = (status, named)  # type: ignore[attr-defined]  # as above


def test_the_validators_of_a_web_address_come_from_its_head(publisher: ThreadingHTTPServer) -> None:
    _set_answer(publisher, 200, ETag='"1"', Last_Modified=_MODIFIED)
    assert _poll(_address(publisher)) == {"etag": '"1"', "modified": _MODIFIED, "size": "0"}


@pytest.mark.parametrize("status", [200, 400, 401, 403, 405, 500, 501])
def test_a_server_without_validators_or_without_head_gives_none(publisher: ThreadingHTTPServer, status: int) -> None:
    _set_answer(publisher, status)
    assert _poll(_address(publisher)) is None


def test_a_size_alone_is_no_validator(publisher: ThreadingHTTPServer) -> None:
    _set_answer(publisher, 200, Content_Length="12")
    assert _poll(_address(publisher)) is None


@pytest.mark.parametrize(("status", "error"), [(404, DeliveryMissingError), (503, DeliveryUnreachableError)])
def test_a_poll_of_an_address_that_is_gone_or_busy_raises(
    publisher: ThreadingHTTPServer, status: int, error: type[DeliveryError]
) -> None:
    _set_answer(publisher, status)
    with pytest.raises(error, match="Nothing was written"):
        _poll(_address(publisher))


def test_a_server_that_does_not_answer_is_unreachable(publisher: ThreadingHTTPServer) -> None:
    address = _address(publisher)
    publisher.server_close()
    with pytest.raises(DeliveryUnreachableError):
        _poll(address)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1704261600000000000", datetime(2024, 1, 3, 6, tzinfo=UTC)),
        (_MODIFIED, datetime(2024, 1, 3, 6, tzinfo=UTC)),
        ("2024-01-03 06:00:00+00:00", datetime(2024, 1, 3, 6, tzinfo=UTC)),
        ("2024-01-03T07:00:00+01:00", datetime(2024, 1, 3, 6, tzinfo=UTC)),
        ("2024-01-03 06:00:00", datetime(2024, 1, 3, 6, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
    ],
)
def test_the_time_of_a_change_is_read_in_the_notations_of_publishers(text: str, moment: datetime | None) -> None:
    assert modification_time({"modified": text}) == moment


def test_the_time_of_a_local_file_is_its_modification_time(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a")
    at = modification_time(_poll(str(tmp_path / "a.csv")) or {})
    assert at is not None
    assert abs(at - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("polled", "known", "same"),
    [
        ({"etag": "1", "size": "3"}, {"etag": "1", "size": "3"}, True),
        ({"etag": "1"}, {"etag": "1", "size": "3"}, True),
        ({"etag": "1", "size": "4"}, {"etag": "1", "size": "3"}, False),
        ({"etag": "1"}, {"modified": "x"}, False),
        ({"size": "3"}, {"size": "3"}, False),
        ({"etag": "1"}, {}, False),
    ],
)
def test_two_states_are_the_same_if_all_common_validators_are_equal_and_one_distinguishes(
    polled: dict[str, str], known: dict[str, str], *, same: bool
) -> None:
    assert same_state(polled, known) is same


def test_the_names_of_validators_in_file_systems_are_known() -> None:
    listed = {"name": "a", "ETag": '"1"', "LastModified": datetime(2024, 1, 3, tzinfo=UTC), "md5Hash": None, "size": 3}
    assert from_listing(listed) == {"etag": '"1"', "modified": "2024-01-03 00:00:00+00:00", "size": "3"}
