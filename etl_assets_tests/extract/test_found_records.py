"""What landing finds out about a batch of delimited text is what another scan of it finds."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import given, reject
from hypothesis import strategies as st

from etl_assets import landing
from etl_assets.errors import DeliveryError
from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.csv import Csv
from etl_assets.extract.formats.csv.found import FoundRecords
from etl_assets.landing import LandingStore
from etl_assets.landing.found import FOUND, Found
from etl_assets.model.delivery import FoundIndex, MemberIndex
from etl_assets.model.partitions import Partition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from etl_assets.model.batch import RawBatch

PIECES = st.sampled_from(
    [b"a", b"bc", b",", b",", b'"', b'""', b"\n", b"\n", b"\r\n", b"\r", b"#", b"\xff", b"\xc3\xa9", b"\0"]
)
FORMATS = st.sampled_from(
    [
        Csv(),
        Csv(batch_bytes=64),
        Csv(quote=None),
        Csv(comment="#"),
        Csv(escape="\\"),
        Csv(delimiter="||"),
        Csv(line_end="\r"),
        Csv(short_records=True),
        Csv(long_records="join"),
        Csv(repeated_header="skip"),
    ]
)


def contents(batch: RawBatch) -> tuple[Any, ...]:
    """Return all that a batch says of its records."""
    numbers = list(batch.span.numbers)
    rejected = batch.malformed.to_dicts()
    raws, places = batch.raws(numbers).to_list(), batch.locations(numbers).to_list()
    return batch.frame.to_dicts(), rejected, raws, places, batch.unterminated, batch.free_of_nul


def read(format_: Csv, data: bytes, index: MemberIndex) -> list[tuple[Any, ...]]:
    return [contents(batch) for batch in format_.read(io.BytesIO(data), "", index=index)]


def land(format_: Csv, data: bytes) -> tuple[MemberIndex, Mapping[int, Any]]:
    """Return the index of a file, and what was found out about its batches."""
    batches = list(format_.read(io.BytesIO(data), ""))
    spans = tuple(batch.span for batch in batches if batch.span.records)
    found = {batch.span.batch: batch.found for batch in batches if batch.found is not None}
    return MemberIndex("", len(data), batches[0].names, spans), found


@given(pieces=st.lists(PIECES, max_size=60), format_=FORMATS)
def test_batches_read_by_what_was_found_are_those_that_are_scanned_again(pieces: Sequence[bytes], format_: Csv) -> None:
    line_end = format_.line_end.encode()
    data = f"x{format_.delimiter}y{format_.delimiter}z".encode() + line_end + b"".join(pieces)
    try:
        index, found = land(format_, data)
    except DeliveryError:
        reject()
    assert read(format_, data, FoundIndex("", index.size, index.names, index.spans, found=found)) == read(
        format_, data, index
    )


def test_every_record_of_ordinary_text_is_found_with_those_that_are_malformed() -> None:
    _, found = land(Csv(), b'a,b\n1,"x\ny"\n2\n3,z"\n4,5,6\n')
    (records,) = found.values()
    assert records.lengths.tolist() == [8, 2, 5, 6]
    assert (records.misquoted.tolist(), records.miscounted.tolist()) == ([2], [1, 3])


def test_what_was_found_is_not_used_for_bytes_of_another_length() -> None:
    index, found = land(Csv(), b"a,b\n1,2\n3,4\n")
    data = b"a,b\n1,2\n3,45\n"
    (span,) = index.spans
    longer = MemberIndex("", len(data), index.names, (type(span)(**{**vars(span), "length": span.length + 1}),))
    assert read(Csv(), data, FoundIndex("", len(data), index.names, longer.spans, found=found)) == read(
        Csv(), data, longer
    )


def test_what_landing_found_is_remembered_for_the_load(tmp_path: Path) -> None:
    (tmp_path / "feed.csv").write_bytes(b"a,b\n1,2\n3,4\n")
    extractor = FileExtractor(location=str(tmp_path / "feed.csv"), format=Csv())
    store = LandingStore(str(tmp_path / "landing"))
    manifest = landing.land(extractor, Partition("", ""), store)
    assert set(FOUND.recall(manifest.sha256, extractor.frozen_format, "")) == {1}
    assert not FOUND.recall(manifest.sha256, Csv(quote=None), "")
    (batch,) = landing.batches(extractor, store, manifest)
    assert batch.frame.height == 2


def test_what_was_asked_for_longest_ago_is_forgotten() -> None:
    found = Found(most_bytes=100)
    lengths = FoundRecords(np.ones(12, np.uint32), 1, 12, np.zeros(0, np.int64), np.zeros(0, np.int64))
    for name in ("one", "two"):
        found.remember(name, Csv(), "", {1: lengths})
    found.recall("one", Csv(), "")
    found.remember("three", Csv(), "", {1: lengths})
    assert [name for name in ("one", "two", "three") if found.recall(name, Csv(), "")] == ["one", "three"]
