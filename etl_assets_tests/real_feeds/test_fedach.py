"""Two directories of banks of the US Federal Reserve, columns by position: two deliveries of each, with deletions."""

from __future__ import annotations

import io
import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import Column, Field, FileExtractor, Files, Filler, FixedWidth, Schema, Source
from etl_assets.landing import batches
from etl_assets.postgres.connection import connected
from etl_assets.watch.drift import Drift
from etl_assets_tests.real_feeds.taking import FEEDS, take, warehouse, with_real_feeds
from etl_assets_tests.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from etl_assets_tests.real_feeds.taking import Row, Taken

pytestmark = with_real_feeds
_FEED = "fedach_fixed_width"
_ROUTING_NUMBER = "[0-9]{9}"


def directory(name: str, format_: FixedWidth, *columns: Column) -> Source:
    """Declare a directory, of which each file is a partition."""
    key = Column("routing_number", "text", required=True, pattern=_ROUTING_NUMBER)
    return Source(
        name=name.lower(),
        description="A directory of banks.",
        owner="team:banks",
        extractor=FileExtractor(format_, f"{FEEDS / _FEED}/{name}_*.txt", settle_seconds=0),
        partitions=Files(),
        schema=Schema((key, *columns), ("routing_number",)),
    )


FED_ACH = directory(
    "FedACHdir",
    FixedWidth(
        (
            Field("routing_number", 1, 9),
            Field("office_code", 10, 10),
            Field("servicing_frb_number", 11, 19),
            Field("record_type_code", 20, 20),
            Field("change_date", 21, 26),
            Field("new_routing_number", 27, 35),
            Field("customer_name", 36, 71),
            Field("address", 72, 107),
            Field("city", 108, 127),
            Field("state", 128, 129),
            Field("zip", 130, 134),
            Field("zip_extension", 135, 138),
            Field("telephone", 139, 148),
            Field("institution_status", 149, 149),
            Field("data_view", 150, 150),
            Filler(151, 155, blank=True),
        ),
        batch_bytes=1_000_000,
    ),
    Column("office_code", "text", required=True, allowed=("O", "B")),
    Column("servicing_frb_number", "text", required=True, pattern=_ROUTING_NUMBER),
    Column("record_type_code", "integer", required=True, minimum=0, maximum=2),
    Column("change_date", "date", required=True, formats=("%m%d%y",)),
    Column("new_routing_number", "text", required=True, pattern=_ROUTING_NUMBER),
    Column("customer_name", "text", required=True),
    Column("address", "text"),
    Column("city", "text"),
    Column("state", "text", length=2),
    Column("zip", "text", pattern="[0-9]{5}"),
    Column("zip_extension", "text", pattern="[0-9]{4}"),
    Column("telephone", "text", pattern="[0-9]{10}"),
    Column("institution_status", "text"),
    Column("data_view", "text"),
)
FEDWIRE = directory(
    "fpddir",
    FixedWidth(
        (
            Field("routing_number", 1, length=9),
            Field("telegraphic_name", 10, length=18),
            Field("customer_name", 28, length=36),
            Field("state", 64, length=2),
            Field("city", 66, length=25),
            Field("transfer_status", 91, length=1),
            Field("settlement_only", 92, length=1),
            Field("book_entry_status", 93, length=1),
            Field("revision_date", 94, length=8),
        )
    ),
    Column("telegraphic_name", "text", required=True),
    Column("customer_name", "text", required=True),
    Column("state", "text", length=2),
    Column("city", "text"),
    Column("transfer_status", "text", required=True, allowed=("Y", "N")),
    Column("settlement_only", "text", allowed=("S",)),
    Column("book_entry_status", "text", required=True, allowed=("Y", "N")),
    Column("revision_date", "date", formats=("%Y%m%d",)),
)


@pytest.fixture(scope="module", params=[FED_ACH, FEDWIRE], ids=lambda source: source.name)
def taken(
    request: pytest.FixtureRequest, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Taken]:
    with warehouse(postgres_url, tmp_path_factory.mktemp("landing")) as kept:
        yield take(request.param, kept)


def known_of(taken: Taken) -> dict[str, dict[str, Any]]:
    """What is known of each file of a directory, by its name."""
    directories = json.loads((FEEDS / _FEED / "GROUND_TRUTH.json").read_text("utf-8"))
    return {about["file"]: about for files in directories.values() for about in files if about["file"] in taken.counts}


def records(file: str) -> list[str]:
    """The lines of a file, as plain Python reads them."""
    return (FEEDS / _FEED / file).read_bytes().decode("ascii").removesuffix("\r\n").split("\r\n")


def values(source: Source, file: str) -> list[Row]:
    """The values of the records of a file, as plain Python cuts them."""
    fields = [part for part in source.extractor.format.fields if isinstance(part, Field)]  # type: ignore[attr-defined]
    return [tuple(line[part.start - 1 : part.last].strip() or None for part in fields) for line in records(file)]


def test_every_record_of_both_deliveries_is_read_and_none_is_rejected(taken: Taken) -> None:
    rows = {file: (about["rows"], 0, about["distinct_routing"]) for file, about in known_of(taken).items()}
    assert len(rows) == 2
    assert {file: (c.read, c.rejected, c.produced) for file, c in taken.counts.items()} == rows


def test_the_second_delivery_inserts_changes_and_leaves_the_records_that_are_known_to(taken: Taken) -> None:
    first, second = taken.counts
    known, counts = known_of(taken)[second], taken.counts[second]
    assert (counts.inserted, counts.updated, counts.unchanged) == (known["ins"], known["upd"], known["same"])
    gone = {row[0] for row in taken.tables[second]} - {row[0] for row in values(taken.source, second)}
    assert len(gone) == known["del"]
    assert gone <= {row[0] for row in taken.tables[first]}


def test_the_cells_are_those_that_plain_python_cuts(taken: Taken) -> None:
    for file, landed in taken.landed.items():
        read = batches(taken.source.extractor, taken.warehouse.store, landed.delivery.manifest)
        rows = [row[:-1] for batch in read for row in batch.frame.rows()]
        assert rows == values(taken.source, file)


def test_every_other_number_that_is_known_of_a_file_is_that_of_its_rows(taken: Taken) -> None:
    for file, about in known_of(taken).items():
        keys = {line[:9] for line in records(file)}
        table = [dict(zip(taken.source.schema.names, row, strict=True)) for row in taken.tables[file]]
        rows = [row for row in table if row["routing_number"] in keys]
        counts = {**counts_of(taken.source, rows), "line_len": {str(taken.source.extractor.format.width): len(rows)}}  # type: ignore[attr-defined]
        elsewhere = {"file", "rows", "distinct_routing", "date_bad_sample", "ins", "del", "upd", "same"}
        assert counts == {name: known for name, known in about.items() if name not in elsewhere}


def has_wrong_check_digit(routing_number: str) -> bool:
    return sum(int(digit) * weight for digit, weight in zip(routing_number, (3, 7, 1) * 3, strict=True)) % 10 > 0


def counts_of(source: Source, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What the ground truth has of a file, counted over its rows."""
    counted = {name: Counter(row[name] for row in rows) for name in source.schema.names}
    dates = counted["revision_date" if source is FEDWIRE else "change_date"]
    both = {
        "states": len(counted["state"]),
        "state_blank": counted["state"][None],
        "aba_bad": sum(map(has_wrong_check_digit, counted["routing_number"])),
        "date_class": {"ok": dates.total() - dates[None]} | ({"null": dates[None]} if dates[None] else {}),
    }
    return both | (counts_of_fedwire(counted) if source is FEDWIRE else counts_of_ach(counted))


def counts_of_fedwire(counted: dict[str, Counter[Any]]) -> dict[str, Any]:
    return {
        "transfer": dict(counted["transfer_status"]),
        "settle": {value or " ": count for value, count in counted["settlement_only"].items()},
        "book": dict(counted["book_entry_status"]),
    }


def counts_of_ach(counted: dict[str, Counter[Any]]) -> dict[str, Any]:
    keys, new_numbers = counted["routing_number"], Counter(counted["new_routing_number"])
    del new_numbers["000000000"]
    return {
        "office": dict(counted["office_code"]),
        "rectype": {str(value): count for value, count in counted["record_type_code"].items()},
        "status": dict(counted["institution_status"]),
        "view": dict(counted["data_view"]),
        "zip_leading0": sum(count for value, count in counted["zip"].items() if value[0] == "0"),
        "zip_nonnum": sum(count for value, count in counted["zip"].items() if not value.isdigit()),
        "newrouting_set": new_numbers.total(),
        "newrouting_orphan": sum(count for value, count in new_numbers.items() if value not in keys),
        "frb_orphan": sum(count for value, count in counted["servicing_frb_number"].items() if value not in keys),
        "filler_nonblank": 0,  # or the records would have been rejected
        "routing_leading0": sum(value[0] == "0" for value in keys),
        "phone_0": counted["telephone"]["0000000000"],
    }


@pytest.mark.parametrize("source", [FED_ACH, FEDWIRE], ids=lambda source: source.name)
def test_between_the_two_deliveries_nothing_drifted(source: Source, postgres_url: str, tmp_path: Path) -> None:
    with warehouse(postgres_url, tmp_path) as kept, connected(kept.url) as connection:
        watch = Watch(source, kept, connection)
        assert [watch.poll(key) for key in sorted(source.extractor.list())] == [Drift()] * 2


def test_dates_that_begin_with_the_month_are_of_another_type_than_declared(postgres_url: str, tmp_path: Path) -> None:
    *_, last = sorted(FEDWIRE.extractor.list())
    published = [line[:-8] + line[-4:] + line[-8:-4] for line in records(last) if line.strip()]
    (tmp_path / "fpddir_1.txt").write_bytes((FEEDS / _FEED / last).read_bytes())
    (tmp_path / "fpddir_2.txt").write_text("".join(f"{line}\r\n" for line in published), "ascii", newline="")
    source = replace(FEDWIRE, extractor=replace(FEDWIRE.extractor, location=f"{tmp_path}/fpddir_*.txt"))  # type: ignore[call-arg]
    with warehouse(postgres_url, tmp_path / "landing") as kept, connected(kept.url) as connection:
        watch = Watch(source, kept, connection)
        assert watch.poll("fpddir_1.txt") == Drift()
        (event,) = watch.poll("fpddir_2.txt").opened
    assert (event.change.kind, event.change.subject) == ("retyped", "revision_date")


def test_a_layout_that_is_one_character_too_short_makes_every_record_malformed() -> None:
    format_ = replace(FEDWIRE.extractor.format, fields=FEDWIRE.extractor.format.fields[:-1], length=100)  # type: ignore[attr-defined,call-arg]
    data = (FEEDS / _FEED / "fpddir_2019-01-11.txt").read_bytes()
    broken = [rules for batch in format_.read(io.BytesIO(data), "") for rules in batch.malformed["rules"].to_list()]
    assert broken == [["record__length"]] * 7_693
