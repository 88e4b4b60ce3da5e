"""The validator and the oracle agree on every cell, for every type and rule."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_assets.schema import Column, Schema
from etl_assets.schema.date_formats import directives
from etl_assets.validate import RuleValidator
from etl_assets_tests.validate.oracle import judge
from etl_assets_tests.validate.published import PublishedBatch

ODD = [
    "",
    " ",
    "0",
    "-0",
    "+",
    "-",
    ".",
    "1e5",
    "1e999",
    "1e-999",
    "NaN",
    "inf",
    "Infinity",
    "\u0665",
    "1_0",
    "0x10",
    "now",
]
COLUMNS = {
    "integer": Column("x", "integer"),
    "integer with bounds": Column("x", "integer", required=True, minimum=-5, maximum=2**53 + 1),
    "integer with broken bounds": Column("x", "integer", minimum=-1.5, maximum=Decimal("7.5")),
    "integer with allowed": Column("x", "integer", allowed=(1, 2, -3)),
    "integer with strip, null, default": Column("x", "integer", strip=True, null=("NA", "-"), default="7"),
    "float": Column("x", "float"),
    "float with bounds": Column("x", "float", minimum=-0.5, maximum=1e9),
    "decimal": Column("x", "decimal", precision=12, scale=2),
    "decimal with bounds": Column("x", "decimal", precision=10, scale=3, minimum=-1.25, maximum=Decimal("99.99995")),
    "decimal whole": Column("x", "decimal", precision=38, scale=0),
    "decimal fraction": Column("x", "decimal", precision=38, scale=38),
    "decimal widest": Column("x", "decimal", precision=38, scale=10),
    "boolean": Column("x", "boolean", true=("true", "1", "Y"), false=("false", "0", "N")),
    "uuid": Column("x", "uuid"),
    "text": Column("x", "text", required=True, length=5, pattern="[a-cé]+.?", allowed=("abc", "a", "bcé\n")),
    "text with lines": Column("x", "text", pattern="a$|^b.c|d|de"),
    "text with many allowed": Column("x", "text", allowed=tuple("abcdefghijkl"), strip=True, null=("a", "b")),
    "text flags": Column("x", "text", pattern="(?i)[a-c]{2,4}", length=3),
}
FORMATS: dict[str, Column] = {
    "date": Column("x", "date", minimum=date(1900, 1, 1)),
    "date of the US": Column("x", "date", formats=("%m/%d/%Y", "%d/%m/%Y", "%Y-%m-%d")),
    "date unpadded": Column("x", "date", formats=("%-m/%-d/%Y",)),
    "date short year": Column("x", "date", formats=("%-m/%-d/%y", "%d-%b-%y")),
    "date named": Column("x", "date", formats=("%d-%b-%Y", "%B %-d, %Y")),
    "date touching": Column("x", "date", formats=("%Y%m%d", "%-m%-d%Y")),
    "date odd": Column("x", "date", formats=("%Y%%%m é.%d+",)),
    "timestamp": Column("x", "timestamp", maximum=datetime(2050, 1, 1)),  # noqa: DTZ001
    "timestamp fraction": Column("x", "timestamp", formats=("%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M")),
    "timestamp fraction odd": Column("x", "timestamp", formats=("%Y-%m-%d %H:%M:%S,%f",)),
    "timestamp offset": Column("x", "timestamp", formats=("%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z")),
    "timestamp mixed": Column("x", "timestamp", formats=("%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d"), zone="America/New_York"),
    "timestamp short year": Column("x", "timestamp", formats=("%m/%d/%y %-I:%M %p", "%y%m%d%H%z"), zone="Europe/Paris"),
    "timestamp with Z written out": Column("x", "timestamp", formats=("%Y%m%dT%H%MZ",), zone="Asia/Kathmandu"),
    "timestamp half day": Column("x", "timestamp", formats=("%m/%d/%Y %I:%M:%S %p",)),
    "timestamp hour": Column("x", "timestamp", formats=("%Y-%m-%d %H", "%Y%m%d%H%M%S")),
    "time": Column("x", "time", minimum=time(6)),
    "time half": Column("x", "time", formats=("%-I:%M%p", "%H:%M:%S.%f", "%H")),
}


def check(column: Column, cells: list[str | None], decimal: str = ".") -> None:
    key = Column("k", "integer", required=True)
    numbers = [str(index) for index in range(len(cells))]
    schema = Schema((key, column), key=("k",))
    verdict = RuleValidator().validate(PublishedBatch({"k": numbers, "x": cells}, decimal=decimal), schema)
    expected = [judge(column, cell, decimal) for cell in cells]
    rules = {index + 1: broken for index, (_, broken) in enumerate(expected) if broken}
    assert dict(verdict.rejected.iter_rows()) == rules
    values = [value for value, broken in expected if not broken]
    assert verdict.rows["x"].to_list() == values
    assert list(map(type, verdict.rows["x"].to_list())) == list(map(type, values))


def mutated(texts: st.SearchStrategy[str], alphabet: str) -> st.SearchStrategy[str]:
    """Texts with one character inserted, removed or replaced."""
    change = st.tuples(texts, st.integers(0, 40), st.sampled_from([*alphabet, ""]), st.integers(0, 1))
    return change.map(lambda drawn: drawn[0][: drawn[1]] + drawn[2] + drawn[0][drawn[1] + drawn[3] :])


NUMBERS = st.one_of(
    st.integers().map(str),
    st.sampled_from([-(2**63), -(2**63) - 1, 2**63, 2**63 - 1, 2**53 + 1, 2**53 + 2]).map(str),
    st.integers(-(10**6), 10**6).map(lambda value: f"{value / 1000:.3f}"),
    st.floats().map(repr),
    st.decimals(allow_nan=False, allow_infinity=False, places=38).map(lambda value: format(value, "f")),
    st.decimals(min_value=-1, max_value=1, places=38).map(lambda value: format(value, "f")),
    st.tuples(st.from_regex(r"\A[+-]?0{0,45}[0-9]{0,39}\Z"), st.from_regex(r"\A(\.[0-9]{0,12}0{0,45})?\Z")).map(
        "".join
    ),
    st.text("0123456789+-.,eE_", max_size=8),
)
CELLS = {
    "integer": NUMBERS,
    "float": NUMBERS,
    "decimal": NUMBERS,
    "boolean": st.sampled_from(["true", "True", "1", "Y", "N", "0", "false", "no", "y", "t"]),
    "uuid": st.builds(lambda: str(uuid4())).flatmap(
        lambda text: st.sampled_from([text, text.upper(), "{" + text + "}"])
    ),
    "text": st.one_of(st.text("abcdeéAC\n \0", max_size=7), st.text(max_size=3)),
}
CHECKED = settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("what", COLUMNS)
@given(data=st.data())
@CHECKED
def test_a_cell_has_the_value_of_the_oracle(what: str, data: st.DataObject) -> None:
    column = COLUMNS[what]
    plain = CELLS[column.type.name]
    cell = st.one_of(st.none(), plain, mutated(plain, "0123456789+-.eE ,\n\0é"), st.sampled_from([*ODD, "NA", " 7 "]))
    check(column, data.draw(st.lists(cell, max_size=30)))


EDGES = [
    *(str(number) for number in range(-12, 13)),
    *("-1.250", "-1.251", "-1.249", "99.999", "100.000", "99.9990", "-0.5", "-0.50001", "1e9", "1.0000001e9"),
    *("9007199254740993", "9007199254740994", "9" * 38, "9" * 39, "0." + "9" * 38, "0" * 50 + "1." + "0" * 50),
    *("9999999999.99", "10000000000.00", "abc", "ab", "a", "A", "aBc", "abcd", "a\n", "b\nc", "l", "m", "a\0"),
]


@pytest.mark.parametrize("what", COLUMNS)
def test_a_cell_at_the_edge_of_a_rule_has_the_value_of_the_oracle(what: str) -> None:
    check(COLUMNS[what], [*EDGES, *ODD, None])


@pytest.mark.parametrize("what", ["float", "decimal", "decimal with bounds", "integer"])
@given(cells=st.lists(st.one_of(NUMBERS, NUMBERS.map(lambda text: text.replace(".", ","))), max_size=30))
@CHECKED
def test_with_a_decimal_comma_a_point_is_not_accepted(what: str, cells: list[str | None]) -> None:
    check(COLUMNS[what], cells, decimal=",")


PARTS = {
    "%Y": ["2024", "2023", "0000", "0001", "9999", "1900", "2000", "1969", "024", "12024"],
    "%y": [f"{year:02}" for year in range(100)] + ["7"],
    "%m": [f"{month:02}" for month in range(14)] + ["7"],
    "%-m": [str(month) for month in range(14)] + ["07", "007"],
    "%d": [f"{day:02}" for day in range(33)] + ["7"],
    "%-d": [str(day) for day in range(33)] + ["07", "007"],
    "%H": [f"{hour:02}" for hour in range(26)] + ["7"],
    "%I": [f"{hour:02}" for hour in range(14)] + ["7"],
    "%-I": [str(hour) for hour in range(14)] + ["07", "007"],
    "%p": ["AM", "PM", "am", "pm", "Am", ""],
    "%M": ["30", "00", "59", "60", "7"],
    "%S": ["30", "00", "59", "60", "61", "7"],
    "%f": ["5", "000001", "999999", "123", "1234567", ""],
    "%z": ["Z", "+02:00", "-0330", "+00:00", "-00:30", "+24:00", "-23:59", "+01:60", "z", "+2", "", " +02:00"],
    "%b": ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "feb", "June", "DEC"],
    "%B": [
        "May",
        "January",
        "February",
        "March",
        "June",
        "September",
        "October",
        "November",
        "December",
        "december",
        "Dec",
    ],
    "%%": ["%", "%%"],
}
TYPICAL = {"%m": "02", "%-m": "2", "%d": "03", "%-d": "3", "%H": "13", "%I": "12", "%-I": "12", "%y": "24"}


def written(column: Column) -> st.SearchStrategy[str]:
    """Texts in the column's formats, combined without regard to the calendar."""

    def of(format_: str) -> st.SearchStrategy[str]:
        return st.tuples(*(st.sampled_from(PARTS.get(part, [part])) for part in directives(format_))).map("".join)

    return st.one_of([of(format_) for format_ in column.type.formats])


def varied(format_: str) -> list[str]:
    """Return texts of a format in which one part has every valid and invalid value, alone or with a special day."""
    parts = list(directives(format_))
    typical = [TYPICAL.get(part, PARTS.get(part, [part])[0]) for part in parts]
    texts = []
    for varying, part in enumerate(parts):
        for value in PARTS.get(part, [part, "", " " + part]):
            changed = [*typical[:varying], value, *typical[varying + 1 :]]
            texts.append("".join(changed))
            for index, other in enumerate(parts):
                beside = ("29", "31", "PM") if other in {"%d", "%-d", "%p"} and index != varying else ()
                texts.extend("".join([*changed[:index], day, *changed[index + 1 :]]) for day in beside)
    return texts


@pytest.mark.parametrize("what", FORMATS)
def test_every_part_of_a_date_or_time_has_the_value_of_the_oracle(what: str) -> None:
    column = FORMATS[what]
    check(column, [text for format_ in column.type.formats for text in varied(format_)])


@pytest.mark.parametrize("what", FORMATS)
@given(data=st.data())
@CHECKED
def test_a_date_or_time_has_the_value_of_the_oracle(what: str, data: st.DataObject) -> None:
    column = FORMATS[what]
    plain = written(column)
    cell = st.one_of(
        st.none(), plain, plain, plain, mutated(plain, "0123456789+-:/. TZ\n\té\u0663"), st.sampled_from(ODD)
    )
    check(column, data.draw(st.lists(cell, max_size=40)))


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
@given(readings=st.lists(st.datetimes(), max_size=40))
@CHECKED
def test_local_readings_become_the_instants_of_the_oracle(zone: str, readings: list[datetime]) -> None:
    column = Column("x", "timestamp", zone=zone)
    check(column, [reading.replace(microsecond=0).isoformat(" ") for reading in readings])


def test_a_bound_without_an_offset_is_read_in_the_zone_of_the_column() -> None:
    column = Column("x", "timestamp", zone="Europe/Paris", minimum=datetime(2024, 7, 1), maximum=datetime(2024, 7, 2))  # noqa: DTZ001
    check(column, ["2024-06-30 23:59:59", "2024-07-01 00:00:00", "2024-07-02 00:00:00", "2024-07-02 00:00:01"])


@pytest.mark.parametrize("reading", ["2024-03-31 02:30:00", "2024-10-27 02:30:00", "2179-03-28 02:30:00"])
def test_a_reading_that_the_clock_showed_never_or_twice_is_rejected(reading: str) -> None:
    column = Column("x", "timestamp", zone="Europe/Paris")
    assert judge(column, reading) == (None, ["x__type"])
    check(column, [reading])
