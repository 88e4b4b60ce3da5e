"""Landing: fetch and index a partition, and read its batches by the index."""

from __future__ import annotations

import gzip
import io
import tarfile
import threading
import zipfile
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import pytest

from etl_assets.errors import DeliveryError, DeliveryIncompleteError
from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.csv import Csv
from etl_assets.landing.land import batches, first_batch, index, land
from etl_assets.landing.store import LandingStore
from etl_assets.model.partitions import Partition
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from etl_assets.model.batch import RawBatch
    from etl_assets.model.delivery import Manifest, MemberIndex, Span

_FORMAT = Csv(batch_bytes=64)
_TEXT = b"a,b\n" + b"".join(b"%d,x\n" % n for n in range(100))


class Feed:
    """A file, its extractor and a store."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "feed.dat"
        self.store = LandingStore(str(folder / "landing"))
        self.extractor = FileExtractor(location=str(self.path), format=_FORMAT, member="*.csv", settle_seconds=0)

    def land(self, data: bytes) -> Manifest:
        self.path.write_bytes(data)
        return land(self.extractor, Partition(), self.store)

    def rows(self, manifest: Manifest, *numbers: int) -> list[tuple[Any, ...]]:
        wanted = numbers or None
        return [row for batch in batches(self.extractor, self.store, manifest, wanted) for row in batch.frame.rows()]


@pytest.fixture
def feed(tmp_path: Path) -> Feed:
    return Feed(tmp_path)


def zipped(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.csv", data)
    return packed.getvalue()


@pytest.mark.parametrize("data", [_TEXT, gzip.compress(_TEXT), zipped(only=_TEXT)])
def test_any_batch_of_a_landed_delivery_can_be_read(feed: Feed, data: bytes) -> None:
    manifest = feed.land(data)
    assert manifest.records == 100
    assert manifest.names == ("a", "b")
    assert manifest.members[0].size == len(_TEXT)
    assert [row[0] for row in feed.rows(manifest)] == [str(n) for n in range(100)]
    third = manifest.spans[2]
    assert [row[2] for row in feed.rows(manifest, 3)] == list(range(third.first_record, third.last_record + 1))


def test_the_publisher_is_not_asked_again_for_batches(feed: Feed) -> None:
    manifest = feed.land(_TEXT)
    feed.path.unlink()
    assert len(feed.rows(manifest)) == 100


def test_record_numbers_continue_through_all_members_whatever_the_order_of_their_columns(feed: Feed) -> None:
    manifest = feed.land(zipped(one=b"a,b\n1,2\n", none=b"a,b\n", two=b"b,a\n3,4\n5,6\n"))
    assert [member.member for member in manifest.members] == ["one.csv", "none.csv", "two.csv"]
    assert [len(member.spans) for member in manifest.members] == [1, 0, 1]
    read = [record for batch in batches(feed.extractor, feed.store, manifest) for record in batch.frame.to_dicts()]
    assert [(record["a"], record[RECORD_NO]) for record in read] == [("1", 1), ("4", 2), ("6", 3)]
    assert [span.batch for span in manifest.spans] == [1, 2]


def test_batches_of_a_later_member_can_be_read_alone(feed: Feed) -> None:
    manifest = feed.land(zipped(one=_TEXT, two=_TEXT))
    last = manifest.spans[-1]
    assert [row[2] for row in feed.rows(manifest, last.batch)] == list(range(last.first_record, 201))


def test_members_of_different_columns_are_refused(feed: Feed) -> None:
    with pytest.raises(DeliveryError, match=r"does not publish the columns of one\.csv: 'b', 'c'"):
        feed.land(zipped(one=b"a,b\n", two=b"a,c\n"))


def test_a_wrong_checksum_is_found_at_landing(feed: Feed) -> None:
    data = bytearray(gzip.compress(_TEXT))
    data[-8] ^= 1
    with pytest.raises(DeliveryIncompleteError):
        feed.land(bytes(data))


def test_a_file_without_records_is_landed_with_its_names(feed: Feed) -> None:
    manifest = feed.land(b"a,b\n")
    assert (manifest.names, manifest.records) == (("a", "b"), 0)
    assert [span.records for span in manifest.spans] == [0]
    assert feed.rows(manifest) == []


def test_the_same_bytes_are_indexed_the_same(feed: Feed) -> None:
    first = feed.land(_TEXT)
    assert replace(feed.land(_TEXT), validators=first.validators) == first


def test_frozen_bytes_are_indexed_again_when_the_declaration_changed(feed: Feed) -> None:
    manifest = feed.land(b"a;b\n1;2\n")
    assert manifest.names == ("a;b",)
    feed.extractor = replace(feed.extractor, format=Csv(delimiter=";"))
    reindexed = index(feed.extractor, feed.store, manifest)
    assert reindexed.names == ("a", "b")
    assert reindexed.sha256 == manifest.sha256
    assert feed.store.manifest(manifest.sha256) == reindexed


@dataclass(frozen=True)
class Traced(Csv):
    """Delimited text whose reader tells by which thread it was begun, and by which it was closed."""

    trace: list[int] = field(default_factory=list, compare=False)

    def read(
        self, stream: BinaryIO, member: str, *, after: Span | None = None, index: MemberIndex | None = None
    ) -> Iterator[RawBatch]:
        self.trace.append(threading.get_ident())
        try:
            yield from super().read(stream, member, after=after, index=index)
        finally:
            self.trace.append(threading.get_ident())


def test_a_reader_that_is_left_early_is_closed_by_the_thread_that_began_it(feed: Feed) -> None:
    traced = Traced(batch_bytes=64)
    manifest = feed.land(_TEXT)
    reading = batches(replace(feed.extractor, format=traced), feed.store, manifest)
    assert next(reading).span.batch == 1
    cast("Generator[RawBatch]", reading).close()
    begun, closed = traced.trace
    assert begun == closed != threading.get_ident()


def test_a_small_first_batch_is_read_once_for_its_comparison_and_its_load(feed: Feed) -> None:
    traced = Traced()
    extractor = replace(feed.extractor, format=traced)
    manifest = feed.land(b"a,b\n1,2\n")
    read = first_batch(extractor, feed.store, manifest)
    for loads, expected in enumerate([1, 2, 3]):
        (batch,) = batches(extractor, feed.store, manifest)
        assert batch.frame.rows() == [("1", "2", 1)]
        assert (batch is read) == (loads == 0), "the second load reads the bytes again"
        assert len(traced.trace) == 2 * expected


def test_the_first_of_several_batches_is_read_again_with_the_others(feed: Feed) -> None:
    manifest = feed.land(_TEXT)
    first_batch(feed.extractor, feed.store, manifest)
    assert [row[0] for row in feed.rows(manifest)] == [str(n) for n in range(100)]
    assert [row[2] for row in feed.rows(manifest, 2)] == list(
        range(manifest.spans[1].first_record, manifest.spans[1].last_record + 1)
    )


def test_a_first_batch_is_read_again_under_another_declaration(feed: Feed) -> None:
    manifest = feed.land(b"a;b\n1,5;2\n")
    first_batch(feed.extractor, feed.store, manifest)
    other = replace(feed.extractor, format=Csv(delimiter=";"))
    (batch,) = batches(other, feed.store, index(other, feed.store, manifest))
    assert batch.frame.rows() == [("1,5", "2", 1)]


def tarred(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in members.items():
            header = tarfile.TarInfo(f"{name}.csv")
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
    return packed.getvalue()


def test_members_of_a_packed_tar_archive_are_one_delivery(feed: Feed) -> None:
    manifest = feed.land(tarred(a=_TEXT, b=b"a,b\n7,y\n"))
    assert [(member.member, member.size) for member in manifest.members] == [("a.csv", len(_TEXT)), ("b.csv", 8)]
    assert manifest.records == 101
    assert feed.rows(manifest, manifest.spans[-1].batch) == [("7", "y", 101)]


@dataclass(frozen=True)
class Seeking(Csv):
    """Delimited text that is read from a stream that can seek, as other formats need one."""

    @property
    def seeks(self) -> bool:
        return True

    def read(
        self, stream: BinaryIO, member: str, *, after: Span | None = None, index: MemberIndex | None = None
    ) -> Iterator[RawBatch]:
        assert stream.seekable()
        stream.seek(0, io.SEEK_END)
        stream.seek(0)
        return super().read(stream, member, after=after, index=index)


@pytest.mark.parametrize("data", [_TEXT, gzip.compress(_TEXT), zipped(only=_TEXT), tarred(only=_TEXT)])
def test_a_format_that_seeks_gets_a_stream_that_can(feed: Feed, data: bytes) -> None:
    plain = feed.land(data)
    seeking = Feed(feed.path.parent)
    seeking.extractor = replace(feed.extractor, format=Seeking(batch_bytes=64))
    manifest = seeking.land(data)
    assert manifest.members == plain.members
    assert seeking.rows(manifest) == feed.rows(plain)
