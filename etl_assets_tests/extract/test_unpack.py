"""Unpacking: by content, member by member, and within the limits."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, TypeAlias, cast

import pyarrow as pa
import pytest
import pyzipper
from hypothesis import example, given
from hypothesis import strategies as st

from etl_assets.errors import DeliveryError, DeliveryIncompleteError
from etl_assets.extract.unpack import Member, looks_packed, member, unpack
from etl_assets.model.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Pack: TypeAlias = Callable[[bytes], bytes]

_TEXT = b"".join(b"%d,some text\n" % n for n in range(20_000))
_DIRECTORY = b"PK\x01\x02"
"""The first bytes of the directory of a zip archive."""


def _zst(data: bytes) -> bytes:
    return pa.compress(data, "zstd", asbytes=True)


def zipped(members: Sequence[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return packed.getvalue()


def contents(data: bytes, pattern: str = "*", password: Secret | None = None) -> list[tuple[str, bytes]]:
    with unpack(io.BytesIO(data), "delivery", pattern, password) as files:
        return [(name, stream.read()) for name, stream in files]


@pytest.mark.parametrize(
    "data",
    [_TEXT, gzip.compress(_TEXT), bz2.compress(_TEXT), lzma.compress(_TEXT), _zst(_TEXT)],
)
def test_a_single_file_is_unpacked_by_its_first_bytes(data: bytes) -> None:
    assert contents(data, "ignored") == [("", _TEXT)]


def test_members_that_match_come_in_the_archives_order_without_folders_and_finder_files() -> None:
    data = zipped([("z.csv", b"1"), ("d/", b""), ("d/a.csv", b"2"), ("__MACOSX/z.csv", b"?"), ("readme", b"?")])
    assert contents(data, "*.csv") == [("z.csv", b"1"), ("d/a.csv", b"2")]


def test_when_no_member_matches_the_members_are_named() -> None:
    with pytest.raises(DeliveryError, match=r"member='\*\.csv'; it contains a\.txt, b\.txt\."):
        contents(zipped([("a.txt", b""), ("b.txt", b"")]), "*.csv")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, _zst])
def test_a_stream_cut_short_is_incomplete(pack: Pack) -> None:
    packed = pack(_TEXT)
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
    monkeypatch.setattr(member, "RATIO_FLOOR", 100_000)
    with unpack(io.BytesIO(gzip.compress(bytes(10_000_000))), "bomb", "*") as files:
        ((_, stream),) = files
        assert isinstance(stream, Member)
        with pytest.raises(DeliveryError, match="200 times its packed size"):
            stream.drain()
        assert stream.position < 10_000_000


def test_too_many_members_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member, "MAX_MEMBERS", 2)
    with pytest.raises(DeliveryError, match="over 2 members"):
        contents(zipped([(f"{n}.csv", b"") for n in range(3)]))


def test_an_archive_that_would_unpack_to_too_many_bytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member, "MAX_BYTES", 10)
    with pytest.raises(DeliveryError, match="more than 10 bytes"):
        contents(zipped([("a.csv", _TEXT)]))


def test_an_office_document_is_not_unpacked_although_it_is_a_zip_archive() -> None:
    data = zipped([("[Content_Types].xml", b"<x/>"), ("xl/workbook.xml", b"<x/>")])
    assert contents(data) == [("", data)]


def test_a_file_that_is_packed_twice_is_unpacked_once() -> None:
    inner = gzip.compress(b"x")
    assert contents(zipped([("a.csv.gz", inner)])) == [("a.csv.gz", inner)]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, _zst])
def test_packed_streams_one_after_another_are_one_file(pack: Pack) -> None:
    assert contents(pack(_TEXT) + pack(b"more\n")) == [("", _TEXT + b"more\n")]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, _zst])
def test_what_follows_a_packed_stream_and_is_none_is_damage(pack: Pack) -> None:
    with pytest.raises(DeliveryIncompleteError, match="cut short or damaged"):
        contents(pack(_TEXT) + b"no stream")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, _zst])
def test_a_second_packed_stream_cut_short_is_incomplete(pack: Pack) -> None:
    with pytest.raises(DeliveryIncompleteError, match="cut short or damaged"):
        contents(pack(_TEXT) + pack(_TEXT)[:-9])


def test_an_xz_stream_that_wants_gigabytes_of_memory_is_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1024**3}]
    small = lzma.compress(b"x", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1024**2}])
    assert contents(small) == [("", b"x")]
    large = _with_dictionary(small, filters)
    with pytest.raises(DeliveryIncompleteError, match="LZMAError"):
        contents(large)


def _with_dictionary(packed: bytes, filters: list[dict[str, int]]) -> bytes:
    """Return an xz stream whose header asks for another dictionary; to compress with a large one needs that memory."""
    begin = 12
    size = (packed[begin] + 1) * 4
    header = bytearray(packed[begin : begin + size - 4])
    header[header.index(0x21) + 2] = 36 if filters[0]["dict_size"] == 1024**3 else 0
    return packed[:begin] + bytes(header) + zlib.crc32(bytes(header)).to_bytes(4, "little") + packed[begin + size :]


def tarred(members: Sequence[tuple[str, bytes]], format_: int = tarfile.GNU_FORMAT) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=format_) as archive:
        for name, data in members:
            header = tarfile.TarInfo(name)
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
    return packed.getvalue()


def with_header(header: tarfile.TarInfo) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(header)
    return packed.getvalue()


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress, _zst])
@pytest.mark.parametrize("format_", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_members_of_a_tar_archive_packed_or_not_come_in_its_order(pack: Pack, format_: int) -> None:
    data = pack(tarred([("b.csv", _TEXT), ("readme", b"?"), ("folder/a.csv", b"2")], format_))
    assert looks_packed(data[:512])
    assert contents(data, "*.csv") == [("b.csv", _TEXT), ("folder/a.csv", b"2")]


def test_a_tar_archive_cut_between_two_members_is_incomplete() -> None:
    data = tarred([("a.csv", b"1" * 512), ("b.csv", b"2" * 512)])
    with pytest.raises(DeliveryIncompleteError, match="tar archive that is damaged or cut short"):
        contents(data[: 2 * 512])


@pytest.mark.parametrize("length", [700, 1100, 1500])
def test_a_tar_archive_cut_inside_a_member_or_header_is_incomplete(length: int) -> None:
    data = tarred([("a.csv", b"1" * 512), ("b.csv", b"2" * 512)])
    with pytest.raises(DeliveryIncompleteError):
        contents(data[:length])


def test_a_tar_archive_whose_second_header_is_damaged_is_incomplete() -> None:
    data = bytearray(tarred([("a.csv", b"1" * 512), ("b.csv", b"2" * 512)]))
    data[2 * 512] ^= 1
    with pytest.raises(DeliveryIncompleteError, match="InvalidHeaderError at byte 1024"):
        contents(bytes(data))


@pytest.mark.parametrize("type_", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_link_or_a_device_in_a_tar_archive_is_refused(type_: bytes) -> None:
    header = tarfile.TarInfo("a.csv")
    header.type, header.linkname = type_, "/etc/passwd"
    with pytest.raises(DeliveryError, match="is a link or a device"):
        contents(with_header(header))


def test_a_tar_archive_with_a_huge_name_is_refused_before_it_is_read() -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 8 * 1024**3
    data = header.tobuf(tarfile.GNU_FORMAT)
    with pytest.raises(DeliveryError, match="8589934592 bytes"):
        contents(data)


def test_when_no_member_of_a_tar_archive_matches_the_members_are_named() -> None:
    with pytest.raises(DeliveryError, match=r"member='\*\.csv'; it contains a\.txt, b\.txt\."):
        contents(tarred([("a.txt", b""), ("b.txt", b"")]), "*.csv")


def test_two_members_of_one_name_in_a_tar_archive_are_refused() -> None:
    with pytest.raises(DeliveryError, match="two members of one name"):
        contents(tarred([("a.csv", b"1"), ("a.csv", b"2")]))


def locked(data: bytes, password: bytes, encryption: int | None = pyzipper.WZ_AES) -> bytes:
    packed = io.BytesIO()
    with pyzipper.AESZipFile(packed, "w", compression=zipfile.ZIP_DEFLATED, encryption=encryption) as archive:
        archive.setpassword(password)
        archive.writestr("a.csv", data)
    return packed.getvalue()


def test_a_member_encrypted_with_a_password_is_read_with_its_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEED_PASSWORD", "öffne")
    assert contents(locked(_TEXT, "öffne".encode()), password=Secret("FEED_PASSWORD")) == [("a.csv", _TEXT)]


def test_a_member_encrypted_with_another_password_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEED_PASSWORD", "wrong-password")
    with pytest.raises(DeliveryError, match="encrypted with another password") as raised:
        contents(locked(_TEXT, b"right"), password=Secret("FEED_PASSWORD"))
    assert "wrong-password" not in str(raised.value)


def test_an_encrypted_member_that_is_damaged_is_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEED_PASSWORD", "right")
    data = bytearray(locked(_TEXT, b"right"))
    data[len(data) // 2] ^= 1
    with pytest.raises(DeliveryIncompleteError, match="whose password may be wrong, is cut short or damaged"):
        contents(bytes(data), password=Secret("FEED_PASSWORD"))


def test_an_encrypted_member_without_a_declared_password_is_refused_with_the_remedy() -> None:
    with pytest.raises(DeliveryError, match=r"password=Secret\('NAME'\)"):
        contents(locked(_TEXT, b"right"))


def test_an_encrypted_member_that_is_not_wanted_does_not_matter() -> None:
    packed = io.BytesIO(locked(b"x", b"right"))
    with pyzipper.AESZipFile(packed, "a") as archive:
        archive.writestr("b.txt", b"open")
    assert contents(packed.getvalue(), "*.txt") == [("b.txt", b"open")]


@pytest.mark.parametrize("bit", range(8))
def test_a_bit_changed_anywhere_in_the_directory_of_a_zip_raises_nothing_but_an_error_of_the_delivery(
    bit: int, tmp_path: Path
) -> None:
    archive = zipped([("a.csv", _TEXT[:3000]), ("b.csv", _TEXT[3000:9000])])
    for place in range(archive.index(_DIRECTORY), len(archive)):
        damaged = bytearray(archive)
        damaged[place] ^= 1 << bit
        file = tmp_path / "damaged.zip"
        file.write_bytes(damaged)
        for stream in (io.BytesIO(damaged), file.open("rb")):
            with stream, suppress(DeliveryError), unpack(cast("BinaryIO", stream), "x", "*.csv") as files:
                assert [inner.read() for _, inner in files]


def test_a_tar_that_ends_within_a_member_that_is_not_wanted_is_incomplete() -> None:
    archive = tarred([("a.csv", _TEXT[:3000]), ("b.txt", _TEXT[3000:9000])])
    with pytest.raises(DeliveryIncompleteError, match="damaged or cut short"):
        contents(archive[:8000], "*.csv")


@given(
    pack=st.sampled_from([bytes, gzip.compress, bz2.compress, lzma.compress, _zst]),
    archive=st.sampled_from([tarred, zipped]),
    at=st.floats(0, 1),
    bits=st.integers(1, 255),
    cut=st.booleans(),
)
@example(pack=bytes, archive=tarred, at=0.5, bits=1, cut=True)
def test_bytes_cut_or_changed_anywhere_raise_nothing_but_an_error_of_the_delivery(
    pack: Pack, archive: Callable[[Sequence[tuple[str, bytes]]], bytes], at: float, bits: int, *, cut: bool
) -> None:
    members = [("a.csv", _TEXT[:3000]), ("b.csv", _TEXT[3000:9000])]
    data = bytearray(pack(archive(members)))
    place = int(at * (len(data) - 1))
    if cut:
        del data[place:]
    else:
        data[place] ^= bits
    try:
        contents(bytes(data), "*.csv")
    except DeliveryError as error:
        assert "Nothing" in str(error)  # noqa: PT017 -- a change that nothing detects is no error
