"""Mistakes in the arguments of DltExtractor, which are found without dlt and without calling the function."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets_tests.declarations.mistakes import E, assert_refused, source, tabled

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets_tests.declarations.mistakes import Mistake

DAYS: Any = E.Daily(date(2024, 1, 1))


def nothing() -> Any:
    raise AssertionError("called when the file is loaded")


def of_partition(partition: Any) -> Any:
    raise AssertionError(f"called when the file is loaded: {partition}")


def of_two(first: Any, second: Any) -> Any:
    raise AssertionError(first, second)


def by_name(*, key: str) -> Any:
    raise AssertionError(key)


def perhaps(partition: Any = None) -> Any:
    raise AssertionError(partition)


def generator() -> Any:
    yield {}


async def asynchronous() -> Any:
    return nothing()


class Resource:
    """Looks like a resource of dlt, which can be called."""

    def __call__(self) -> Any:
        raise AssertionError


Resource.__module__ = "dlt.extract.resource"


def extractor(resource: Any = nothing, more: Any = None, **changes: Any) -> Callable[[], object]:
    return lambda: source(extractor=E.DltExtractor(resource, **changes), **(more or {}))


MISTAKES: dict[str, Mistake] = {
    "no function": (extractor("orders"), "resource", "a function"),
    "a resource itself": (extractor(Resource()), "resource", "a function that imports dlt"),
    "a function that needs two": (extractor(of_two), "resource", "the partition alone"),
    "a function that needs an argument by name": (extractor(by_name), "resource", "the partition alone"),
    "a generator": (extractor(generator), "resource", "dlt.resource(…) of what yields"),
    "an async function": (extractor(asynchronous), "resource", "dlt.resource(…) of what yields"),
    "another format": (extractor(format=E.Csv()), "format", "format=Parquet() for Arrow"),
    "a table of Parquet": (extractor(format=E.Parquet(), table="a__b"), "table", "format=Ndjson()"),
    "partitions of files": (extractor(more={"partitions": E.Files()}), "partitions", "Daily"),
    "partitions without a parameter": (extractor(more={"partitions": DAYS}), "resource", "one parameter"),
    "a parameter without partitions": (extractor(of_partition), "resource", "Declare partitions"),
    "a member": (extractor(member="*.csv"), "member", "Leave it out"),
    "a name that is no text": (extractor(name=7), "name", "a text"),
}


@tabled(MISTAKES)
def test_a_mistake_is_named_with_its_remedy(declare: Callable[[], object], field: str, remedy: str) -> None:
    assert_refused(declare, field, remedy)


@pytest.mark.parametrize(
    "declare",
    [
        extractor(),
        extractor(lambda: None),
        extractor(partial(of_two, 1, 2)),
        extractor(perhaps),
        extractor(perhaps, {"partitions": DAYS}),
        extractor(of_partition, {"partitions": DAYS}),
        extractor(format=E.Ndjson(flatten=True), table="orders__lines", name="orders", empty_ok=True),
        extractor(format=E.Parquet()),
    ],
)
def test_a_sound_declaration_is_accepted(declare: Callable[[], object]) -> None:
    declare()
