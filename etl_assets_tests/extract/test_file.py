"""FileExtractor: locations, refusals, and errors without secrets."""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import fsspec
import pytest

from etl_assets.errors import DeclarationError, DeliveryError, DeliveryIncompleteError, DeliveryMissingError
from etl_assets.extract.access.http import Http
from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.csv import Csv
from etl_assets.extract.location import matches_glob
from etl_assets.model.partitions import Partition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_WHOLE = Partition()


def fetched(location: str, partition: Partition = _WHOLE, settle_seconds: float = 0) -> bytes:
    access = Http(private=True, attempts=1) if location.startswith("http") else None
    extractor = FileExtractor(location=location, format=Csv(), settle_seconds=settle_seconds, access=access)
    with extractor.fetch(partition) as delivered:
        return delivered.stream.read()


def test_placeholders_are_filled_from_key_and_window(tmp_path: Path) -> None:
    (tmp_path / "2013-01-JFK.csv").write_bytes(b"x")
    partition = Partition("JFK", "", datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 2, 1, tzinfo=UTC))
    assert fetched(str(tmp_path / "{start:%Y-%m}-{key}.csv"), partition) == b"x"


@pytest.mark.parametrize("location", ["", "{day}.csv", "{start:%Y", "{}"])
def test_a_location_that_cannot_be_filled_in_fails_the_declaration(location: str) -> None:
    with pytest.raises(DeclarationError, match=r"Use|Write"):
        FileExtractor(location=location, format=Csv()).check("source 'x'")


def test_a_placeholder_for_a_window_that_the_partition_lacks_is_a_wrong_declaration() -> None:
    with pytest.raises(DeclarationError, match="start"):
        fetched("{start:%Y}.csv", Partition("JFK"))


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.csv").write_bytes(b"x")
    assert fetched("~/a.csv") == b"x"


def test_the_files_of_a_glob_are_named_by_their_path_below_its_fixed_part(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "b.csv").write_bytes(b"b")
    (tmp_path / "in" / "deep" / "a.csv").write_bytes(b"a")
    (tmp_path / "in" / "other.txt").write_bytes(b"?")
    location = str(tmp_path / "in" / "**" / "*.csv")
    extractor = FileExtractor(location=location, format=Csv(), settle_seconds=0)
    assert sorted(extractor.list()) == ["b.csv", "deep/a.csv"]
    assert fetched(location.replace("**/", ""), Partition("b.csv")) == b"b"


def test_the_files_of_a_remote_glob_can_be_listed_and_fetched() -> None:
    folder = f"memory://{uuid.uuid4().hex}"
    with fsspec.open(f"{folder}/a.csv", "wb") as file:
        file.write(b"a")
    extractor = FileExtractor(location=f"{folder}/*.csv", format=Csv())
    assert extractor.list() == ["a.csv"]
    assert fetched(extractor.location, Partition("a.csv")) == b"a"


def test_a_file_inside_a_file_is_fetched_as_fsspec_names_it() -> None:
    folder = f"memory://{uuid.uuid4().hex}"
    with fsspec.open(f"{folder}/a.zip", "wb") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("deep/a.csv", "x")
    assert fetched(f"zip://deep/a.csv::{folder}/a.zip") == b"x"


def test_a_file_directly_in_the_folder_of_a_recursive_glob_can_be_fetched(tmp_path: Path) -> None:
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    for name in ("b.csv", "deep/a.csv", "deep/deeper/c.csv"):
        (tmp_path / name).write_text(name)
    extractor = FileExtractor(location=str(tmp_path / "**" / "*.csv"), format=Csv(), settle_seconds=0)
    assert [fetched(extractor.location, Partition(key)).decode() for key in extractor.list()] == extractor.list()


@pytest.mark.parametrize(
    ("path", "pattern", "matches"),
    [
        ("/in/a.csv", "/in/**/*.csv", True),
        ("/in/x/y/a.csv", "/in/**/*.csv", True),
        ("/in/x/y/a.csv", "/in/**/y/**/*.csv", True),
        ("/in/x/a.csv", "/in/**/y/*.csv", False),
        ("/in/x/a.csv", "/in/*.csv", False),
        ("/in/a\n[1].csv", "/in/*.csv", True),
        ("/in/A.csv", "/in/a.csv", False),
        ("/out/a.csv", "/in/**", False),
    ],
)
def test_a_glob_matches_paths_segment_by_segment(path: str, pattern: str, matches: bool) -> None:  # noqa: FBT001 -- a table
    assert matches_glob(path, pattern) == matches


def test_a_link_is_followed_within_the_folder_of_a_glob_and_never_out_of_it(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.csv").write_bytes(b"secret")
    (tmp_path / "in" / "a.csv").write_bytes(b"a")
    (tmp_path / "in" / "inside.csv").symlink_to("a.csv")
    (tmp_path / "in" / "outside.csv").symlink_to(tmp_path / "secret.csv")
    (tmp_path / "in" / "nowhere.csv").symlink_to("missing")
    (tmp_path / "in" / "loop.csv").symlink_to("loop.csv")
    extractor = FileExtractor(location=str(tmp_path / "in" / "*.csv"), format=Csv(), settle_seconds=0)
    assert extractor.list() == ["a.csv", "inside.csv", "loop.csv", "outside.csv"]
    assert fetched(extractor.location, Partition("inside.csv")) == b"a"
    with pytest.raises(DeliveryError, match="is a link out of the folder of"):
        fetched(extractor.location, Partition("outside.csv"))
    with pytest.raises(DeliveryError, match="is a link out of the folder of"):
        extractor.poll(Partition("outside.csv"))
    with pytest.raises(DeliveryError, match="cannot be read"):
        fetched(extractor.location, Partition("loop.csv"))


def test_a_name_of_undecodable_bytes_is_shown_escaped(tmp_path: Path) -> None:
    name = b"caf\xe9\x1b.csv".decode("utf-8", "surrogateescape")
    (tmp_path / name).write_bytes(b"x")
    with FileExtractor(location=str(tmp_path / "*.csv"), format=Csv(), settle_seconds=0).fetch(
        Partition()
    ) as delivered:
        assert delivered.name == r"caf\xe9\x1b.csv"
        assert delivered.origin == str(tmp_path / r"caf\xe9\x1b.csv")


@pytest.mark.parametrize("name", ["a::file:.csv", "a#b?c.csv", "a [1] 100%41 ä.csv"])
def test_a_remote_name_with_characters_of_urls_and_globs_names_its_file(name: str) -> None:
    folder = f"memory://{uuid.uuid4().hex}"
    system, path = fsspec.core.url_to_fs(folder)
    system.pipe_file(f"{path}/{name}", b"x")
    extractor = FileExtractor(location=f"{folder}/*.csv", format=Csv())
    assert extractor.list() == [name]
    assert fetched(extractor.location, Partition(name)) == b"x"


@pytest.mark.parametrize("key", ["../secret.csv", "x.txt", "/etc/passwd", "./x.csv", "x/../x.csv", "x//x.csv"])
def test_a_key_that_the_glob_does_not_match_is_never_opened(tmp_path: Path, key: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.csv").write_bytes(b"secret")
    (tmp_path / "in" / "x.txt").write_bytes(b"x")
    with pytest.raises(DeliveryMissingError):
        fetched(str(tmp_path / "in" / "*.csv"), Partition(key))


def test_the_error_of_a_name_with_brackets_says_how_a_glob_writes_them(tmp_path: Path) -> None:
    (tmp_path / "a [2024].csv").write_bytes(b"a")
    with pytest.raises(DeliveryMissingError, match=r"If a name has a bracket, write \[\[\] for it"):
        fetched(str(tmp_path / "a [2024].csv"))
    assert fetched(str(tmp_path / "a [[]2024].csv")) == b"a"


def test_a_glob_without_partitions_fetches_the_only_file_and_refuses_several(tmp_path: Path) -> None:
    location = str(tmp_path / "*.csv")
    with pytest.raises(DeliveryMissingError):
        fetched(location)
    (tmp_path / "a.csv").write_bytes(b"a")
    assert fetched(location) == b"a"
    (tmp_path / "b.csv").write_bytes(b"b")
    with pytest.raises(DeliveryError, match="2 files match"):
        fetched(location)


def test_a_file_of_an_installed_package_is_read_without_importing_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "breaks_on_import"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "data.csv").write_bytes(b"a")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert fetched("package:breaks_on_import/data.csv") == b"a"


@pytest.mark.parametrize("location", ["package:no_such_package/a.csv", "package:polars", "package:polars/../a.csv"])
def test_a_location_in_a_package_that_is_not_there_is_missing(location: str) -> None:
    with pytest.raises(DeliveryMissingError, match="Install the package"):
        fetched(location)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match="no regular file"):
        fetched(str(tmp_path))


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DeliveryError, match="no regular file"):
        fetched(str(tmp_path / "pipe"))


def test_a_file_that_grows_between_two_checks_is_incomplete(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n")

    def grow() -> None:
        time.sleep(0.05)
        with path.open("ab") as file:
            file.write(b"1,2\n")

    writer = threading.Thread(target=grow)
    writer.start()
    with pytest.raises(DeliveryIncompleteError, match="still being written"):
        fetched(str(path), settle_seconds=0.3)
    writer.join()


def test_a_file_that_did_not_change_recently_is_fetched_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a")
    os.utime(path, (time.time() - 60, time.time() - 60))
    begin = time.monotonic()
    assert fetched(str(path), settle_seconds=30) == b"a"
    assert time.monotonic() - begin < 10


def _inbox(folder: Path, pattern: str = "*.csv") -> FileExtractor:
    return FileExtractor(
        location=str(folder / "in" / pattern), format=Csv(), settle_seconds=0, move_to=str(folder / "done/")
    )


@pytest.mark.parametrize("name", ["a.csv", "deep/a [1].csv"])
def test_a_file_is_moved_from_an_inbox_only_as_long_as_it_is_the_file_that_was_loaded(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "in" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"old")
    extractor = _inbox(tmp_path, "**/*.csv")
    validators = extractor.poll(Partition(name))
    assert validators is not None
    path.write_bytes(b"newer")
    assert not extractor.after_load(Partition(name), validators)
    assert extractor.list() == [name]
    assert extractor.after_load(Partition(name), extractor.poll(Partition(name)) or {})
    assert extractor.list() == []
    assert not extractor.after_load(Partition(name), validators)
    with extractor.fetch(Partition(name)) as delivered:
        assert delivered.stream.read() == b"newer"
        assert delivered.origin == str(tmp_path / "done" / name)


def test_a_file_that_cannot_be_moved_stays_and_its_error_names_both_places(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_bytes(b"x")
    (tmp_path / "done").write_bytes(b"no folder")
    extractor = _inbox(tmp_path)
    with pytest.raises(DeliveryError, match=r"in/a\.csv cannot be moved to .*done/a\.csv .*Its rows are written"):
        extractor.after_load(Partition("a.csv"), extractor.poll(Partition("a.csv")) or {})
    assert extractor.list() == ["a.csv"]


def _appended(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _replaced(path: Path) -> None:
    (path.parent / "new").write_bytes(path.read_bytes())
    (path.parent / "new").replace(path)


@pytest.mark.parametrize("change", [_appended, _replaced])
def test_a_file_that_changes_while_it_is_read_is_incomplete(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n" * 100)
    with FileExtractor(location=str(path), format=Csv(), settle_seconds=0).fetch(_WHOLE) as delivered:
        delivered.stream.read(10)
        change(path)
        with pytest.raises(DeliveryIncompleteError):
            delivered.stream.read()


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], str]]:
    """Returns the address of a server that answers one request with the given bytes and hangs up."""
    servers: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def answer(server: socket.socket, reply: bytes) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(reply)

    def start(reply: bytes) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)
        thread = threading.Thread(target=answer, args=(server, reply))
        thread.start()
        threads.append(thread)
        return f"http://127.0.0.1:{server.getsockname()[1]}/a.csv?token=hunter2"

    yield start
    for thread in threads:
        thread.join()
    for server in servers:
        server.close()


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na,b\n1,2\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\na,b\n1,2\n\r\n",
    ],
)
def test_a_body_cut_short_is_incomplete(answering: Callable[[bytes], str], reply: bytes) -> None:
    with pytest.raises(DeliveryIncompleteError, match="cut short"):
        fetched(answering(reply))


def test_the_validators_of_the_server_are_kept(answering: Callable[[bytes], str]) -> None:
    url = answering(b'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nETag: "7"\r\nLast-Modified: Mon\r\n\r\nx')
    with FileExtractor(location=url, format=Csv(), access=Http(private=True)).fetch(_WHOLE) as delivered:
        assert delivered.validators == {"etag": '"7"', "modified": "Mon", "size": "1"}
        assert delivered.name == "a.csv"
        assert "hunter2" not in delivered.origin
        assert delivered.stream.read() == b"x"


@pytest.mark.parametrize("status", [b"403 Forbidden", b"500 Oops", b"404 Not Found"])
def test_an_error_of_the_server_is_reported_without_secrets(answering: Callable[[bytes], str], status: bytes) -> None:
    url = answering(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(DeliveryError, match=f"HTTP {status[:3].decode()}") as caught:
        fetched(url)
    assert "hunter2" not in str(caught.value)
    assert isinstance(caught.value, DeliveryMissingError) == status.startswith(b"404")


@pytest.mark.parametrize(
    "location",
    [
        "http://user:hunter2@127.0.0.1:1/a.csv?token=hunter2",
        "memory://user:hunter2@x/a.csv?t=hunter2",
        "nosuch://a:hunter2@b/c",
    ],
)
def test_an_unreachable_location_is_reported_without_secrets(location: str) -> None:
    with pytest.raises(DeliveryError) as caught:
        fetched(location)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
