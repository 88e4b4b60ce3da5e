"""What a declaration accepts, Dagster accepts: otherwise all sources would fail together when they are loaded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator
from hypothesis import example, given, settings
from hypothesis import strategies as st

from etl_assets.errors import DeclarationError
from etl_assets.model.asset_attributes import check_freshness, check_group, check_name, check_owner, check_tags
from etl_assets.model.cron import problem_of
from etl_assets.model.partitions import Static

_FEWER_EXAMPLES = settings(max_examples=50)
_NUMBERS = st.integers(0, 61).map(str)
_PARTS = st.one_of(
    st.just("*"),
    _NUMBERS,
    st.tuples(_NUMBERS, _NUMBERS).map("-".join),
    st.tuples(st.sampled_from(["*", "1-5", "3"]), st.integers(0, 70)).map(lambda part: f"{part[0]}/{part[1]}"),
    st.sampled_from(
        ["mon", "SUN", "fri-mon", "jan", "nov-feb", "L", "L5", "mon#1", "8#1", "mon#6", "", "?", "1-", "01"]
    ),
)
_FIELDS = st.lists(_PARTS, min_size=1, max_size=2).map(",".join) | st.just("*")
_EXPRESSIONS = st.lists(_FIELDS, min_size=5, max_size=5).map(" ".join)


@given(_EXPRESSIONS)
@example("0 0 29 2 *")
@example("0 0 l * *")
@example("0 0 1 * mon#1")
@settings(max_examples=300)
def test_a_cron_expression_that_is_accepted_has_a_next_moment(expression: str) -> None:
    if problem_of(expression) is None:
        start = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
        moments = schedule_execution_time_iterator(start, expression, "UTC", ascending=True)
        assert len(list(islice(moments, 2))) == 2


@pytest.mark.parametrize(
    "expression",
    [
        "30 4 2 * *",
        "*/15 6-22 * * mon-fri",
        "0 22-2 * * *",
        "0 0 L * *",
        "0 0 * * L5",
        "0 0 * * mon#1",
        "0 0 1 JAN,jul *",
    ],
)
def test_usual_cron_expressions_are_accepted(expression: str) -> None:
    assert problem_of(expression) is None
    dg.ScheduleDefinition(name="x", job_name="x", cron_schedule=expression)


@given(st.from_regex(r"\A(team:.*|[\w.%+-]+@[\w.-]+)\Z") | st.emails())
@example("team:a")
@example("me@example.museum")
@example(".me@example.org")
@_FEWER_EXAMPLES
def test_an_owner_that_is_accepted_is_one_for_dagster(owner: str) -> None:
    try:
        check_owner(owner, "here")
    except DeclarationError:
        return
    assert dg.AssetSpec("x", owners=[owner]).owners == [owner]


@given(st.from_regex(r"[\w. -]{0,65}", fullmatch=True))
@example("aviation")
@example("a" * 64)
@_FEWER_EXAMPLES
def test_a_group_that_is_accepted_is_one_for_dagster(group: str) -> None:
    try:
        check_group(group, "here")
    except DeclarationError:
        return
    assert dg.AssetSpec("x", group_name=group).group_name == group


@given(
    st.dictionaries(st.from_regex(r"[\w./-]{0,66}", fullmatch=True), st.from_regex(r"[\w .-]{0,66}", fullmatch=True))
)
@example({"dagster/kind/csv": "", "a" * 63: "b" * 63, "team/a.b-c": "d"})
@example({"a/b/c": "d"})
@_FEWER_EXAMPLES
def test_tags_that_are_accepted_are_tags_for_dagster(tags: dict[str, str]) -> None:
    try:
        check_tags(tags, "here")
    except DeclarationError:
        return
    assert dg.AssetSpec("x", tags=tags).tags == tags


@given(st.from_regex(r"[a-z0-9_]{0,51}", fullmatch=True) | st.sampled_from(["config", "class", "type", "select"]))
@_FEWER_EXAMPLES
def test_a_name_that_is_accepted_is_one_for_a_job(name: str) -> None:
    try:
        check_name(name, "here")
    except DeclarationError:
        return
    dg.job(name=name)(lambda: None)


@given(st.text(max_size=5) | st.sampled_from(["a...b", "a,b", "a b", "\x7f", "é"]))
@_FEWER_EXAMPLES
def test_a_partition_name_that_is_accepted_is_one_for_dagster(name: str) -> None:
    try:
        Static((name,)).check("here")
    except DeclarationError:
        return
    assert dg.StaticPartitionsDefinition([name]).get_partition_keys() == [name]


@given(st.timedeltas(timedelta(), timedelta(days=999)))
@example(timedelta(minutes=1))
@example(timedelta(seconds=59.9))
@_FEWER_EXAMPLES
def test_a_freshness_that_is_accepted_is_one_for_dagster(freshness: timedelta) -> None:
    try:
        check_freshness(freshness, "here")
    except DeclarationError:
        return
    dg.FreshnessPolicy.time_window(fail_window=freshness)
