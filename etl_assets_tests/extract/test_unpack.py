"""Unpacking: by content, member by member, and within the limits."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from etl_assets.errors import DeliveryError, DeliveryIncompleteError
from etl_assets.extract import unpack as unpacking
from etl_assets.extract.unpack import Member, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

_TEXT = b"".join(b"%d,some text\n" % n for n in range(20_000))


def zipped(members: Sequence[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return packed.getvalue()


def contents(data: bytes, pattern: str = "*") -> list[tuple[str, bytes]]:
    with unpack(io.BytesIO(data), "delivery", pattern) as files:
        return [(name, stream.read()) for name, stream in files]


@pytest.mark.parametrize(
    "data",
    [_TEXT, gzip.compress(_TEXT), bz2.compress(_TEXT), lzma.compress(_TEXT), pa.compress(_TEXT, "zstd", asbytes=True)],
)
def test_a_single_file_is_unpacked_by_its_first_bytes(data: bytes) -> None:
    assert contents(data, "ignored") == [("", _TEXT)]


def test_members_that_match_come_in_the_archives_order_without_folders_and_finder_files() -> None:
    data = zipped([("z.csv", b"1"), ("d/", b""), ("d/a.csv", b"2"), ("__MACOSX/z.csv", b"?"), ("readme", b"?")])
    assert contents(data, "*.csv") == [("z.csv", b"1"), ("d/a.csv", b"2")]


def test_when_no_member_matches_the_members_are_named() -> None:
    with pytest.raises(DeliveryError, match=r"member='\*\.csv'; it contains a\.txt, b\.txt\."):
        contents(zipped([("a.txt", b""), ("b.txt", b"")]), "*.csv")


@pytest.mark.parametrize(
    "pack", [gzip.compress, bz2.compress, lzma.compress, lambda data: pa.compress(data, "zstd", asbytes=True)]
)
def test_a_stream_cut_short_is_incomplete(pack: object) -> None:
    packed: bytes = pack(_TEXT)  # type: ignore[operator]
    with pytest.raises(DeliveryIncompleteError, match="cut short or damaged"):
        contents(packed[: len(packed) // 2])


def test_an_archive_cut_short_is_incomplete() -> None:
    with pytest.raises(DeliveryIncompleteError, match="without its end"):
        contents(zipped([("a.csv", _TEXT)])[:-30])


def test_a_member_whose_checksum_is_wrong_is_incomplete() -> None:
    data = bytearray(zipped([("a.csv", _TEXT)], zipfile.ZIP_STORED))
    data[1000] ^= 1
    with pytest.raises(DeliveryIncompleteError, match="damaged"):
        contents(bytes(data))


def test_an_encrypted_member_is_refused() -> None:
    data = bytearray(zipped([("a.csv", b"x")]))
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(DeliveryError, match="encrypted"):
        contents(bytes(data))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused() -> None:
    with pytest.raises(DeliveryError, match="two members of one name"):
        contents(zipped([("a.csv", b"1"), ("a.csv", b"2")]))


def test_a_bomb_is_refused_before_it_is_completely_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "RATIO_FLOOR", 100_000)
    with unpack(io.BytesIO(gzip.compress(bytes(10_000_000))), "bomb", "*") as files:
        ((_, stream),) = files
        assert isinstance(stream, Member)
        with pytest.raises(DeliveryError, match="200 times its packed size"):
            stream.drain()
        assert stream.position < 10_000_000


def test_too_many_members_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MAX_MEMBERS", 2)
    with pytest.raises(DeliveryError, match="3 members"):
        contents(zipped([(f"{n}.csv", b"") for n in range(3)]))


def test_an_archive_that_would_unpack_to_too_many_bytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MAX_BYTES", 10)
    with pytest.raises(DeliveryError, match="more than 10 bytes"):
        contents(zipped([("a.csv", _TEXT)]))


def test_an_office_document_is_not_unpacked_although_it_is_a_zip_archive() -> None:
    data = zipped([("[Content_Types].xml", b"<x/>"), ("xl/workbook.xml", b"<x/>")])
    assert contents(data) == [("", data)]


def test_a_file_that_is_packed_twice_is_unpacked_once() -> None:
    inner = gzip.compress(b"x")
    assert contents(zipped([("a.csv.gz", inner)])) == [("a.csv.gz", inner)]
