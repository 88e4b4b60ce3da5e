"""Single records of delimited text parsed again, from the bytes in the quarantine."""

from __future__ import annotations

from io import BytesIO

import pytest

from etl_assets.extract.formats.csv import Csv
from etl_assets.schema import RECORD_NO


def test_records_keep_their_numbers() -> None:
    batch = Csv().reread(("a", "b"), {7: b"1,2", 3: b'"x,y",z'})
    assert batch.frame.sort(RECORD_NO).rows() == [("x,y", "z", 3), ("1", "2", 7)]


@pytest.mark.parametrize("bad", [b'"open,2', b"1,2,3", b"\xff,1", b'a"b,2'])
def test_a_record_that_is_still_malformed_does_not_affect_another(bad: bytes) -> None:
    batch = Csv().reread(("a", "b"), {1: bad, 2: b"1,2"})
    assert batch.frame.rows() == [("1", "2", 2)]
    assert batch.malformed["record_no"].to_list() == [1]


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_the_raw_bytes_of_a_batch_are_parsed_to_the_same_fields(encoding: str) -> None:
    written = 'a;b\nécole;"1\n2"\n;x\n'.encode(encoding)
    format_ = Csv(delimiter=";", encoding=encoding)
    (batch,) = format_.read(BytesIO(written), "")
    again = format_.reread(batch.names, {number: batch.raw(number) for number in (1, 2)})
    assert again.frame.rows() == batch.frame.rows()


def test_no_records_are_an_empty_batch() -> None:
    assert Csv().reread(("a",), {}).frame.height == 0
