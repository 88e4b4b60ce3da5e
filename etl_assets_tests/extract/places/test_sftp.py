"""Files on an SFTP server."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from etl_assets import Partition, Secret
from etl_assets.errors import DeliveryError, DeliveryMissingError, DeliveryUnreachableError, EnvironmentFaultError
from etl_assets.extract.access.sftp import Sftp
from etl_assets_tests.extract.places.place_suite import (
    TEXT,
    Place,
    PlaceSuite,
    assert_a_cut_is_no_delivery,
    assert_a_wrong_login_is_refused,
)
from etl_assets_tests.file_servers import sftp_server
from etl_assets_tests.proxy import proxied

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class SftpPlace(Place):
    def __init__(self, folder: Path, port: int, fingerprint: str) -> None:
        self.folder = folder
        self.server = f"sftp://127.0.0.1:{port}"
        self.location = f"{self.server}/in"
        self.access: Sftp = Sftp("me", Secret("FEED_PASSWORD"), host_key=fingerprint)

    def write(self, name: str, data: bytes) -> None:
        (self.folder / "in" / name).write_bytes(data)

    def make_old(self, name: str) -> None:
        os.utime(self.folder / "in" / name, (1e9, 1e9))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int, str]]:
    folder = tmp_path_factory.mktemp("sftp") / "root"
    folder.mkdir()
    with sftp_server(folder) as (port, fingerprint):
        yield folder, port, fingerprint


@pytest.fixture
def place(server: tuple[Path, int, str]) -> Iterator[SftpPlace]:
    place = SftpPlace(*server)
    (place.folder / "in").mkdir()
    yield place
    (place.folder / "in").rename(place.folder / f"was{len(list(place.folder.iterdir()))}")


class TestSftp(PlaceSuite):
    @pytest.fixture
    def place(self, place: SftpPlace) -> SftpPlace:
        return place


def test_a_connection_that_is_cut_in_the_middle_is_no_delivery(place: SftpPlace) -> None:
    place.write("a.csv", b"x" * 30_000_000)
    with proxied(place.server) as proxy:
        assert_a_cut_is_no_delivery(proxy, f"{proxy.url}/in/a.csv", place.access)


def test_a_file_that_cannot_be_moved_is_reported_with_its_rows_as_written(place: SftpPlace) -> None:
    place.write("a.csv", TEXT)
    (place.folder / "in" / "done").write_bytes(b"no folder")
    extractor = place.extractor(move_to="done")
    with pytest.raises(DeliveryError, match=r"a\.csv of .* cannot be moved to .*/done .*Its rows are written"):
        extractor.after_load(Partition("a.csv"), extractor.poll(Partition("a.csv")) or {})
    assert extractor.list() == ["a.csv"]


def test_the_files_of_a_glob_are_polled_by_one_listing(place: SftpPlace) -> None:
    place.write("a.csv", TEXT)
    extractor = place.extractor()
    assert extractor.list() == ["a.csv"]
    polled = extractor.poll(Partition("a.csv"))
    (place.folder / "in" / "a.csv").unlink()
    assert extractor.poll(Partition("a.csv")) == polled
    assert extractor.list() == []
    with pytest.raises(DeliveryMissingError):
        extractor.poll(Partition("a.csv"))


def test_a_wrong_password_is_refused(place: SftpPlace) -> None:
    assert_a_wrong_login_is_refused(place, replace(place.access, password=Secret("WRONG_PASSWORD")))


def test_a_server_with_another_key_is_refused_before_the_password_is_sent(place: SftpPlace) -> None:
    extractor = place.extractor(access=replace(place.access, host_key=f"SHA256:{'A' * 43}"))
    with pytest.raises(DeliveryError, match=r"does not prove.*host_key"):
        extractor.list()


def test_a_server_must_be_known_if_no_key_is_declared(place: SftpPlace, tmp_path: Path) -> None:
    place.write("a.csv", TEXT)
    known = tmp_path / "known_hosts"
    access = replace(place.access, host_key="", known_hosts=str(known))
    with pytest.raises(EnvironmentFaultError, match=r"no file .* of known servers"):
        place.extractor(access=access).list()
    known.write_text("")
    with pytest.raises(DeliveryError, match="does not prove"):
        place.extractor(access=access).list()
    key = (place.folder.parent / "host_key.pub").read_text()
    known.write_text(f"[127.0.0.1]:{place.server.rpartition(':')[2]} {key}")
    assert place.extractor(access=access).list() == ["a.csv"]


def test_a_server_that_is_away_is_unreachable(place: SftpPlace) -> None:
    extractor = place.extractor()
    object.__setattr__(extractor, "location", "sftp://127.0.0.1:1/a.csv")
    with pytest.raises(DeliveryUnreachableError):
        extractor.poll(Partition())
