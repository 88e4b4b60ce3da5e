"""dlt's state is kept with a delivery: what moves it, and what does not."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import DltExtractor
from etl_assets.errors import DeliveryError, DeliveryMissingError
from etl_assets.model.partitions import Partition
from etl_assets_tests.dlt_feeds import fetch, yielding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def incremental(
    *values: int, fails_after: int | None = None, limit: int | None = None, width: int = 1, **options: Any
) -> Any:
    """Return a function that makes an incremental resource of some values."""

    def make() -> Any:
        import dlt

        @dlt.resource(name="orders")
        def orders(updated: Any = dlt.sources.incremental("updated", **options)) -> Iterator[Any]:  # noqa: B008 -- dlt's way
            for place, value in enumerate(values):
                if place == fails_after:
                    raise ValueError("a record: Ada, 4711")
                if updated.start_value is None or value >= updated.start_value:
                    yield {"id": place, "updated": value, "text": "x" * width}

        return orders if limit is None else orders.add_limit(limit)

    return make


def last_value(state: dict[str, Any]) -> Any:
    (source,) = state["dlt"]["sources"].values()
    return source["resources"]["orders"]["incremental"]["updated"]["last_value"]


def test_a_second_fetch_has_what_is_new_since_the_first() -> None:
    first = fetch(incremental(1, 2))
    second = fetch(incremental(1, 2, 3), first.state)
    assert [record["updated"] for record in first.records] == [1, 2]
    assert [record["updated"] for record in second.records] == [3]
    assert (last_value(first.state), last_value(second.state)) == (2, 3)


def test_a_fetch_without_a_state_has_everything() -> None:
    first = fetch(incremental(1, 2))
    again = fetch(incremental(1, 2, 3))
    assert len(again.records) == 3
    assert last_value(first.state) == 2


def test_the_state_of_an_earlier_fetch_is_not_changed() -> None:
    state = fetch(incremental(1, 2)).state
    before = repr(state)
    fetch(incremental(1, 2, 3), state)
    assert repr(state) == before


def test_a_fetch_that_breaks_has_no_state_and_breaks_at_every_read() -> None:
    with DltExtractor(incremental(*range(300), fails_after=250, width=10_000)).fetch(Partition()) as fetched:
        for _ in range(2):
            with pytest.raises(DeliveryError, match="ValueError"):
                fetched.stream.read()
        assert fetched.state == {}


def test_a_fetch_that_is_left_early_has_no_state_and_ends_the_generator() -> None:
    ended = []

    def make() -> Any:
        import dlt

        @dlt.resource(name="orders")
        def orders(updated: Any = dlt.sources.incremental("updated")) -> Iterator[Any]:  # noqa: ARG001, B008 -- dlt's way
            try:
                for value in range(1000):
                    yield {"updated": value, "text": "x" * 10_000}
            finally:
                ended.append(value)

        return orders

    with DltExtractor(make).fetch(Partition()) as fetched:
        assert fetched.stream.read(10)
    assert fetched.state == {}
    assert len(ended) == 1
    assert ended[0] < 999


def test_nothing_new_is_a_delivery_without_records_that_keeps_the_state() -> None:
    first = fetch(incremental(1, 2))
    second = fetch(incremental(1, 2), first.state)
    assert second.data == b"\n"
    assert last_value(second.state) == 2
    assert second.notes == ["The publisher has nothing new."]


def test_a_fetch_of_everything_without_a_record_is_refused() -> None:
    with pytest.raises(DeliveryMissingError, match=r"no record. Nothing was written.*empty_ok=True"):
        fetch(yielding())


def test_a_fetch_of_everything_without_a_record_is_a_delivery_if_that_is_declared() -> None:
    assert fetch(yielding([]), empty_ok=True).data == b"\n"


def test_a_resource_without_a_state_has_none() -> None:
    assert fetch(yielding({"a": 1})).state == {}


def module(name: str, code: str) -> Callable[[], Any]:
    """Return the function ``make`` of a module of that name."""
    made = ModuleType(name)
    sys.modules[name] = made
    exec(code, made.__dict__)  # noqa: S102 -- written in this file
    make: Callable[[], Any] = made.__dict__["make"]
    return make


KEEPS = """
def make():
    import dlt
    @dlt.resource(name="orders")
    def orders():
        state = dlt.current.resource_state()
        state["fetches"] = state.get("fetches", 0) + 1
        shared = dlt.current.source_state()
        shared["fetches"] = shared.get("fetches", 0) + 10
        yield {"own": state["fetches"], "shared": shared["fetches"]}
    return orders
"""


def test_a_renamed_file_finds_its_state_again() -> None:
    first = fetch(module("dlt_feed_of_old", KEEPS))
    second = fetch(module("dlt_feed_of_new", KEEPS), first.state)
    third = fetch(module("dlt_feed_of_old", KEEPS), second.state)
    assert second.records == [{"own": 2, "shared": 20}]
    assert third.records == [{"own": 3, "shared": 30}]
    assert list(third.state["dlt"]["sources"]) == ["dlt_feed_of_old"]


def test_the_function_of_a_source_reads_the_state() -> None:
    def make() -> Any:
        import dlt

        @dlt.source(name="shop")
        def shop() -> Any:
            known = dlt.current.source_state().get("seen", 0)
            dlt.current.source_state()["lost"] = known

            @dlt.resource(name="orders")
            def orders() -> Iterator[Any]:
                dlt.current.source_state()["seen"] = known + 1
                yield {"seen": known}

            return orders

        return shop()

    first = fetch(make)
    second = fetch(make, first.state)
    assert second.records == [{"seen": 1}]
    assert second.state["dlt"]["sources"] == {"shop": {"seen": 2}}


def test_values_of_python_in_a_state_come_back_as_they_were() -> None:
    values = {"moment": datetime(2024, 1, 31, 8, 5, tzinfo=UTC), "amount": Decimal("1.10"), "bytes": b"\x00\xff"}
    found: dict[str, Any] = {}

    def make() -> Any:
        import dlt

        @dlt.resource(name="orders")
        def orders() -> Iterator[Any]:
            found.update(dlt.current.resource_state())
            dlt.current.resource_state().update(values)
            yield {"a": 1}

        return orders

    fetch(make, fetch(make).state)
    assert found == values


@pytest.mark.parametrize("value", [object(), "\x00", "x" * (8 * 1024**2)], ids=["object", "NUL", "large"])
def test_a_state_that_cannot_be_kept_is_refused(value: Any) -> None:
    def make() -> Any:
        import dlt

        @dlt.resource(name="orders")
        def orders() -> Iterator[Any]:
            dlt.current.resource_state()["own"] = value
            yield {"a": 1}

        return orders

    with pytest.raises(DeliveryError, match=r"The state of dlt:orders .*Nothing was written"):
        fetch(make)


def test_a_state_of_another_extractor_stands_for_none() -> None:
    assert len(fetch(incremental(1, 2), {"cursor": {"by": "updated", "value": "2"}}).records) == 2


def test_fetches_in_one_thread_do_not_disturb_each_other() -> None:
    extractors = [DltExtractor(incremental(*range(first, first + 300), width=10_000)) for first in (0, 1000)]
    with extractors[0].fetch(Partition()) as one, extractors[1].fetch(Partition()) as other:
        while one.stream.read(65_536) + other.stream.read(65_536):
            pass
    assert (last_value(one.state), last_value(other.state)) == (299, 1299)


def test_fetches_in_several_threads_do_not_disturb_each_other() -> None:
    def twice(first: int) -> int:
        state = fetch(incremental(*range(first, first + 50), width=10_000)).state
        return len(fetch(incremental(*range(first, first + 60), width=10_000), state).records)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(twice, range(0, 800, 100))) == [10] * 8


def test_a_record_that_comes_late_is_found_within_the_lag() -> None:
    first = fetch(incremental(10, 20, lag=5))
    found = fetch(incremental(10, 20, 13, 16, lag=5), first.state).records
    assert [record["updated"] for record in found] == [20, 16]
    assert last_value(first.state) == 20


def test_a_limit_of_an_incremental_resource_is_refused() -> None:
    with pytest.raises(DeliveryError, match=r"limited by add_limit, and incremental.*row_order='asc'"):
        fetch(incremental(3, 1, 2, limit=1))


def test_a_limit_of_an_incremental_resource_in_order_is_filled_by_the_next_fetch() -> None:
    first = fetch(incremental(1, 2, 3, limit=1, row_order="asc"))
    second = fetch(incremental(1, 2, 3, 4, limit=2, row_order="asc"), first.state)
    assert [record["updated"] for record in (*first.records, *second.records)] == [1, 2, 3]


def test_a_limit_of_a_resource_without_a_state_is_kept() -> None:
    def make() -> Any:
        return yielding({"a": 1}, {"a": 2}, {"a": 3})().add_limit(2)

    assert fetch(make).records == [{"a": 1}, {"a": 2}]
