"""Keys that were deleted at the source are found, entered as absent, and removed when they are back."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl
import pytest

from etl_assets import (
    Column,
    Daily,
    DatabaseExtractor,
    Incremental,
    KeyComparison,
    Parquet,
    Schema,
    Source,
    ingest,
)
from etl_assets.errors import DeliveryUnreachableError
from etl_assets.landing import LandingStore, Warehouse
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import decisions, deliveries, examination, quarantine
from etl_assets_tests.documented import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from etl_assets import Fetched, Partition
    from etl_assets.postgres.ledger.key_comparisons import Comparison
    from etl_assets_tests.extract.database.conftest import Postgres

EVERY = timedelta(days=1)
HALF = KeyComparison(EVERY, max_absent=0.5)
SCHEMA = Schema((Column("id", "integer", required=True, minimum=1), Column("word", "text")), ("id",))
ABSENT = "SELECT t.id FROM core.orders t JOIN etl.absent_at_source USING (_delivery_id, _record_no) ORDER BY 1"


@dataclass
class Shelf:
    """A source of a database, and its warehouse.

    Attributes:
        url: Of the warehouse.
        folder: Of the landing store.
        extractor: Of the source.
        more: Other arguments of the source.
    """

    url: str
    folder: Path
    extractor: Any
    more: dict[str, Any]

    @property
    def source(self) -> Source:
        declared = {"schema": SCHEMA} | self.more
        return Source(name="orders", description="Orders.", owner="team:tests", extractor=self.extractor, **declared)

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.url, LandingStore(str(self.folder / "landing")))

    def take(self, key: str | None = None, file: Path | None = None) -> None:
        source = self.source
        landed = ingest.land(source, source.partition(key), self.warehouse, str(file) if file else None)
        ingest.load(source, landed.delivery, self.warehouse, "run")

    def compare(self, key: str | None = None, *, force: bool = True) -> Comparison:
        source = self.source
        found = ingest.compare_keys(source, source.partition(key), self.warehouse, "run", force=force)
        assert found is not None
        assert self.violations() == []
        return found

    def query(self, question: str) -> list[Any]:
        with connected(self.url) as connection:
            return [row if len(row) > 1 else row[0] for row in connection.execute(question.encode()).fetchall()]

    def absent(self) -> list[Any]:
        return self.query(ABSENT)

    def violations(self) -> list[str]:
        with connected(self.url) as connection:
            return [str(found) for found in examination.examine(connection, {"orders": "core.orders"})]


def shelf_of(
    postgres: Postgres,
    url: str,
    folder: Path,
    declared: dict[str, Any] | None = None,
    kind: type[DatabaseExtractor] = DatabaseExtractor,
    **more: Any,
) -> Shelf:
    """Return the shelf of a table ``orders``, which nothing was taken from yet."""
    arguments: dict[str, Any] = {"table": "orders", "access": postgres.access, "key_comparison": HALF}
    return Shelf(url, folder, kind(postgres.url, **arguments | (declared or {})), more)


def shelf_of_ten_orders(
    postgres: Postgres, url: str, folder: Path, declared: dict[str, Any] | None = None, **more: Any
) -> Shelf:
    """Make a source that has the orders 1 to 10, and take its first delivery."""
    postgres.run(
        "CREATE TABLE orders (id int PRIMARY KEY, word text, at timestamptz NOT NULL DEFAULT '2024-01-01 00:00+00')",
        "INSERT INTO orders SELECT i, 'w' || i FROM generate_series(1, 10) i",
    )
    shelf = shelf_of(postgres, url, folder, declared, **more)
    shelf.take()
    return shelf


def test_keys_that_were_deleted_at_the_source_are_found_and_their_rows_stay(
    postgres: Postgres, migrated_url: str, tmp_path: Path
) -> None:
    changed = {"incremental": Incremental("at", timedelta(hours=1))}
    shelf = shelf_of_ten_orders(postgres, migrated_url, tmp_path, changed)
    first = shelf.compare()
    assert (first.keys, first.rows_compared, first.newly_absent, first.absent, first.concluded) == (10, 10, 0, 0, True)
    postgres.run("DELETE FROM orders WHERE id IN (3, 7)")
    second = shelf.compare()
    assert (second.keys, second.newly_absent, second.absent) == (8, 2, 2)
    assert shelf.absent() == [3, 7]
    assert shelf.query("SELECT count(*) FROM core.orders") == [10]
    assert shelf.query("SELECT DISTINCT absent_since FROM etl.absent_at_source") == [second.began_at]
    third = shelf.compare()
    assert (third.newly_absent, third.absent) == (0, 2)
    assert shelf.query("SELECT DISTINCT absent_since FROM etl.absent_at_source") == [second.began_at]


def test_the_list_of_keys_is_frozen(postgres: Postgres, migrated_url: str, tmp_path: Path) -> None:
    shelf = shelf_of_ten_orders(postgres, migrated_url, tmp_path)
    shelf.compare()
    (sha256,) = shelf.query("SELECT sha256 FROM etl.key_comparison")
    with (tmp_path / "landing" / sha256[:2] / f"{sha256}.bytes").open("rb") as file:
        batches = list(Parquet().read(file, ""))
    assert [batch.names for batch in batches] == [("id",)]
    assert sum(batch.span.records for batch in batches) == 10


def test_a_key_that_is_back_is_no_longer_absent(postgres: Postgres, migrated_url: str, tmp_path: Path) -> None:
    shelf = shelf_of_ten_orders(postgres, migrated_url, tmp_path)
    postgres.run("DELETE FROM orders WHERE id IN (3, 7)")
    shelf.compare()
    postgres.run("INSERT INTO orders VALUES (3, 'w3')")
    found = shelf.compare()
    assert (found.returned, found.newly_absent, found.absent) == (1, 0, 1)
    assert shelf.absent() == [7]


def test_a_row_that_comes_back_with_other_contents_is_present_as_soon_as_it_is_loaded(
    postgres: Postgres, migrated_url: str, tmp_path: Path
) -> None:
    shelf = shelf_of_ten_orders(postgres, migrated_url, tmp_path)
    postgres.run("DELETE FROM orders WHERE id IN (3, 7)")
    shelf.compare()
    postgres.run("INSERT INTO orders VALUES (3, 'again')")
    shelf.take()
    assert shelf.absent() == [7]
    assert shelf.violations() == []
    found = shelf.compare()
    assert (found.absent, found.newly_absent) == (1, 0)
    postgres.run("DELETE FROM orders WHERE id = 3")
    assert shelf.compare().newly_absent == 1
    assert shelf.absent() == [3, 7]


class Hurried(DatabaseExtractor):
    """Lets something happen at the end of the next fetch."""

    happenings: ClassVar[list[Callable[[], None]]] = []

    @contextmanager
    def fetch(self, partition: Partition) -> Iterator[Fetched]:
        happenings = [self.happenings.pop()] if self.happenings else []
        with super().fetch(partition) as fetched:
            yield fetched
        for happen in happenings:
            happen()


def test_rows_that_a_later_delivery_brought_are_not_judged_by_an_older_list(
    postgres: Postgres, migrated_url: str, tmp_path: Path
) -> None:
    shelf = shelf_of_ten_orders(postgres, migrated_url, tmp_path, kind=Hurried)
    postgres.run("DELETE FROM orders WHERE id IN (3, 7)")

    def load_more() -> None:
        postgres.run("INSERT INTO orders VALUES (3, 'again'), (11, 'new')")
        shelf.take()

    Hurried.happenings.append(load_more)
    found = shelf.compare()
    assert (found.keys, found.rows_compared, found.newly_absent) == (8, 9, 1)
    assert shelf.absent() == [7]


def test_a_comparison_that_began_before_the_newest_one_enters_nothing(
    postgres: Postgres, migrated_url: str, tmp_path: Path
) -> None:
    shelf = shelf_of_ten_orders(postgres, migrated_url, tmp_path, kind=Hurried)
    postgres.run("DELETE FROM orders WHERE id = 3")
    newer = []

    def compare_again() -> None:
        postgres.run("INSERT INTO orders VALUES (3, 'w3')")
        newer.append(shelf.compare())

    Hurried.happenings.append(compare_again)
    assert [shelf.compare()] == newer
    assert shelf.absent() == []


def test_a_comparison_is_made_when_it_is_due_or_forced(postgres: Postgres, migrated_url: str, tmp_path: Path) -> None:
    shelf = shelf_of_ten_orders(postgres, migrated_url, tmp_path)
    first = shelf.compare(force=False)
    assert shelf.compare(force=False) == first
    forced = shelf.compare(force=True)
    assert forced.began_at > first.began_at
    shelf.query("UPDATE etl.key_comparison SET began_at = began_at - interval '25 hours' RETURNING 1")
    assert shelf.compare(force=False).began_at > forced.began_at
    assert shelf.query("SELECT count(*) FROM etl.key_comparison") == [3]


def test_too_many_absent_rows_are_not_entered(postgres: Postgres, migrated_url: str, tmp_path: Path) -> None:
    shelf = shelf_of_ten_orders(postgres, migrated_url, tmp_path)
    postgres.run("DELETE FROM orders WHERE id <= 2")
    assert shelf.compare().absent == 2
    postgres.run("DELETE FROM orders", "INSERT INTO orders VALUES (1, 'w1')")
    found = shelf.compare()
    assert (found.concluded, found.newly_absent, found.returned, found.absent) == (False, 8, 1, 1)
    assert shelf.absent() == [2]
    shelf.extractor = replace(shelf.extractor, key_comparison=KeyComparison(EVERY, max_absent=1.0))
    assert shelf.compare().absent == 9


def test_no_row_is_called_absent_while_a_key_is_unreadable(
    postgres: Postgres, migrated_url: str, tmp_path: Path
) -> None:
    postgres.run("CREATE TABLE orders (id text PRIMARY KEY, word text)")
    postgres.run("INSERT INTO orders SELECT i FROM generate_series(1, 10) i")
    shelf = shelf_of(postgres, migrated_url, tmp_path)
    shelf.take()
    postgres.run("DELETE FROM orders WHERE id = '2'", "UPDATE orders SET id = 'drei' WHERE id = '3'")
    found = shelf.compare()
    assert (found.unreadable, found.rows_compared, found.newly_absent, found.concluded) == (1, 10, 2, False)
    assert shelf.absent() == []
    postgres.run("UPDATE orders SET id = '3' WHERE id = 'drei'")
    assert shelf.compare().concluded
    assert shelf.absent() == [2]


def test_a_listed_key_that_breaks_a_rule_is_listed_all_the_same(
    postgres: Postgres, migrated_url: str, tmp_path: Path
) -> None:
    postgres.run("CREATE TABLE orders (id int, word text)", "INSERT INTO orders VALUES (1), (2), (0)")
    shelf = shelf_of(postgres, migrated_url, tmp_path, max_rejected=0.5)
    shelf.take()
    found = shelf.compare()
    assert (found.keys, found.unreadable, found.rows_compared, found.newly_absent) == (3, 0, 2, 0)


PAIR = Schema(
    (Column("shop", "text", required=True), Column("number", "integer", required=True), Column("word", "text")),
    ("shop", "number"),
)


def test_a_key_without_a_part_is_the_key_of_no_row(postgres: Postgres, migrated_url: str, tmp_path: Path) -> None:
    postgres.run(
        "CREATE TABLE orders (number int, shop text, word text)",
        "INSERT INTO orders VALUES (1, 'a'), (1, 'b'), (2, 'a')",
    )
    shelf = shelf_of(postgres, migrated_url, tmp_path, schema=PAIR)
    shelf.take()
    postgres.run("UPDATE orders SET shop = NULL WHERE number = 2")
    found = shelf.compare()
    assert (found.keys, found.unreadable, found.newly_absent, found.concluded) == (3, 0, 1, True)
    assert shelf.query(ABSENT.replace("t.id", "t.shop, t.number")) == [("a", 2)]


KEYS = """
CREATE TABLE orders AS SELECT ('k ' || i || chr(233)) AS text, md5(i::text)::uuid AS uuid,
    (i * 1.50)::numeric(12,2) AS decimal, timestamptz '2024-01-01 00:00:00.000001+00' + i * interval '1 s' AS moment,
    timestamp '2024-01-01' + i * interval '1 hour' AS reading, date '2024-01-01' + i AS day,
    time '00:00' + i * interval '1 s' AS clock, i % 2 = 0 AS flag, i / 8.0::float8 AS score, 'x' AS word
FROM generate_series(1, 400) i
"""
WIDE_KEY = Schema(
    (
        Column("text", "text", required=True, sensitive=True),
        Column("uuid", "uuid", required=True),
        Column("decimal", "decimal", precision=20, scale=4, required=True),
        Column("moment", "timestamp", zone="UTC", required=True),
        Column("reading", "timestamp", required=True),
        Column("day", "date", required=True),
        Column("clock", "time", required=True),
        Column("flag", "boolean", required=True),
        Column("score", "float", required=True),
        Column("kind", "text", published_as=("sort", "word"), required=True),
    ),
    ("text", "uuid", "decimal", "moment", "reading", "day", "clock", "flag", "score", "kind"),
)


def test_keys_of_every_type_are_equal_by_value(postgres: Postgres, migrated_url: str, tmp_path: Path) -> None:
    postgres.run(KEYS)
    shelf = shelf_of(postgres, migrated_url, tmp_path, schema=WIDE_KEY)
    shelf.take()
    postgres.run(
        "ALTER TABLE orders ALTER decimal TYPE numeric(30, 9), ALTER text TYPE varchar(20)",
        "DELETE FROM orders WHERE day = '2024-01-06'",
    )
    found = shelf.compare()
    assert (found.keys, found.unreadable, found.newly_absent) == (399, 0, 1)
    assert shelf.query(ABSENT.replace("t.id", "t.day")) == [date(2024, 1, 6)]


def test_the_keys_of_a_query_are_compared(postgres: Postgres, migrated_url: str, tmp_path: Path) -> None:
    query = {"table": "", "query": "SELECT id, word FROM orders WHERE id > 2 ORDER BY word"}
    shelf = shelf_of_ten_orders(postgres, migrated_url, tmp_path, query)
    postgres.run("DELETE FROM orders WHERE id IN (1, 4)")
    found = shelf.compare()
    assert (found.keys, found.newly_absent) == (7, 1)
    assert shelf.absent() == [4]


DAYS = Schema(
    (Column("day", "date", required=True), Column("id", "integer", required=True), Column("word", "text")),
    ("day", "id"),
)


def test_each_partition_is_compared_by_itself(postgres: Postgres, migrated_url: str, tmp_path: Path) -> None:
    postgres.run(
        "CREATE TABLE orders (day date NOT NULL, id int, word text)",
        "INSERT INTO orders SELECT date '2024-01-01' + i % 2, i FROM generate_series(1, 8) i",
    )
    shelf = shelf_of(
        postgres,
        migrated_url,
        tmp_path,
        {"partition_column": "day"},
        schema=DAYS,
        partitions=Daily(date(2024, 1, 1), column="day"),
    )
    for key in ("2024-01-01", "2024-01-02"):
        shelf.take(key)
    postgres.run("DELETE FROM orders WHERE id IN (1, 2)")
    first = shelf.compare("2024-01-01")
    assert (first.keys, first.rows_compared, first.newly_absent) == (3, 4, 1)
    assert shelf.absent() == [2]
    shelf.compare("2024-01-02", force=False)
    assert shelf.absent() == [1, 2]


def test_a_row_whose_key_a_person_corrected_is_not_judged(
    postgres: Postgres, migrated_url: str, tmp_path: Path
) -> None:
    postgres.run("CREATE TABLE orders (id text, word text)", "INSERT INTO orders VALUES ('1'), ('2'), ('drei')")
    shelf = shelf_of(postgres, migrated_url, tmp_path, max_rejected=0.5)
    shelf.take()
    with connected(migrated_url) as connection:
        (record,) = quarantine.find(connection, source="orders")
        correction = ingest.published_correction(shelf.source, record, {"id": "3"})
        decisions.correct(connection, record.id, correction, "ada", None)
    ingest.replay(shelf.source, shelf.warehouse, "replay")
    assert shelf.query("SELECT id FROM core.orders ORDER BY 1") == [1, 2, 3]
    postgres.run("UPDATE orders SET id = '4' WHERE id = 'drei'")
    found = shelf.compare()
    assert (found.rows_compared, found.newly_absent, found.concluded) == (2, 0, True)


def test_a_row_of_a_file_that_a_person_brought_is_judged_too(
    postgres: Postgres, migrated_url: str, tmp_path: Path
) -> None:
    shelf = shelf_of_ten_orders(postgres, migrated_url, tmp_path)
    parquet = tmp_path / "more.parquet"
    pl.DataFrame({"id": [12, 13], "word": ["a", "b"]}).write_parquet(parquet)
    shelf.take(file=parquet)
    postgres.run("INSERT INTO orders VALUES (13, 'b')")
    assert shelf.compare().newly_absent == 1
    assert shelf.absent() == [12]


def test_rows_that_a_reload_deletes_are_no_longer_absent(postgres: Postgres, migrated_url: str, tmp_path: Path) -> None:
    shelf = shelf_of_ten_orders(postgres, migrated_url, tmp_path)
    postgres.run("DELETE FROM orders WHERE id IN (1, 5)")
    assert shelf.compare().absent == 2
    stricter = Column("id", "integer", required=True, minimum=3)
    shelf.more = {"schema": Schema((stricter, *SCHEMA.columns[1:]), ("id",)), "max_rejected": 0.5}
    (delivery,) = shelf.query("SELECT max(id) FROM etl.delivery")
    with connected(migrated_url) as connection:
        loaded = deliveries.by_id(connection, delivery)
    assert loaded is not None
    ingest.load(shelf.source, loaded, shelf.warehouse, "run")
    assert shelf.absent() == [5]
    found = shelf.compare()
    assert (found.returned, found.absent) == (0, 1)


def test_a_source_that_does_not_answer_changes_nothing(postgres: Postgres, migrated_url: str, tmp_path: Path) -> None:
    shelf = shelf_of_ten_orders(postgres, migrated_url, tmp_path)
    postgres.run("DELETE FROM orders WHERE id = 5")
    shelf.compare()
    shelf.extractor = replace(shelf.extractor, url="postgresql://127.0.0.1:1/shop")
    with pytest.raises(DeliveryUnreachableError):
        shelf.compare()
    assert shelf.absent() == [5]
    assert shelf.query("SELECT count(*) FROM etl.key_comparison") == [1]


def test_keys_of_sqlite_are_compared(migrated_url: str, tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE orders (id TEXT PRIMARY KEY, word TEXT)")
        connection.executemany("INSERT INTO orders VALUES (?, 'w')", [("a",), ("b",), ("c\0d",), ("ž",), ("",)])
    schema = Schema((Column("id", "text", required=True), Column("word", "text")), ("id",))
    extractor = DatabaseExtractor(f"sqlite:///{path}", table="orders", key_comparison=HALF)
    shelf = Shelf(migrated_url, tmp_path, extractor, {"schema": schema, "max_rejected": 0.5})
    shelf.take()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM orders WHERE id = 'b'")
    found = shelf.compare()
    assert (found.keys, found.unreadable, found.newly_absent, found.concluded) == (4, 0, 1, True)
    assert shelf.absent() == ["b"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_after_any_history_the_absent_rows_are_those_that_the_source_lacks(
    migrated_url: str, tmp_path: Path, seed: int
) -> None:
    random = Random(seed)  # noqa: S311 -- of a test
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, word TEXT)")
    lenient = KeyComparison(EVERY, max_absent=1.0)
    extractor = DatabaseExtractor(f"sqlite:///{path}", table="orders", key_comparison=lenient, order_by=("id",))
    shelf = Shelf(migrated_url, tmp_path, extractor, {"max_rejected": 1.0})
    schemas = [SCHEMA, Schema((SCHEMA.columns[0].replace(minimum=5), SCHEMA.columns[1]), ("id",))]

    def change() -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            for id_ in random.sample(range(1, 16), 4):
                if random.random() < 0.5:
                    connection.execute("DELETE FROM orders WHERE id = ?", (id_,))
                else:
                    connection.execute("INSERT OR REPLACE INTO orders VALUES (?, ?)", (id_, random.choice("ab")))

    def reload() -> None:
        shelf.more["schema"] = random.choice(schemas)
        with connected(migrated_url) as connection:
            for delivery in deliveries.stale(connection, "orders", shelf.source.fingerprint):
                ingest.load(shelf.source, delivery, shelf.warehouse, "run")

    change()
    shelf.take()
    for step in random.choices([change, shelf.take, reload], weights=[3, 3, 1], k=25):
        step()
        if random.random() < 0.5:
            shelf.compare()
            with closing(sqlite3.connect(path)) as connection:
                there = {id_ for (id_,) in connection.execute("SELECT id FROM orders")}
            assert set(shelf.absent()) == set(shelf.query("SELECT id FROM core.orders")) - there


def test_many_keys_are_compared(postgres: Postgres, migrated_url: str, tmp_path: Path) -> None:
    postgres.run("CREATE TABLE orders AS SELECT i AS id, 'w' AS word FROM generate_series(1, 300000) i")
    shelf = shelf_of(postgres, migrated_url, tmp_path)
    shelf.take()
    postgres.run("DELETE FROM orders WHERE id % 1000 = 0")
    found = shelf.compare()
    assert (found.keys, found.newly_absent, found.absent) == (299_700, 300, 300)


def test_the_documented_queries_find_absent_and_present_rows(
    postgres: Postgres, migrated_url: str, tmp_path: Path
) -> None:
    shelf = shelf_of_ten_orders(postgres, migrated_url, tmp_path)
    postgres.run("DELETE FROM orders WHERE id IN (3, 7)")
    found = shelf.compare()
    section = (ROOT / "docs" / "databases.md").read_text("utf-8").split("## Deleted rows", 1)[1]
    block = section.split("```sql\n", 1)[1].split("```", 1)[0]
    absent, present = (query for query in block.split(";") if query.strip())
    assert {(row[0], row[-1]) for row in shelf.query(absent)} == {(3, found.began_at), (7, found.began_at)}
    assert {row[0] for row in shelf.query(present)} == {1, 2, 4, 5, 6, 8, 9, 10}


def test_no_key_is_in_schema_etl(postgres: Postgres, migrated_url: str, tmp_path: Path) -> None:
    postgres.run("CREATE TABLE orders (id text PRIMARY KEY, word text)")
    postgres.run("INSERT INTO orders SELECT 'secret-' || i FROM generate_series(1, 4) i")
    schema = Schema((Column("id", "text", required=True, sensitive=True), Column("word", "text")), ("id",))
    shelf = shelf_of(postgres, migrated_url, tmp_path, schema=schema)
    shelf.take()
    postgres.run("DELETE FROM orders WHERE id = 'secret-1'")
    shelf.compare()
    for table in ("key_comparison", "absent_row", "absent_at_source", "delivery"):
        rows = shelf.query(f"SELECT t::text FROM etl.{table} t")
        assert rows
        assert "secret-" not in repr(rows)
