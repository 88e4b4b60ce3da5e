"""Takes a sample of a file: fetches it, unpacks one member, and reads its first records."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import polars as pl

from etl_assets.errors import DeliveryError
from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.csv import Csv
from etl_assets.extract.unpack import unpack
from etl_assets.model.partitions import Partition
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.extract.base import Format
    from etl_assets.model.batch import PublishedType
    from etl_assets.model.secret import Secret

HEAD: Final = 256 * 1024
"""Number of bytes at the start of a file by which its format is recognised."""
MOST_RECORDS: Final = 500_000
_MOST_BYTES: Final = 512 * 1024**2
_CHUNK: Final = 1024 * 1024


@dataclass(frozen=True)
class File:
    """A file, unpacked and on this machine.

    Attributes:
        location: As given.
        name: The file's name at the publisher.
        member: Its name in the archive; empty if it is not in one.
        members: Number of members of the archive that match, of which this is the first.
        stream: Its bytes, seekable.
    """

    location: str
    name: str
    member: str
    members: int
    stream: BinaryIO

    def head(self) -> bytes:
        """Return the first bytes, up to the end of a line if the file has more of them."""
        self.stream.seek(0)
        head = self.stream.read(HEAD)
        self.stream.seek(0)
        return head if len(head) < HEAD else head[: head.rfind(b"\n") + 1] or head


@dataclass(frozen=True)
class Sample:
    """Records of a file.

    Attributes:
        frame: The well-formed records: a String column for each published name.
        records: Number of records, with the malformed ones.
        malformed: Number of records of each rule that they break.
        whole: Whether these are all records of the file.
        unterminated: Whether the file does not end with a line end.
        decimal: The character before the fraction of a number.
        canonical: See `RawBatch`.
        types: See `RawBatch`.
    """

    frame: pl.DataFrame
    records: int
    malformed: dict[str, int]
    whole: bool
    unterminated: bool
    decimal: str
    canonical: bool
    types: dict[str, PublishedType]


@contextmanager
def opened(location: str, member: str = "*", password: Secret | None = None) -> Iterator[File]:
    """Fetch a file and unpack the first member that matches, for a block.

    Args:
        location: As for `FileExtractor`.
        member: Glob for the members of an archive.
        password: Of an encrypted archive.

    Raises:
        DeliveryError: If there is no such file, or it cannot be unpacked.
    """
    extractor = FileExtractor(location=location, format=Csv(), settle_seconds=0)
    with extractor.fetch(Partition()) as fetched, tempfile.TemporaryFile(prefix="etl-assets-infer-") as packed:
        shutil.copyfileobj(fetched.stream, packed, _CHUNK)
        packed.seek(0)
        with (
            unpack(cast("BinaryIO", packed), fetched.name, member, password) as files,
            tempfile.TemporaryFile(prefix="etl-assets-infer-") as unpacked,
        ):
            chosen, count = "", 0
            for name, stream in files:
                if not count:
                    chosen = name
                    shutil.copyfileobj(stream, unpacked, _CHUNK)
                count += 1
            unpacked.seek(0)
            yield File(location, fetched.name, chosen, count, cast("BinaryIO", unpacked))


def read_sample(file: File, format_: Format) -> Sample:
    """Read the first records of a file, all of them if it is not too large.

    Raises:
        DeliveryError: If the file has no record, or is not of the format.
    """
    file.stream.seek(0)
    frames: list[pl.DataFrame] = []
    broken: list[pl.DataFrame] = []
    records = read = 0
    batch = None
    batches = iter(format_.read(file.stream, ""))
    for batch in batches:
        frames.append(batch.frame.drop(RECORD_NO))
        broken.append(batch.malformed.select("rules"))
        records += batch.span.records
        read += int(frames[-1].estimated_size())
        if records >= MOST_RECORDS or read >= _MOST_BYTES:
            break
    if batch is None or not records:
        raise DeliveryError(f"{file.name} has no record. Nothing was inferred. Name a file with records.")
    rules = pl.concat(broken).get_column("rules").explode().drop_nulls().value_counts()
    return Sample(
        pl.concat(frames, how="diagonal"),
        records,
        dict(rules.iter_rows()),
        next(batches, None) is None,
        batch.unterminated is not None,
        batch.decimal,
        batch.canonical,
        dict(batch.types),
    )
