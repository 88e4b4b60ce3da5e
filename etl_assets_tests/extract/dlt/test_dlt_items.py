"""What a resource may be, and what it may yield."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pytest

from etl_assets import DltExtractor, Partition
from etl_assets.errors import DeliveryError, DeliveryMissingError, DeliveryUnreachableError, SettingsError
from etl_assets.extract import progress
from etl_assets_tests.dlt_feeds import fetch, fetch_by, yielding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@dataclass
class Thing:
    a: int


def test_dicts_and_lists_of_dicts_are_records_in_their_order() -> None:
    found = fetch(yielding({"a": 1}, [{"a": 2}, {"a": 3}], [], {"a": 4}))
    assert found.data == b'{"a":1}\n{"a":2}\n{"a":3}\n{"a":4}\n'
    assert (found.name, found.origin) == ("things.ndjson", "dlt:things")
    assert {**found.statistics, "seconds": 0} == {"pages": 4, "records": 4, "seconds": 0}


def test_a_dict_that_the_generator_uses_again_is_written_as_it_was() -> None:
    def make() -> Any:
        import dlt

        def things() -> Iterator[Any]:
            thing = {}
            for number in range(3):
                thing["a"] = number
                yield thing

        return dlt.resource(things)

    assert [record["a"] for record in fetch(make).records] == [0, 1, 2]


@pytest.mark.parametrize("item", [Thing(1), OrderedDict(a=1), [Thing(1)]], ids=["dataclass", "mapping", "list"])
def test_objects_with_fields_are_records(item: Any) -> None:
    assert fetch(yielding(item)).records == [{"a": 1}]


def test_models_of_pydantic_are_records() -> None:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Model", a=(int, ...))
    assert fetch(yielding(model(a=1))).records == [{"a": 1}]


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (7, "yields a int, which is no record.*add_map"),
        (["text"], "yields a str, which is no record"),
        (pa.table({"a": [1]}), r"yields a Table, and the format is ndjson.*format=Parquet\(\)"),
        ({"a": object()}, "value that is a object, which has no notation"),
        ({"a": {1: 1, "1": 2}}, "two keys that are the same as texts"),
        ({"a": {2.5: 1}}, "a key that is a float, and no text"),
        ({"a": "\ud800"}, "surrogate"),
        ({"a": {"x", "y"}}, "value that is a set"),
    ],
)
def test_what_is_no_record_is_refused_with_a_remedy(item: Any, words: str) -> None:
    with pytest.raises(DeliveryError, match=words) as raised:
        fetch(yielding(item))
    assert "Nothing was written" in str(raised.value)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (Thing(cast("Any", object())), "value that is a object, which has no notation"),
        ({"a": object()}, "value that is a object, which has no notation"),
        ({"a": "\ud800"}, "surrogate"),
        ({"a": 2**70, "b": object()}, "value that is a object, which has no notation"),
    ],
)
def test_what_has_no_notation_is_refused_also_where_a_table_is_wanted(item: Any, words: str) -> None:
    with pytest.raises(DeliveryError, match=words) as raised:
        fetch(yielding(item), table="items")
    assert "Nothing was written" in str(raised.value)


def test_a_record_that_contains_itself_is_refused() -> None:
    record: dict[str, Any] = {}
    record["own"] = record
    with pytest.raises(DeliveryError, match="nested too deeply"):
        fetch(yielding(record))


def test_a_resource_of_a_source_is_chosen_by_its_name() -> None:
    def make() -> Any:
        import dlt

        @dlt.source(name="shop")
        def shop() -> Any:
            return [
                dlt.resource([{"id": 1}], name="orders"),
                dlt.resource([{"id": 2}], name="customers"),
            ]

        return shop()

    found = fetch(make, name="customers")
    assert (found.records, found.origin) == ([{"id": 2}], "dlt:shop/customers")
    with pytest.raises(DeliveryError, match=r"has several resources.*'customers', 'orders'"):
        fetch(make)
    with pytest.raises(DeliveryError, match=r"has no resource 'invoices'.*'customers', 'orders'"):
        fetch(make, name="invoices")


def test_the_only_resource_that_a_source_selects_needs_no_name() -> None:
    def make() -> Any:
        import dlt

        @dlt.source(name="shop")
        def shop() -> Any:
            lines: Any = {"lines": {"data_type": "json"}}
            yield dlt.resource([{"id": 1}], name="orders")
            yield dlt.resource([{"id": 2, "lines": [1]}], name="invoices", columns=lines, selected=False)

        return shop()

    assert fetch(make).records == [{"id": 1}]
    assert fetch(lambda: make().with_resources("invoices")).records == [{"id": 2, "lines": [1]}]
    (invoice,) = fetch(make, name="invoices", table="invoices").records
    assert invoice["lines"] == [1]


def test_what_is_no_resource_is_refused() -> None:
    with pytest.raises(DeliveryError, match=r"returned a list, and no resource.*Nothing was written"):
        fetch(lambda: [{"a": 1}])
    with pytest.raises(DeliveryError, match="returned the resource 'things', and not 'others'"):
        fetch(yielding({"a": 1}), name="others")


def test_the_function_gets_the_partition() -> None:
    def make(partition: Partition) -> Any:
        return yielding({"key": partition.key})()

    assert fetch_by(DltExtractor(make), None, Partition("2024-01-01")).records == [{"key": "2024-01-01"}]


def test_a_transformer_gets_the_items_of_its_resource() -> None:
    def make() -> Any:
        import dlt

        @dlt.transformer
        def details(numbers: list[int]) -> Iterator[Any]:
            for number in numbers:
                yield {"number": number, "square": number**2}

        return dlt.resource([[1, 2], [3]], name="numbers") | details

    assert [record["square"] for record in fetch(make).records] == [1, 4, 9]


def test_steps_of_a_resource_are_kept() -> None:
    def make() -> Any:
        resource = yielding([{"a": number} for number in range(5)])()
        return resource.add_filter(lambda record: record["a"] % 2).add_map(lambda record: {"a": record["a"] * 10})

    assert fetch(make).records == [{"a": 10}, {"a": 30}]


def test_a_parallelized_resource_brings_every_record_and_keeps_the_state() -> None:
    def make() -> Any:
        import dlt

        @dlt.resource(parallelized=True)
        def things(a: Any = dlt.sources.incremental("a")) -> Iterator[Any]:  # noqa: B008 -- dlt's way
            for page in range(20):
                yield [{"a": number} for number in range(page * 10, page * 10 + 10) if number > (a.start_value or -1)]

        return things

    first = fetch(make)
    assert sorted(record["a"] for record in first.records) == list(range(200))
    assert fetch(make, first.state).records == []


def test_deferred_items_and_async_generators_bring_every_record() -> None:
    def deferred() -> Any:
        import dlt

        @dlt.defer
        def details(number: int) -> Any:
            time.sleep(0.001)
            return {"number": number, "thread": threading.current_thread().name}

        @dlt.transformer
        def each(number: int) -> Any:
            return details(number)

        return dlt.resource(iter(range(30)), name="numbers") | each

    def asynchronous() -> Any:
        import dlt

        @dlt.resource
        async def numbers() -> AsyncIterator[Any]:
            for number in range(30):
                await asyncio.sleep(0.0001)
                yield {"number": number}

        return numbers

    before = threading.active_count()
    for make in (deferred, asynchronous):
        assert sorted(record["number"] for record in fetch(make).records) == list(range(30))
    assert threading.active_count() == before


def test_an_async_generator_that_is_left_early_leaves_no_thread() -> None:
    def make() -> Any:
        import dlt

        @dlt.resource
        async def numbers() -> AsyncIterator[Any]:
            while True:
                await asyncio.sleep(0)
                yield [{"text": "x" * 1000}] * 100

        return numbers

    before = threading.active_count()
    with DltExtractor(make).fetch(Partition()) as fetched:
        fetched.stream.read(10)
    assert threading.active_count() == before


def marked(*items: Any) -> Any:
    def make() -> Any:
        import dlt

        return dlt.resource(
            lambda: (item if table is None else dlt.mark.with_table_name(item, table) for item, table in items),
            name="things",
        )

    return make


def test_an_item_for_a_table_of_its_own_is_refused() -> None:
    assert fetch(marked(({"a": 1}, "things"))).records == [{"a": 1}]
    with pytest.raises(DeliveryError, match=r"marks an item for the table 'others'.*Declare table="):
        fetch(marked(({"a": 1}, None), ({"a": 2}, "others")))


def test_the_items_for_one_table_are_chosen() -> None:
    found = fetch(marked(({"a": 1}, None), ([{"a": 2}], "others")), table="others")
    assert [record["a"] for record in found.records] == [2]


def test_a_table_for_each_item_is_refused_until_one_is_chosen() -> None:
    def make() -> Any:
        import dlt

        events = [{"kind": "push", "a": 1}, {"kind": "star", "a": 2}]
        return dlt.resource(events, name="events", table_name=lambda event: event["kind"])

    with pytest.raises(DeliveryError, match="has a table for each item"):
        fetch(make)
    assert [record["a"] for record in fetch(make, table="star").records] == [2]


def test_hints_on_items_are_left_to_dlt() -> None:
    def make() -> Any:
        import dlt

        hints = dlt.mark.make_hints(primary_key="a", write_disposition="replace")
        return dlt.resource(lambda: iter([dlt.mark.with_hints({"a": 1}, hints)]), name="things")

    assert fetch(make).records == [{"a": 1}]


def test_an_imported_file_is_refused_by_name() -> None:
    def make() -> Any:
        import dlt

        marked_item = dlt.mark.with_file_import("x.csv", "csv", 1)
        return dlt.resource(lambda: iter([marked_item]), name="things")

    with pytest.raises(DeliveryError, match=r"ImportFileMeta.*FileExtractor"):
        fetch(make)


class Response:
    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


class HTTPError(Exception):
    """As that of requests."""

    def __init__(self, status: int) -> None:
        super().__init__("https://user:hunter2@host/")
        self.response = Response(status)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (ConnectionResetError("hunter2"), DeliveryUnreachableError, "ConnectionResetError"),
        (TimeoutError("hunter2"), DeliveryUnreachableError, "TimeoutError"),
        (HTTPError(503), DeliveryUnreachableError, "HTTPError 503"),
        (HTTPError(429), DeliveryUnreachableError, "HTTPError 429"),
        (HTTPError(401), DeliveryError, "refuses this login .HTTPError 401"),
        (HTTPError(404), DeliveryError, "HTTPError 404"),
        (KeyError("hunter2"), DeliveryError, "KeyError"),
        (DeliveryMissingError("There is none. Nothing was written."), DeliveryMissingError, "There is none"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)) if not isinstance(value, Exception) else repr(value),
)
@pytest.mark.parametrize("place", ["function", "generator", "transformer", "thread", "later"])
def test_an_error_of_the_resource_is_of_its_kind_and_shows_no_text(
    error: Exception, kind: type[Exception], words: str, place: str
) -> None:
    def make() -> Any:
        import dlt

        def fail(*_: Any) -> Any:
            raise error

        def generator() -> Iterator[Any]:
            if place == "later":
                yield {"a": 1}
            yield fail()

        if place == "function":
            fail()
        if place == "transformer":
            return dlt.resource([{"a": 1}], name="things").add_map(fail)
        if place == "thread":
            return dlt.resource(lambda: iter([dlt.defer(fail)()]), name="things")
        return dlt.resource(generator, name="things")

    with pytest.raises(kind, match=words) as raised:
        fetch(make)
    assert type(raised.value) is kind
    assert "hunter2" not in str(raised.value)
    assert raised.value.__cause__ is None or raised.value is error
    assert "Nothing was written" in str(raised.value)
    if kind is not DeliveryMissingError:
        assert "test_dlt_items.py:" in str(raised.value)


def test_a_missing_secret_is_named() -> None:
    def make() -> Any:
        import dlt

        @dlt.resource(name="things")
        def things(api_key: str = dlt.secrets.value) -> Iterator[Any]:
            yield {"a": len(api_key)}

        return things

    with pytest.raises(SettingsError, match=r"needs a value of api_key.*SOURCES__.*API_KEY.*Secret\('NAME'\)"):
        fetch(make)


def test_dlt_finds_secrets_where_it_looks_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES__SHOP__API_KEY", "four")

    def make() -> Any:
        import dlt

        @dlt.source(name="shop", section="shop")
        def shop(api_key: str = dlt.secrets.value) -> Any:
            return dlt.resource([{"a": len(api_key)}], name="things")

        return shop()

    assert fetch(make).records == [{"a": 4}]


def test_progress_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    said: list[str] = []
    with progress.shown(said.append):
        fetch(yielding({"a": 1}))
    assert any("dlt:things: 1 pages, 1 records" in text for text in said)
