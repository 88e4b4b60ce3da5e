"""Csv over files that were collected to break readers: csv-spectrum, the examples of CleverCSV, and frictionless."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.csv import Csv
from etl_assets.schema import RECORD_NO
from etl_assets_tests.real_feeds.taking import FEEDS, ground_truth, with_real_feeds

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = with_real_feeds
_TORTURE = FEEDS / "torture"
_FRICTIONLESS = _TORTURE / "frictionless" / "data"
_ODD = "location_coordinates"
"""The file of csv-spectrum with quotes inside unquoted fields; what it should read as is another record."""


def rows(data: bytes, format_: Csv) -> list[list[str | None]]:
    """Return the values of all records, none of which is malformed."""
    found: list[list[str | None]] = []
    for batch in format_.read(io.BytesIO(data), ""):
        assert batch.malformed.is_empty()
        found += map(list, batch.frame.drop(RECORD_NO).rows())
    return found


def csv_spectrum() -> tuple[int, int]:
    """Return how many files csv-spectrum has, and how many are read as their JSON says."""
    equal = 0
    files = sorted((_TORTURE / "csv-spectrum" / "csvs").glob("*.csv"))
    for path in files:
        text = (_TORTURE / "csv-spectrum" / "json" / f"{path.stem}.json").read_text("utf-8")
        expected = json.loads(text)
        wanted = [[value or None for value in record.values()] for record in expected] if path.stem != _ODD else None
        equal += wanted is not None and rows(path.read_bytes(), Csv(unterminated="report")) == wanted
    return len(files), equal


def by_the_csv_module(path: Path, **dialect: Any) -> list[list[str | None]]:
    """Return the records after the header, as Python's reader has them."""
    with path.open(encoding=dialect.pop("encoding", "utf-8-sig"), newline="") as file:
        read = [[cell or None for cell in row] for row in csv.reader(file, strict=True, **dialect) if row]
    return read[1:]


def test_csv_spectrum_is_read_as_its_json_says_but_for_the_file_whose_json_is_of_another_record() -> None:
    assert csv_spectrum() == (12, 11)


@pytest.mark.parametrize(
    ("name", "format_", "dialect"),
    [
        ("CleverCSV/example/imdb.csv", Csv(escape="\\"), {"escapechar": "\\"}),
        ("CleverCSV/example/airedale.csv", Csv(), {}),
        ("frictionless/data/delimiter.csv", Csv(";"), {"delimiter": ";"}),
        ("frictionless/data/issue-1100.csv", Csv(";"), {"delimiter": ";"}),
        ("frictionless/data/issue-833.csv", Csv(quote=None), {"quoting": csv.QUOTE_NONE}),
        ("frictionless/data/latin1.csv", Csv(encoding="latin-1"), {"encoding": "latin-1"}),
        ("frictionless/data/table-infer-iso-8859-7.csv", Csv(encoding="iso-8859-7"), {"encoding": "iso-8859-7"}),
    ],
)
def test_a_file_is_read_in_its_declared_dialect_as_the_csv_module_reads_it(
    name: str, format_: Csv, dialect: dict[str, Any]
) -> None:
    path = _TORTURE / name
    assert rows(path.read_bytes(), format_) == by_the_csv_module(path, **dialect)


def test_films_with_escaped_delimiters_have_their_titles() -> None:
    (batch,) = Csv(escape="\\").read(io.BytesIO((_TORTURE / "CleverCSV/example/imdb.csv").read_bytes()), "")
    assert (batch.frame.height, len(batch.names)) == (100, 44)
    title = "Dr. Seltsam, oder wie ich lernte, die Bombe zu lieben (1964)"
    assert batch.frame["title"].to_list().count(title) == 1


@pytest.mark.parametrize("name", ["skip-rows-before-headers.csv", "matrix-with-comment.csv"])
def test_a_header_below_a_line_of_text_is_found_by_its_beginning(name: str) -> None:
    data = (_FRICTIONLESS / name).read_bytes()
    begins = data.splitlines()[1].decode()[:3]
    assert rows(data, Csv(header_begins=begins, unterminated="report")) == by_the_csv_module(_FRICTIONLESS / name)[1:]


def test_every_file_of_frictionless_is_read_as_the_csv_module_reads_it_or_has_malformed_records_or_is_refused() -> None:
    outcomes = {"equal": 0, "with malformed records": 0, "refused": 0}
    for path in sorted(_FRICTIONLESS.rglob("*.csv")):
        try:
            batches = list(Csv(unterminated="report").read(io.BytesIO(path.read_bytes()), ""))
        except DeliveryError:
            outcomes["refused"] += 1
            continue
        if any(not batch.malformed.is_empty() for batch in batches):
            outcomes["with malformed records"] += 1
            continue
        found = [list(row) for batch in batches for row in batch.frame.drop(RECORD_NO).rows()]
        assert found == by_the_csv_module(path), path.name
        outcomes["equal"] += 1
    assert outcomes == {"equal": 97, "with malformed records": 18, "refused": 8}


def test_a_file_that_was_sent_twice_in_one_has_no_second_header_where_that_is_declared() -> None:
    about = list(ground_truth("datahub_country_codes").values())[23]
    data = (FEEDS / "datahub_country_codes" / about["file"]).read_bytes()
    batches = list(Csv(repeated_header="skip", batch_bytes=64 * 1024).read(io.BytesIO(data), ""))
    assert sum(batch.frame.height for batch in batches) == about["rows"] - 1
    assert sum(batch.span.skipped for batch in batches) == 1
