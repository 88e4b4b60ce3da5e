"""An expression has the same result in SQL as in Polars for every row, or it is not translated."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st
from polars import col, lit
from psycopg import sql

from etl_assets.errors import DeclarationError
from etl_assets.model.expectation import Expectation
from etl_assets.schema import Column, Rule
from etl_assets.schema.rules import NotAudited

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.schema import DataType

COLUMNS = {
    "i": Column("i", "integer"),
    "j": Column("j", "integer"),
    "f": Column("f", "float"),
    "d": Column("d", "decimal", precision=14, scale=2),
    "e": Column("e", "decimal", precision=30, scale=6),
    "t": Column("t", "text"),
    "s": Column("s", "text"),
    "b": Column("b", "boolean"),
    "day": Column("day", "date"),
    "eve": Column("eve", "date"),
    "at": Column("at", "timestamp"),
    "since": Column("since", "timestamp"),
    "instant": Column("instant", "timestamp", zone="Europe/Paris"),
    "moment": Column("moment", "timestamp", zone="UTC"),
    "clock": Column("clock", "time"),
    "u": Column("u", "uuid"),
    "v": Column("v", "uuid"),
    "doc": Column("doc", "json"),
}
TYPES: dict[str, DataType] = {name: column.type for name, column in COLUMNS.items()}
_INTEGERS = st.one_of(st.integers(-3, 3), st.sampled_from([2**53, 2**53 + 1, -(2**62)]))
_CENTS = st.integers(-500, 500).map(lambda cents: Decimal(cents).scaleb(-2))
_TEXTS = st.sampled_from(["", "a", "A", "ab", "aé", "é", "ß", "'", '"', "%", ":x", "{x}", "\\", "b a", "z", "Ä"])
_DAYS = st.dates(date(2024, 2, 27), date(2024, 3, 2))
_READINGS = st.sampled_from([datetime(2024, 2, 29, 23, 59, 59, 999999), datetime(2024, 3, 1), datetime(2023, 12, 31)])  # noqa: DTZ001
_UUIDS = st.sampled_from(["00000000-0000-0000-0000-000000000001", "ffffffff-0000-0000-0000-000000000001"])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "integer": _INTEGERS,
    "float": st.sampled_from([0.0, -0.0, 1.5, -2.25, 2.0**53, 1e300]),
    "decimal": _CENTS,
    "text": _TEXTS,
    "boolean": st.booleans(),
    "date": _DAYS,
    "timestamp": _READINGS,
    "instant": _READINGS.map(lambda reading: reading.replace(tzinfo=UTC)),
    "time": st.sampled_from([time(0), time(12, 30), time(23, 59, 59, 999999)]),
    "uuid": _UUIDS,
    "json": st.just('{"a": 1}'),
}
FEW = st.sampled_from([1, 2, 3])
_CLOSED: tuple[Literal["both", "left", "right", "none"], ...] = ("both", "left", "right", "none")


def kind_of(name: str) -> str:
    return "instant" if TYPES[name].is_instant else TYPES[name].name


def named(*kinds: str) -> st.SearchStrategy[pl.Expr]:
    return st.sampled_from([col(name) for name in COLUMNS if kind_of(name) in kinds])


@st.composite
def terms(draw: st.DrawFn, kind: str) -> pl.Expr:
    """Draw a column, a value or a computation of a kind."""
    term: pl.Expr = draw(st.one_of(named(kind), VALUES[kind].map(lit)))
    match draw(FEW), kind:
        case 1, "integer" | "decimal" | "float":
            small = draw(st.one_of(named(kind), st.integers(-2, 2).map(lit)))
            term = draw(st.sampled_from([term + small, term - small, term.abs()]))
        case 1, "timestamp" | "instant":
            term = term + lit(timedelta(days=1, microseconds=1))
        case 1, _:
            other = draw(st.one_of(named(kind), VALUES[kind].map(lit)))
            term = draw(st.sampled_from([pl.coalesce(term, other), term.fill_null(other)]))
        case _:
            pass
    return term


@st.composite
def comparisons(draw: st.DrawFn) -> pl.Expr:
    """Draw a Boolean expression over a row."""
    kind = draw(st.sampled_from([kind for kind in VALUES if kind not in {"uuid", "json"}]))
    first, second, third = draw(terms(kind)), draw(terms(kind)), draw(terms(kind))
    text, part = draw(named("text")), draw(_TEXTS)
    moment = draw(named("date", "timestamp", "instant"))
    apart = draw(st.sampled_from([col("day") - col("eve"), col("at") - col("since"), col("instant") - col("moment")]))
    limit = lit(draw(st.sampled_from([timedelta(0), timedelta(days=1), timedelta(microseconds=1)])))
    return draw(
        st.sampled_from(
            [
                *(first == second, first != second, first < second, first <= second, first > second, first >= second),
                *(first.is_null(), first.is_not_null(), first.eq_missing(second), first.ne_missing(second)),
                *(first.is_between(second, third, closed=closed) for closed in _CLOSED),
                *(first.is_in(draw(st.lists(VALUES[kind], min_size=1, max_size=10))) for _ in range(3)),
                *(text.str.starts_with(part), text.str.ends_with(part), text.str.contains(part, literal=True)),
                *(text.str.len_chars() > len(part), apart > limit, apart <= limit),
                *(moment.dt.year() > 2023, moment.dt.month() == 2, moment.dt.day() != 29),
                *(col("i") > col("f"), col("d") >= col("i"), col("d") == col("e"), col("f") < 3, col("i") > 1.5),
                *(col("u") == col("v"), col("u") < col("v"), col("doc").is_null()),
            ]
        )
    )


@st.composite
def _joined(draw: st.DrawFn, parts: st.SearchStrategy[pl.Expr]) -> pl.Expr:
    a, b = draw(parts), draw(parts)
    logic = [a & b, a | b, ~a, a ^ b, pl.all_horizontal(a, b), pl.any_horizontal(a, b)]
    return draw(st.sampled_from([*logic, pl.when(a).then(b).otherwise(a), pl.when(a).then(b)]))


CONDITIONS = st.recursive(comparisons(), _joined, max_leaves=4)
ROW = st.fixed_dictionaries({name: st.one_of(st.none(), VALUES[kind_of(name)]) for name in COLUMNS})
ROWS = st.lists(ROW, min_size=1, max_size=8)


@pytest.fixture(scope="module")
def connection(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres_url, autocommit=True) as opened:
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(type_.postgres)) for name, type_ in TYPES.items()
        )
        opened.execute("SET TimeZone = 'Asia/Kathmandu'")
        opened.execute(sql.SQL("CREATE TEMPORARY TABLE audited (n bigint, {})").format(columns))
        yield opened


def audited(rule: Rule) -> Expectation | NotAudited:
    return rule.audit(TYPES, ("n",))


def violating(connection: psycopg.Connection[Any], expectation: Expectation) -> list[int]:
    query = expectation.arguments["unexpected_rows_query"].replace("{batch}", "audited")
    return sorted(n for (n,) in connection.execute(query.encode()))


@given(condition=CONDITIONS, rows=ROWS)
@settings(max_examples=200, suppress_health_check=list(HealthCheck))
def test_postgres_finds_the_rows_that_polars_finds(
    connection: psycopg.Connection[Any], condition: pl.Expr, rows: list[dict[str, Any]]
) -> None:
    note(str(condition))
    rule = Rule("condition", condition, "words")
    frame = pl.DataFrame(rows, schema={name: type_.polars for name, type_ in TYPES.items()})
    try:
        rule.check(TYPES, "the test")
        broken = rule.violations(frame)
    except DeclarationError:
        assume(False)  # noqa: FBT003 -- without a column, or of kinds that Polars does not compare
    expectation = audited(rule)
    if isinstance(expectation, NotAudited):
        assert "translated" in expectation.reason
        return
    connection.execute("TRUNCATE audited")
    placeholders = sql.SQL(", ").join([sql.Placeholder()] * (len(TYPES) + 1))
    numbered = [(number, *(row[name] for name in TYPES)) for number, row in enumerate(rows)]
    with connection.cursor() as cursor:
        cursor.executemany(sql.SQL("INSERT INTO audited VALUES ({})").format(placeholders), numbered)
    assert violating(connection, expectation) == [n for n, bad in enumerate(broken) if bad]


@pytest.mark.parametrize(
    "condition",
    [
        col("at") > col("since"),
        col("i").is_in([1, 2]) | col("t").str.starts_with("a"),
        pl.when(col("b")).then(col("d") > Decimal("0.5")).otherwise(statement=True),
        (col("i") + col("j") == 3) & ~col("doc").is_null(),
        col("day") - col("eve") <= timedelta(days=30),
        col("t").str.len_chars().is_between(1, 3),
        col("d") > 0.5,
    ],
    ids=str,
)
def test_typical_rules_are_translated(condition: pl.Expr) -> None:
    assert isinstance(audited(Rule("r", condition, "w")), Expectation)


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        (col("t").str.contains("a+"), "a regular expression is not translated into SQL"),
        (col("t").str.to_uppercase() == "A", "Uppercase is not translated into SQL"),
        (col("d") * col("e") > 1, "Polars rounds the product of decimals"),
        (col("e") > 0.5, "a decimal of more than 15 digits is compared as a float; compare it with a Decimal"),
        (col("i") / 2 > 1, "TrueDivide is not translated into SQL"),
        (col("i").cast(pl.String) == "1", "Cast is not translated into SQL"),
        (col("t").is_in(["a", None]), "is_in of other than a list of values is not translated into SQL"),
        (col("day") < col("at"), "date beside timestamp is not translated into SQL"),
        (col("doc") == "{}", "json beside text is not translated into SQL"),
    ],
    ids=str,
)
def test_an_expression_with_another_meaning_in_postgres_is_not_translated(condition: pl.Expr, reason: str) -> None:
    assert audited(Rule("r", condition, "w")) == NotAudited(reason)


def test_a_function_is_not_translated() -> None:
    rule = Rule("r", lambda frame: frame["i"] > 0, "w", columns=("i",))
    assert audited(rule) == NotAudited("a function has no equivalent in SQL")
