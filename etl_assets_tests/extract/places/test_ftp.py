"""Files on an FTP server."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from etl_assets import Csv, FileExtractor, Partition, Secret
from etl_assets.errors import DeliveryError, DeliveryIncompleteError, DeliveryUnreachableError
from etl_assets.extract.access.ftp import Ftp
from etl_assets.extract.validators import modification_time
from etl_assets_tests.extract.places.place_suite import TEXT, Place, PlaceSuite, assert_a_wrong_login_is_refused
from etl_assets_tests.file_servers import ftp_server, ftps_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class FtpPlace(Place):
    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.location = f"ftp://127.0.0.1:{port}/in"
        self.access: Ftp = Ftp("me", Secret("FEED_PASSWORD"), tls=False)

    def write(self, name: str, data: bytes) -> None:
        (self.folder / "in" / name).write_bytes(data)

    def make_old(self, name: str) -> None:
        os.utime(self.folder / "in" / name, (1e9, 1e9))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    folder = tmp_path_factory.mktemp("ftp")
    with ftp_server(folder) as port:
        yield folder, port


@pytest.fixture
def place(server: tuple[Path, int]) -> Iterator[FtpPlace]:
    place = FtpPlace(*server)
    (place.folder / "in").mkdir()
    yield place
    (place.folder / "in").rename(place.folder / f"was{len(list(place.folder.iterdir()))}")


class TestFtp(PlaceSuite):
    @pytest.fixture
    def place(self, place: FtpPlace) -> FtpPlace:
        return place


def test_a_server_that_ends_in_the_middle_of_a_file_leaves_no_delivery(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with ftp_server(tmp_path, cut_after=200_000) as port:
        place = FtpPlace(tmp_path, port)
        place.write("a.csv", b"x" * 3_000_000)
        with pytest.raises(DeliveryIncompleteError, match="Nothing was written"):
            place.fetch("a.csv")


def test_a_wrong_password_is_refused(place: FtpPlace) -> None:
    assert_a_wrong_login_is_refused(place, replace(place.access, password=Secret("WRONG_PASSWORD")))


def test_a_time_of_the_protocol_is_read(place: FtpPlace) -> None:
    place.write("a.csv", TEXT)
    polled = place.extractor("a.csv").poll(Partition())
    assert polled is not None
    moment = modification_time(polled)
    assert moment is not None
    assert moment.timestamp() == int((place.folder / "in" / "a.csv").stat().st_mtime)


def test_a_login_is_encrypted_and_the_certificate_verified(certificate: Path) -> None:
    def read(access: Ftp) -> bytes:
        with (
            ftps_server(TEXT, certificate) as port,
            FileExtractor(location=f"ftp://127.0.0.1:{port}/a.csv", format=Csv(), access=access).fetch(
                Partition()
            ) as fetched,
        ):
            return fetched.stream.read()

    access = Ftp("me", Secret("FEED_PASSWORD"))
    assert read(replace(access, ca_file=str(certificate))) == TEXT
    with pytest.raises(DeliveryError, match=r"does not prove.*ca_file"):
        read(access)


def test_a_server_that_is_away_is_unreachable() -> None:
    with pytest.raises(DeliveryUnreachableError):
        FileExtractor(location="ftp://127.0.0.1:1/a.csv", format=Csv()).poll(Partition())
