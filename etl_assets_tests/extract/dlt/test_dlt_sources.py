"""Sources of dlt, from their publisher to the table: twice, with records that came late, and with the state kept."""

from __future__ import annotations

import gc
import json
import sqlite3
import threading
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from etl_assets import Column, DltExtractor, Parquet, Schema
from etl_assets.errors import DeliveryError, DeliveryUnreachableError
from etl_assets_tests.dlt_feeds import Feed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
_PAGE = 3


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Close here the connections that dlt leaves to the garbage collector, and not in the test of another file."""
    yield
    gc.collect()


class Shop(ThreadingHTTPServer):
    """An interface with pages of orders: all of them, or those that changed since a moment."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.orders: dict[int, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.keys: set[str | None] = set()
        self.fails_at = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def put(self, number: int, minute: int, amount: str = "1.10") -> None:
        lines = [{"sku": f"s{number}", "count": count} for count in range(number % 3)]
        updated = f"2026-01-31T12:{minute:02}:00Z"
        self.orders[number] = {"id": number, "updated": updated, "amount": amount, "lines": lines}


class _Handler(BaseHTTPRequestHandler):
    server: Shop

    def do_GET(self) -> None:
        shop, parts = self.server, urlsplit(self.path)
        shop.asked.append(self.path)
        shop.keys.add(self.headers["X-Api-Key"])
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        orders = sorted(shop.orders.values(), key=lambda order: order["id"])
        orders = [order for order in orders if order["updated"] >= query.get("since", "")]
        page = int(query.get("page", 1))
        if shop.fails_at and page >= shop.fails_at:
            self.send_error(404)
            return
        if parts.path != "/orders":
            (found,) = [order for order in orders if parts.path == f"/orders/{order['id']}"]
            self.answer(found)
            return
        more = page * _PAGE < len(orders)
        self.answer({"orders": orders[(page - 1) * _PAGE : page * _PAGE], "next": page + 1 if more else None})

    def answer(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def shop_server() -> Iterator[Shop]:
    with Shop() as shop:
        thread = threading.Thread(target=shop.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield shop
        finally:
            shop.shutdown()
            thread.join()


@pytest.fixture
def shop() -> Iterator[Shop]:
    with shop_server() as shop:
        for number in range(1, 8):
            shop.put(number, number)
        yield shop


ORDERS = Schema(
    columns=(
        Column("id", "integer", required=True),
        Column("updated", "timestamp", zone="UTC", formats=("%Y-%m-%dT%H:%M:%S%z",)),
        Column("amount", "decimal", scale=2),
        Column("lines", "json"),
    ),
    key=("id",),
)
LINES = Schema(
    columns=(
        Column("parent", "text", published_as="_dlt_parent_id", required=True),
        Column("place", "integer", published_as="_dlt_list_idx", required=True),
        Column("id", "text", published_as="_dlt_id"),
        Column("sku", "text"),
        Column("count", "integer"),
    ),
    key=("parent", "place"),
)


def orders_of(shop: Shop) -> Any:
    """Return a function that makes the source of the interface by dlt's own `rest_api`."""

    def make() -> Any:
        from dlt.sources.rest_api import rest_api_source

        return rest_api_source(
            {
                "client": {
                    "base_url": shop.url,
                    "auth": {"type": "api_key", "name": "X-Api-Key", "api_key": "k", "location": "header"},
                },
                "resources": [
                    {
                        "name": "orders",
                        "primary_key": "id",
                        "endpoint": {
                            "path": "orders",
                            "data_selector": "orders",
                            "paginator": {"type": "page_number", "base_page": 1, "total_path": None},
                            "params": {"since": "{incremental.start_value}"},
                            "incremental": {"cursor_path": "updated", "initial_value": "2026-01-01T00:00:00Z"},
                        },
                    }
                ],
            },
            name="shop",
        )

    return make


def cursor(state: dict[str, Any] | None, source: str, resource: str, column: str) -> Any:
    assert state is not None
    return state["dlt"]["sources"][source]["resources"][resource]["incremental"][column]["last_value"]


def test_a_source_of_rest_api_brings_what_changed_since(shop: Shop, migrated_url: str, tmp_path: Path) -> None:
    feed = Feed(migrated_url, tmp_path, DltExtractor(orders_of(shop), name="orders"), ORDERS)
    first = feed.run()
    assert [row[0] for row in feed.rows()] == list(range(1, 8))
    assert feed.rows()[0][1:3] == (datetime(2026, 1, 31, 12, 1, tzinfo=UTC), Decimal("1.10"))
    assert feed.rows()[1][3] == [{"sku": "s2", "count": 0}, {"sku": "s2", "count": 1}]
    assert cursor(first, "shop", "orders", "updated") == "2026-01-31T12:07:00Z"
    assert shop.keys == {"k"}
    shop.put(3, 30, "3.33")
    shop.put(8, 31)
    shop.asked.clear()
    second = feed.run()
    assert all("since=2026-01-31T12%3A07%3A00Z" in path for path in shop.asked)
    assert feed.runs[-1].manifest.records == 2
    assert [row[0] for row in feed.rows()] == list(range(1, 9))
    assert feed.rows()[2][2] == Decimal("3.33")
    assert second == feed.state()
    assert cursor(second, "shop", "orders", "updated") == "2026-01-31T12:31:00Z"


def test_a_fetch_that_breaks_leaves_rows_and_state(shop: Shop, migrated_url: str, tmp_path: Path) -> None:
    feed = Feed(migrated_url, tmp_path, DltExtractor(orders_of(shop), name="orders"), ORDERS)
    feed.run()
    before, files = feed.state(), sorted((tmp_path / "landing").rglob("*"))
    for number in range(10, 20):
        shop.put(number, 40)
    shop.fails_at = 3
    with pytest.raises(DeliveryError, match=r"dlt:shop/orders raised HTTPError 404"):
        feed.run()
    assert feed.state() == before
    assert sorted((tmp_path / "landing").rglob("*")) == files
    shop.fails_at = 0
    feed.run()
    assert [row[0] for row in feed.rows()] == [*range(1, 8), *range(10, 20)]


def test_a_full_run_fetches_everything_and_nothing_is_lost(shop: Shop, migrated_url: str, tmp_path: Path) -> None:
    feed = Feed(migrated_url, tmp_path, DltExtractor(orders_of(shop), name="orders"), ORDERS)
    feed.run()
    shop.put(9, 0)  # late: behind the cursor
    feed.run()
    assert 9 not in [row[0] for row in feed.rows()]
    feed.run(full=True)
    assert [row[0] for row in feed.rows()] == [*range(1, 8), 9]
    assert feed.runs[-1].manifest.records == 8


def test_runs_with_nothing_new_leave_rows_and_state(shop: Shop, migrated_url: str, tmp_path: Path) -> None:
    feed = Feed(migrated_url, tmp_path, DltExtractor(orders_of(shop), name="orders"), ORDERS)
    feed.run()
    rows, state = feed.rows(), feed.state()
    for _ in range(2):
        feed.run()
    assert (feed.rows(), cursor(feed.state(), "shop", "orders", "updated")) == (
        rows,
        cursor(state, "shop", "orders", "updated"),
    )
    assert feed.runs[-1].id == feed.runs[-2].id
    assert feed.drift() == 0
    shop.put(8, 50)
    feed.run()
    assert [row[0] for row in feed.rows()] == list(range(1, 9))


def test_nested_records_are_a_feed_of_their_own(shop: Shop, migrated_url: str, tmp_path: Path) -> None:
    extractor = DltExtractor(orders_of(shop), name="orders", table="orders__lines")
    feed = Feed(migrated_url, tmp_path, extractor, LINES)
    feed.run()
    first = feed.rows()
    assert sorted((row[3], row[4]) for row in first) == [
        (f"s{number}", count) for number in range(1, 8) for count in range(number % 3)
    ]
    assert len({row[2] for row in first}) == len(first)
    shop.put(2, 40)  # the same lines
    feed.run()
    assert feed.rows() == first


def test_a_server_that_is_away_may_be_tried_again(shop: Shop, migrated_url: str, tmp_path: Path) -> None:
    gone = f"http://127.0.0.1:{shop.server_port}/"
    shop.shutdown()
    shop.server_close()

    def make() -> Any:
        import dlt
        from dlt.sources.helpers.requests import Client

        def orders() -> Iterator[Any]:
            yield Client(request_max_attempts=1, request_timeout=2).get(gone).json()

        return dlt.resource(orders)

    with pytest.raises(DeliveryUnreachableError, match="ConnectionError"):
        Feed(migrated_url, tmp_path, DltExtractor(make), ORDERS).run()


TABLE = Schema(
    columns=(
        Column("id", "integer", required=True),
        Column("updated", "timestamp"),
        Column("amount", "decimal", scale=2),
        Column("day", "date"),
        Column("note", "text"),
    ),
    key=("id",),
)
_CREATE = "CREATE TABLE orders (id integer PRIMARY KEY, updated timestamp, amount numeric(12, 2), day date, note text)"


def table_of(url: str, backend: str) -> Any:
    """Return a function that makes a resource of a table by dlt's own `sql_database`."""

    def make() -> Any:
        import dlt
        from dlt.sources.sql_database import sql_table

        return sql_table(
            credentials=url,
            table="orders",
            backend=backend,  # type: ignore[arg-type]
            chunk_size=2,
            incremental=dlt.sources.incremental("updated", initial_value=datetime(2000, 1, 1)),  # noqa: DTZ001 -- the column has no zone
        )

    return make


def row(number: int, minute: int, note: str | None = None) -> tuple[Any, ...]:
    moment = datetime(2026, 1, 31, 12, minute, 0, 500_000)  # noqa: DTZ001 -- as above
    return number, moment, Decimal(number) / 4, date(2026, 1, number), note


def check_two_runs(feed: Feed, insert: Any, source: str) -> None:
    rows = [row(number, number) for number in range(1, 6)]
    for each in rows:
        insert(each)
    feed.run()
    assert feed.rows() == rows
    insert(row(6, 30, "new, and late"))
    state = feed.run()
    assert feed.rows() == [*rows, row(6, 30, "new, and late")]
    assert feed.runs[-1].manifest.records == 1
    assert "2026-01-31" in cursor(state, source, "orders", "updated")
    feed.run()
    assert feed.rows() == [*rows, row(6, 30, "new, and late")]
    assert feed.drift() == 0
    assert feed.violations() == []


@pytest.mark.parametrize("backend", ["sqlalchemy", "pyarrow"])
def test_a_table_of_postgres_by_sql_database(
    backend: str, migrated_url: str, database_url: str, tmp_path: Path
) -> None:
    url = database_url.replace("postgresql://", "postgresql+psycopg://", 1)
    declared: dict[str, Any] = {"format": Parquet()} if backend == "pyarrow" else {}
    feed = Feed(migrated_url, tmp_path, DltExtractor(table_of(url, backend), **declared), TABLE)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_CREATE)
        insert = "INSERT INTO orders VALUES (%s, %s, %s, %s, %s)"
        check_two_runs(feed, lambda values: connection.execute(insert, values), "helpers")


def test_a_table_of_sqlite_by_sql_database(migrated_url: str, tmp_path: Path) -> None:
    path = tmp_path / "shop.sqlite"
    feed = Feed(migrated_url, tmp_path, DltExtractor(table_of(f"sqlite:///{path}", "sqlalchemy")), TABLE)
    connection = sqlite3.connect(path)
    connection.execute(_CREATE)

    def insert(values: tuple[Any, ...]) -> None:
        with connection:
            texts = [None if value is None else str(value) for value in values]
            connection.execute("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", texts)

    check_two_runs(feed, insert, "helpers")
    connection.close()


def details_of(shop: Shop) -> Any:
    """Return a function that makes a source as the community writes them: pages, and a request for each record."""

    def make() -> Any:
        import dlt
        from dlt.sources.helpers import requests

        @dlt.source(name="community")
        def source() -> Any:
            @dlt.resource(primary_key="id", write_disposition="merge")
            def numbers(updated: Any = dlt.sources.incremental("updated", initial_value="")) -> Iterator[Any]:  # noqa: B008 -- dlt's way
                page: int | None = 1
                while page is not None:
                    answer = requests.get(f"{shop.url}orders", params={"page": page, "since": updated.start_value})
                    yield answer.json()["orders"]
                    page = answer.json()["next"]

            @dlt.transformer(data_from=numbers, parallelized=True)
            def orders(found: list[dict[str, Any]]) -> Iterator[Any]:
                for order in found:
                    yield requests.get(f"{shop.url}orders/{order['id']}").json()

            return numbers, orders

        return source()

    return make


def test_a_generator_of_the_community_with_a_transformer(shop: Shop, migrated_url: str, tmp_path: Path) -> None:
    feed = Feed(migrated_url, tmp_path, DltExtractor(details_of(shop), name="orders"), ORDERS)
    feed.run()
    assert [row[0] for row in feed.rows()] == list(range(1, 8))
    shop.put(3, 30, "3.33")
    shop.put(8, 31)
    shop.asked.clear()
    state = feed.run()
    assert sorted(path for path in shop.asked if "page" not in path) == ["/orders/3", "/orders/8"]
    assert [row[0] for row in feed.rows()] == list(range(1, 9))
    assert feed.rows()[2][2] == Decimal("3.33")
    assert cursor(state, "community", "numbers", "updated") == "2026-01-31T12:31:00Z"
