"""Casts dates, timestamps and times that are written exactly as declared, with Polars expressions.

A cell must match the regular expression of its format, built from ``DIRECTIVES``, from end to end. It is then parsed in
one of two ways. Polars' own parser is fast, and is used where it is known to agree with the expression. Otherwise the
parts are converted one by one: two-digit years, an hour without minutes, digits without a separator. Polars' parser
alone would accept ``2023-2-3``, ``+2023-2-03`` and ``23:59:60``, and would read 69 as 2069.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import polars as pl

from etl_assets.schema.date_formats import DIRECTIVES, PARTS, directives

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.schema import DataType
    from etl_assets.validate.intermediate_columns import IntermediateColumns

_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}
_SHAPES: Final = {**DIRECTIVES, "%z": "[+-][0-9]{2}:?[0-9]{2}"}
_INSTANT: Final = pl.Datetime("us", "UTC")
_TABLE_END: Final = datetime(2100, 1, 1)  # noqa: DTZ001 -- a wall-clock reading, of any zone
_CENTURY_PIVOT: Final = 69
_LAST_OFFSET_HOUR: Final = 23
_LAST_MINUTE: Final = 59


def cast_moment(type_: DataType, cell: pl.Expr, intermediate: IntermediateColumns) -> pl.Expr:
    """Return the value of a date, timestamp or time, by the first format that matches the cell and gives a value.

    Args:
        type_: Type of the column.
        cell: A String expression.
        intermediate: Collects the intermediate columns.
    """
    values = [
        _parse(type_, variant, cell, intermediate, zulu=zulu)
        for format_ in type_.formats
        for variant, zulu in _variants(format_)
    ]
    value = intermediate.add(pl.coalesce(values))
    if type_.name == "time":
        return value
    return pl.when(in_range(value, type_.polars)).then(value)


def shape(format_: str, *, named: bool = False) -> str:
    """Return the regular expression of a format, anchored at both ends; ``%z`` matches offsets other than Z."""
    pieces = []
    for part in directives(format_):
        if part not in _SHAPES:
            pieces.append(re.escape(part))
        elif named and part in PARTS:
            pieces.append(f"(?P<{PARTS[part]}>{_SHAPES[part]})")
        else:
            pieces.append(_SHAPES[part])
    return rf"\A{''.join(pieces)}\z"


def _variants(format_: str) -> Iterator[tuple[str, bool]]:
    """Yield a format, and whether its readings are in UTC; one with ``%z`` twice, since Z alone parses much faster."""
    parts = list(directives(format_))
    if "%z" in parts:
        yield "".join("Z" if part == "%z" else part for part in parts), True
    yield format_, False


def _parse(type_: DataType, format_: str, cell: pl.Expr, intermediate: IntermediateColumns, *, zulu: bool) -> pl.Expr:
    native = _polars_format(type_, format_)
    if native is None:
        value = _from_parts(type_, format_, cell, intermediate)
    else:
        matching = pl.when(cell.str.contains(shape(format_))).then(cell)
        if type_.name == "date":
            value = matching.str.to_date(native, strict=False, cache=False)
        elif type_.name == "time":
            value = matching.str.to_time(native, strict=False, cache=False)
        else:
            value = matching.str.to_datetime(native, time_unit="us", strict=False, cache=False)
    if not type_.is_instant or "%z" in directives(format_):
        return value
    return to_instants(value, "UTC" if zulu else type_.zone or "UTC", intermediate)


def to_instants(value: pl.Expr, zone: str, intermediate: IntermediateColumns) -> pl.Expr:
    """Convert wall-clock readings of a zone to instants; null if the clock showed the reading never or twice.

    Polars' table of clock changes ends with the year 2099. Python converts later readings, one by one.
    """
    if zone == "UTC":
        return value.dt.replace_time_zone("UTC")
    value = intermediate.add(value)
    late = intermediate.add(value >= pl.lit(_TABLE_END))
    fast = pl.when(~late).then(value).dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
    slow = pl.when(late).then(value).map_batches(partial(_instants, zone=ZoneInfo(zone)), _INSTANT, is_elementwise=True)
    return pl.coalesce(fast.dt.convert_time_zone("UTC"), slow)


def _instants(readings: pl.Series, zone: ZoneInfo) -> pl.Series:
    if readings.null_count() == len(readings):
        return pl.Series(readings.name, [None], dtype=_INSTANT).new_from_index(0, len(readings))
    instants = [None if reading is None else _instant(reading, zone) for reading in readings]
    return pl.Series(readings.name, instants, dtype=_INSTANT)


def _instant(reading: datetime, zone: ZoneInfo) -> datetime | None:
    first, second = (reading.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() != second.utcoffset():
        return None
    try:
        return first.astimezone(UTC)
    except OverflowError:
        return None


def in_range(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return whether a Date or Datetime is in the years 0001 to 9999, which both Python and PostgreSQL support."""
    first: date = date.min
    last: date = date.max
    if isinstance(dtype, pl.Datetime):
        zone = UTC if dtype.time_zone else None
        first, last = datetime.min.replace(tzinfo=zone), datetime.max.replace(tzinfo=zone)
    return (value >= pl.lit(first, dtype=dtype)) & (value <= pl.lit(last, dtype=dtype))


def _polars_format(type_: DataType, format_: str) -> str | None:
    """Return the format in Polars' notation; None if Polars may parse a matching cell to another value."""
    parts = list(directives(format_))
    named = {part for part in parts if part in PARTS}
    if "%y" in named:
        return None
    if type_.name != "date" and named & {"%H", "%-H", "%I", "%-I"} and "%M" not in named:
        return None
    translated: list[str] = []
    for index, part in enumerate(parts):
        following = parts[index + 1] if index + 1 < len(parts) else ""
        if part.startswith("%-") and (following in PARTS or following.isdigit()):
            return None
        if part == "%f":
            if translated[-2:] != ["%S", "."]:
                return None
            translated[-1] = "%.f"
        else:
            translated.append(part)
    return "".join(translated)


def _from_parts(type_: DataType, format_: str, cell: pl.Expr, intermediate: IntermediateColumns) -> pl.Expr:
    groups = intermediate.add(cell.str.extract_groups(shape(format_, named=True)))
    names = {PARTS[part] for part in directives(format_) if part in PARTS}

    def number(name: str) -> pl.Expr:
        return groups.struct.field(name).cast(pl.Int32) if name in names else pl.lit(0, dtype=pl.Int32)

    hour = number("hour")
    if "half_hour" in names:
        afternoon = groups.struct.field("half").str.to_lowercase() == "pm"
        hour = number("half_hour") % 12 + afternoon.cast(pl.Int32) * 12
    micro = pl.lit(0, dtype=pl.Int32)
    if "fraction" in names:
        micro = groups.struct.field("fraction").str.pad_end(6, "0").cast(pl.Int32)
    if type_.name == "time":
        matches = hour.is_not_null()
        return pl.when(matches).then(pl.time(hour, number("minute"), number("second"), micro))
    day = _calendar_day(groups, names, intermediate)
    if type_.name == "date":
        return day
    clock = pl.duration(hours=hour, minutes=number("minute"), seconds=number("second"), microseconds=micro)
    reading = day.cast(pl.Datetime("us")) + clock
    if "offset" not in names:
        return reading
    return (reading - _offset(groups.struct.field("offset"))).dt.replace_time_zone("UTC")


def _calendar_day(groups: pl.Expr, names: set[str], intermediate: IntermediateColumns) -> pl.Expr:
    """Return the day; null if the calendar does not have it."""
    if "short_year" in names:
        short = intermediate.add(groups.struct.field("short_year").cast(pl.Int32))
        year = short + pl.when(short >= _CENTURY_PIVOT).then(1900).otherwise(2000)
    else:
        year = groups.struct.field("year").cast(pl.Int32)
    if "month_name" in names:
        abbreviation = groups.struct.field("month_name").str.head(3)
        month = abbreviation.replace_strict(_MONTHS, default=None, return_dtype=pl.Int32)
    else:
        month = groups.struct.field("month").cast(pl.Int32)
    month = intermediate.add(month)
    days = pl.duration(days=groups.struct.field("day").cast(pl.Int32) - 1)
    day = intermediate.add(pl.date(year, month, 1) + days)
    return pl.when(day.dt.month() == month).then(day)


def _offset(written: pl.Expr) -> pl.Expr:
    """Return the time ahead of UTC; null if there is no such offset."""
    hours = written.str.slice(1, 2).cast(pl.Int32, strict=False)
    minutes = written.str.tail(2).cast(pl.Int32, strict=False)
    ahead = hours * 60 + minutes
    sign = pl.when(written.str.starts_with("-")).then(-1).otherwise(1)
    sound = (hours <= _LAST_OFFSET_HOUR) & (minutes <= _LAST_MINUTE)
    return pl.duration(minutes=pl.when(sound).then(sign * ahead))
