"""A declaration that is written as a contract and read back is the same."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from etl_assets import (
    After,
    Append,
    Column,
    Cron,
    Csv,
    Daily,
    DatabaseExtractor,
    Distribution,
    DriftOpened,
    Expectation,
    FileExtractor,
    Files,
    ForeignKey,
    Greatest,
    History,
    Json,
    Limits,
    Monitors,
    Monthly,
    OnChange,
    OneOf,
    PartitionBy,
    References,
    Replace,
    RestExtractor,
    Rule,
    Schema,
    Secret,
    Snapshot,
    Source,
    Static,
    Transformer,
    UniqueTogether,
    Upsert,
    VolumeDrop,
    catalog,
)
from etl_assets.contract.written import write_declaration
from etl_assets_tests.contract.round_trip import round_trip

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

KEY = Column("id", "integer", required=True)
BUNDLED = catalog.load().sources


def declared(**changes: Any) -> Source:
    values: dict[str, Any] = {
        "name": "goods",
        "description": "Goods in stock.",
        "owner": "team:tests",
        "extractor": FileExtractor(location="/in/goods.csv", format=Csv(delimiter=";", null=("NA",))),
        "schema": Schema((KEY, Column("code", "text"), Column("day", "date", required=True)), ("id",)),
    }
    return Source(**{**values, **changes})


def with_columns(*columns: Column, **of_schema: Any) -> Source:
    return declared(schema=Schema((KEY, *columns), **{"key": ("id",), **of_schema}))


@pytest.mark.parametrize("name", BUNDLED)
def test_every_bundled_declaration_comes_back_the_same(name: str) -> None:
    source = BUNDLED[name]
    trip = round_trip(source)
    names = {clause.partition(":")[0] for clause in trip.exported.not_carried}
    back = trip.source(**{name: getattr(source, name) for name in names})
    assert back == source
    assert back.fingerprint == source.fingerprint
    assert [clause for clause in trip.imported.not_understood if not clause.startswith("not in the contract")] == []


def test_what_of_the_bundled_declarations_no_contract_carries_is_their_own_code() -> None:
    missing = {name: round_trip(source).exported.not_carried for name, source in BUNDLED.items()}
    assert {name: clauses for name, clauses in missing.items() if clauses} == {
        "flights": ("extractor: code of one's own, or what may be secret",),
        "fx_rates": ("transformer: code of one's own, or what may be secret",),
    }


SOURCES = {
    "types": with_columns(
        Column("a", "text"),
        Column("b", "float"),
        Column("c", "decimal", precision=9, scale=2),
        Column("d", "boolean", true=("Y", "J"), false=("N",)),
        Column("e", "date", formats=("%d.%m.%Y", "%Y-%m-%d")),
        Column("f", "timestamp"),
        Column("g", "timestamp", zone="Europe/Berlin"),
        Column("h", "timestamp", formats=("%Y-%m-%dT%H:%M:%S%z",)),
        Column("i", "time", formats=("%H:%M",)),
        Column("j", "json"),
        Column("k", "uuid"),
        Column("l", "decimal", scale=0),
    ),
    "rules": with_columns(
        Column("a", "text", required=True, length=9, pattern="[a-z]+|x", unique=True),
        Column("b", "text", allowed=("x", "y", "1")),
        Column("c", "integer", allowed=(1, 2)),
        Column("d", "integer", minimum=1, maximum=9),
        Column("e", "float", minimum=0.5),
        Column("f", "decimal", precision=9, scale=2, minimum=Decimal("0.01"), maximum=7),
        Column("g", "date", minimum=dt.date(2001, 2, 3), maximum=dt.date(2101, 2, 3)),
        Column("h", "timestamp", minimum=dt.datetime(2001, 2, 3, 4, 5)),  # noqa: DTZ001 -- a reading of a wall clock
        Column("i", "time", maximum=dt.time(23)),
    ),
    "columns": with_columns(
        Column("a", "text", published_as="A b", description='Of "A"\n\\d', sensitive=True),
        Column("b", "text", published_as=("B", "Bee"), null=("-", "n/a"), strip=True),
        Column("c", "text", default="none"),
    ),
    "references": with_columns(
        Column("a", "text", references="core.others.code"),
        Column("b", "text", references="elsewhere.others.code"),
        Column("c", "text", references=References("core.others.code", missing="report")),
        Column("d", "text"),
        Column("e", "text"),
        rules=(
            UniqueTogether("a", "b"),
            UniqueTogether("d", "e"),
            ForeignKey(("d", "e"), "core.places", ("x", "y")),
            ForeignKey(("a", "b"), "core.places"),
            ForeignKey(("a", "c"), "core.places", missing="reject"),
        ),
    ),
    "rules_in_another_order": with_columns(
        Column("a", "text"),
        Column("b", "text"),
        rules=(ForeignKey(("a", "b"), "core.places"), UniqueTogether("a", "b")),
    ),
    "schema": declared(
        schema=Schema(
            (
                Column("day", "date", required=True),
                Column("id", "integer", required=True),
                Column("n", "integer", required=True),
            ),
            ("id", "day"),
            ignored=("x", ""),
            order_by="n",
            repeated_keys=Greatest("n"),
        )
    ),
    "upsert": declared(write=Upsert()),
    "append": declared(write=Append(), schema=Schema((KEY,))),
    "replace": declared(write=Replace(), schema=Schema((KEY,))),
    "snapshot": declared(write=Snapshot(max_deleted=0.5, referenced="refuse", mark=True, swap_from=None)),
    "history": declared(write=History(columns=("code",), snapshot=Snapshot(max_deleted=0.2))),
    "daily": declared(
        extractor=FileExtractor(location="/in/{key}.csv", format=Csv()),
        partitions=Daily(dt.date(2024, 1, 1)),
        trigger=Cron("0 4 * * *", zone="Europe/Berlin"),
    ),
    "monthly": declared(
        extractor=FileExtractor(location="/in/{key}.csv", format=Csv()),
        partitions=Monthly(dt.date(2024, 1, 1), dt.date(2025, 1, 1)),
    ),
    "static": declared(
        extractor=FileExtractor(location="/in/{key}.csv", format=Csv()), partitions=Static(("north", "south"))
    ),
    "files": declared(
        extractor=FileExtractor(location="/in/*.csv", format=OneOf(Csv(), Csv(delimiter="|"))),
        partitions=Files(per_run=5),
        trigger=OnChange(every=dt.timedelta(minutes=5)),
    ),
    "operation": declared(
        trigger=After("core/others", "core/more"),
        freshness=dt.timedelta(hours=36),
        tags={"domain": "retail", "company/kind": ""},
        max_rejected=0.05,
        runs_at_once=3,
        queue="big",
        limits=Limits(memory="2Gi", processors=1.5),
        fillfactor=50,
        partition_by=PartitionBy("day", every="year", keep="3 years"),
        schema=Schema((KEY, Column("day", "date", required=True)), ("id", "day")),
        alerts=(DriftOpened(severity="critical"), VolumeDrop(by=0.3)),
        monitors=Monitors(volume=None, columns={"day": None, "id": Distribution()}),
        expectations=(
            Expectation(
                "expect_column_values_to_be_between",
                name="ids",
                column="id",
                min_value=0,
                row_condition={"type": "comparison", "column": {"name": "id"}, "operator": "==", "parameter": 1},
            ),
        ),
    ),
    "database": declared(
        extractor=DatabaseExtractor("postgresql://db.example:5432/shop", table="public.goods"),
        description="A 'first' line\n\nand a second, with \"quotes\" and \\ and ä.",
    ),
    "interval": declared(freshness=dt.timedelta(seconds=90)),
    "password": declared(extractor=FileExtractor(location="/in/a.zip", format=Csv(), password=Secret("ZIP"))),
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_declaration_comes_back_the_same(name: str, tmp_path: Path) -> None:
    source = SOURCES[name]
    trip = round_trip(source)
    assert (trip.exported.not_carried, trip.imported.not_understood) == ((), [])
    assert trip.source() == source
    file = tmp_path / "goods.py"
    file.write_text(write_declaration(trip.imported))
    loaded = catalog.load_file(file)
    assert loaded == source
    assert loaded.fingerprint == source.fingerprint


class Same(Transformer):
    """Code of a source's own."""

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame


def day_of(name: str) -> dt.date:
    return dt.date.fromisoformat(name)


HOST = "https://host/x"


@dataclass(frozen=True)
class OwnFormat(Csv):
    """A format of a source's own."""


@pytest.mark.parametrize(
    ("changes", "clause"),
    [
        ({"transformer": Same()}, "transformer: code of one's own"),
        ({"write": History(dated=day_of)}, "write: code of one's own"),
        ({"extractor": FileExtractor(location="/in/x", format=OwnFormat())}, "extractor: code of one's own"),
        ({"extractor": FileExtractor(location="https://host/x.csv?token=t0ken", format=Csv())}, "what may be secret"),
        ({"extractor": RestExtractor(Json("$"), url=HOST, params={"to": f"{HOST}?token=t0ken"})}, "what may be secret"),
    ],
)
def test_what_a_contract_cannot_carry_is_listed_in_it_and_in_the_declaration(changes: Any, clause: str) -> None:
    trip = round_trip(declared(**changes))
    (missing,) = trip.exported.not_carried
    assert clause in missing
    assert trip.imported.not_understood == [f"not in the contract: {missing}"]
    assert f"# * not in the contract: {missing}" in write_declaration(trip.imported)
    assert "t0ken" not in str(trip.document)


def test_a_rule_of_ones_own_is_described_in_words() -> None:
    rule = Rule("sold_later", pl.col("id") > 0, "it is sold later")
    trip = round_trip(declared(schema=replace(declared().schema, rules=(rule,))))
    assert trip.document["schema"][0]["quality"] == [
        {"name": "sold_later", "description": "it is sold later", "type": "text"}
    ]
    assert trip.exported.not_carried == ("the condition of rule sold_later",)
    assert "schema.goods.quality[0].description: 'it is sold later'" in trip.imported.not_understood


def test_the_standard_has_what_others_read() -> None:
    schema = Schema(
        (
            Column("id", "integer", required=True, minimum=1),
            Column("mail", "text", sensitive=True, length=80, references="core.people.mail"),
            Column("size", "text", allowed=("S", "M")),
        ),
        ("id",),
    )
    document = round_trip(declared(schema=schema, freshness=dt.timedelta(hours=6), tags={"domain": "retail"})).document
    number, mail, size = document["schema"][0]["properties"]
    assert (number["primaryKey"], number["logicalType"], number["physicalType"]) == (True, "integer", "bigint")
    assert number["logicalTypeOptions"] == {"minimum": 1}
    assert (mail["classification"], mail["logicalTypeOptions"]) == ("sensitive", {"maxLength": 80})
    assert mail["relationships"] == [{"type": "foreignKey", "to": "people.mail"}]
    assert size["enum"] == [{"value": "S"}, {"value": "M"}]
    assert document["slaProperties"] == [{"property": "latency", "value": 6, "unit": "h"}]
    assert document["team"] == {"members": [{"username": "team:tests", "role": "owner"}]}
    assert (document["tags"], document["description"]) == (["domain=retail"], {"purpose": "Goods in stock."})


def test_an_api_is_carried_with_the_name_of_its_secret() -> None:
    assert issubclass(RestExtractor, object)
    trip = round_trip(SOURCES["password"])
    assert 'password=Secret("ZIP")' in str(trip.document["customProperties"])
