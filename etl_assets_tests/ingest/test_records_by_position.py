"""The complete ingest of a feed with columns by position: the header's values also reach records that are replayed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest

from etl_assets import Column, Field, FixedWidth, HeaderRecord, RecordCode, Schema, TrailerRecord
from etl_assets.errors import DeliveryIncompleteError, FormatError
from etl_assets_tests.extract.access_log import AccessLog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets_tests.ingest.world import World

GOODS = Schema(
    columns=(
        Column("code", "text", required=True, pattern="[a-z]+"),
        Column("amount", "integer", required=True),
        Column("day", "date", required=True, formats=("%Y%m%d",)),
    ),
    key=("code",),
)
FORMAT = FixedWidth(
    (Field("code", 2, 7), Field("amount", 8, 10)),
    code=RecordCode(1, 1, records=("D",), skipped=("S",)),
    header=HeaderRecord("H", (Field("day", 3, 10),)),
    trailer=TrailerRecord("T", Field("lines", 2, 10)),
)


@pytest.fixture
def goods(world: World) -> World:
    return replace(world, schema=GOODS, format=FORMAT)


def test_a_replayed_record_has_the_values_of_the_header_of_its_own_delivery(goods: World) -> None:
    goods.take("Dapple   3", "Dplum  ???", "S---------", "Dpear  12", "Xfig    12", "T        5", header="H 20240301")
    goods.take("Dapple   4", "Dquince???", "T        2", header="H 20240401")
    waiting = {(record.raw, tuple(record.rules)) for record in goods.waiting()}
    assert waiting == {
        (b"Dplum  ???", ("amount__type",)),
        (b"Dpear  12", ("record__length",)),
        (b"Xfig    12", ("record__type",)),
        (b"Dquince???", ("amount__type",)),
    }
    for record in goods.waiting():
        if "amount__type" in record.rules:
            goods.correct(record, amount="7")
    assert goods.replay().replayed == 2
    assert goods.rows() == [
        ("apple", 4, date(2024, 4, 1)),
        ("plum", 7, date(2024, 3, 1)),
        ("quince", 7, date(2024, 4, 1)),
    ]
    assert goods.violations() == []


def test_a_file_that_was_cut_before_its_trailer_is_refused_and_nothing_is_written(goods: World) -> None:
    with pytest.raises(DeliveryIncompleteError, match="does not end with a trailer"):
        goods.take("Dapple   3", header="H 20240301")
    assert goods.query("SELECT count(*) FROM etl.delivery") == [(0,)]


def test_a_format_whose_code_fails_stops_the_run_and_what_is_loaded_stays(world: World) -> None:
    class Failing(AccessLog):
        def parse(self, line: str) -> Sequence[str | None]:
            if "secret" in line:
                raise ValueError(line)
            return super().parse(line)

    schema = Schema(
        (Column("host", "text", required=True), Column("status", "integer")), ("host",), ignored=("moment",)
    )
    log = replace(world, schema=schema, format=Failing(batch_bytes=64))
    with pytest.raises(FormatError, match=r"raised ValueError at .* on the record at :12") as raised:
        log.take(*(f"10.0.0.{n} [] 200" for n in range(10, 20)), "secret [] 200", header="#Version: 1")
    assert "secret" not in str(raised.value)
    assert ("10.0.0.10", 200) in log.rows()
