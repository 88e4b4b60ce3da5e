"""The views for analysts, who can read nothing else."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from psycopg import sql

from etl_assets.postgres.connection import connected
from etl_assets.postgres.migrations.migrate import alembic_config, migrate
from etl_assets.postgres.roles import READER, VIEWS, ensure_reader

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
_DAY = timedelta(days=1)


class Warehouse:
    """A warehouse whose history the test writes, so that every number is known."""

    def __init__(self, url: str) -> None:
        self.url = url

    def execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with connected(self.url) as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def view(self, name: str, *columns: str, where: str = "true") -> list[tuple[Any, ...]]:
        return self.execute(f"SELECT {', '.join(columns)} FROM etl.{name} WHERE {where} ORDER BY 1, 2")

    def run(self, at: datetime, status: str = "succeeded", source: str = "people") -> None:
        self.execute(
            "INSERT INTO etl.run (run_id, source, partition, status, started_at, ended_at) VALUES "
            "(%s, %s, '', %s, %s, %s)",
            uuid4().hex, source, status, at, at + timedelta(minutes=1),
        )  # fmt: skip

    def delivery(self, at: datetime, records: int, rejected: int = 0, partition: str = "") -> int:
        """Enter a complete delivery of one batch, whose records are inserted unless they are rejected."""
        ((id_,),) = self.execute(
            "INSERT INTO etl.delivery (source, partition, rank, sha256, size, records, manifest, fetched_at, status) "
            "VALUES ('people', %s, '', '', 1, %s, '{}', %s, 'complete') RETURNING id",
            partition, records, at,
        )  # fmt: skip
        self.batch(id_, at, "ingest", records, rejected)
        return int(id_)

    def batch(self, delivery: int, at: datetime, kind: str, read: int, rejected: int) -> None:
        accepted = read - rejected
        self.execute(
            "INSERT INTO etl.batch (delivery_id, generation, kind, number, run_id, epoch, first_record, last_record, "
            "read, rejected, filtered, accepted, produced, inserted, updated, unchanged, duplicate, deleted, "
            "hash_seed, committed_at) VALUES (%s, 1, %s, 1, '', 1, 1, %s, %s, %s, 0, %s, %s, %s, 0, 0, 0, 0, 0, %s)",
            delivery, kind, read, read, rejected, accepted, accepted, accepted, at,
        )  # fmt: skip

    def rejected(self, delivery: int, record: int, at: datetime, *rules: str, status: str = "open") -> None:
        self.execute(
            "INSERT INTO etl.rejected (delivery_id, record_no, generation, source, partition, location, raw, rules, "
            "status, fingerprint, run_id, rejected_at) SELECT id, %s, 1, source, partition, ':1', 'Ada', %s, %s, '', "
            "'', %s FROM etl.delivery WHERE id = %s",
            record, list(rules), status, at, delivery,
        )  # fmt: skip

    def absent(self, delivery: int, record: int, at: datetime) -> None:
        self.execute(
            "WITH found AS (INSERT INTO etl.key_comparison (source, partition, run_id, began_at, sha256, keys, "
            "unreadable, rows_compared, newly_absent, returned, absent, concluded) VALUES ('people', '', '', %s, '', "
            "9, 0, 10, 1, 0, 1, true) RETURNING *) INSERT INTO etl.absent_row (delivery_id, record_no, source, "
            "partition, comparison_id, absent_since) SELECT %s, %s, source, partition, id, began_at FROM found",
            at, delivery, record,
        )  # fmt: skip

    def check(self, at: datetime, *, passed: bool) -> None:
        self.execute(
            "INSERT INTO etl.check_result (run_id, source, partition, name, passed, blocking, at) "
            "VALUES ('', 'people', '', 'volume', %s, false, %s)",
            passed, at,
        )  # fmt: skip


@pytest.fixture
def warehouse(database_url: str) -> Warehouse:
    migrate(database_url)
    return Warehouse(database_url)


def test_quality_has_a_row_for_each_day_and_source(warehouse: Warehouse) -> None:
    warehouse.run(_NOON)
    for status in ("failed", "crashed", "cancelled"):
        warehouse.run(_NOON, status)
    warehouse.run(_NOON, source="airports")
    first = warehouse.delivery(_NOON, 8, rejected=2)
    warehouse.delivery(_NOON, 2)
    warehouse.batch(first, _NOON + _DAY, "replay", 2, 1)
    for passed in (True, False, False):
        warehouse.check(_NOON, passed=passed)
    names = ("runs", "failed_runs", "deliveries", "read", "rejected", "rejected_share::float", "inserted")
    today, tomorrow = _NOON.date(), (_NOON + _DAY).date()
    assert warehouse.view("quality_daily", "day", "source", *names, "checks_failed") == [
        (today, "airports", 1, 0, 0, 0, 0, None, 0, 0),
        (today, "people", 4, 2, 2, 10, 2, 0.2, 8, 2),
        (tomorrow, "people", 0, 0, 0, 0, 0, None, 1, 0),
    ]


def test_a_day_ends_at_midnight_utc(warehouse: Warehouse) -> None:
    warehouse.run(datetime(2024, 5, 1, 23, 59, tzinfo=UTC))
    warehouse.run(datetime(2024, 5, 2, 0, 1, tzinfo=UTC))
    with psycopg.connect(warehouse.url, options="-c TimeZone=Asia/Tokyo") as connection:
        assert len(connection.execute("SELECT day FROM etl.quality_daily").fetchall()) == 2


def test_the_health_of_a_source_is_one_row(warehouse: Warehouse) -> None:
    warehouse.run(_NOON)
    warehouse.run(_NOON + _DAY, "failed")
    warehouse.run(_NOON + _DAY, "crashed")
    warehouse.delivery(_NOON, 100)
    warehouse.delivery(_NOON, 300)
    newest = warehouse.delivery(_NOON, 200, rejected=50)
    warehouse.rejected(newest, 1, _NOON, "id__type")
    warehouse.rejected(newest, 2, _NOON + _DAY, "id__type")
    warehouse.rejected(newest, 3, _NOON, "id__references", status="parked")
    warehouse.execute(
        "INSERT INTO etl.drift (source, kind, subject, status, first_delivery, last_delivery) VALUES "
        "('people', 'added', 'height', 'open', %s, %s), ('people', 'added', 'weight', 'accepted', %s, %s)",
        *[newest] * 4,
    )
    warehouse.execute(
        "INSERT INTO etl.alert (source, rule, severity, summary) VALUES ('people', 'run_failed', 'error', 'It failed.')"
    )
    ((age, *health),) = warehouse.view(
        "source_health", "age", "last_success_at", "last_run_status", "consecutive_failures", "open_rejected", "parked",
        "oldest_open_at", "open_drift", "open_alerts", "last_rejected_share::float", "last_records",
        "median_records", "stale",
    )  # fmt: skip
    assert age > _DAY
    assert health == [_NOON + timedelta(minutes=1), "crashed", 2, 2, 1, _NOON, 1, 1, 0.25, 200, 200.0, False]


def test_a_source_that_never_succeeded_has_a_row_too(warehouse: Warehouse) -> None:
    warehouse.run(_NOON, "failed")
    assert warehouse.view("source_health", "source", "last_success_at", "age", "consecutive_failures", "stale") == [
        ("people", None, None, 1, False)
    ]


@pytest.mark.parametrize(("hours_ago", "stale"), [(30, False), (60, True)])
def test_a_source_is_stale_after_twice_its_usual_pause(warehouse: Warehouse, hours_ago: int, stale: bool) -> None:  # noqa: FBT001
    last = datetime.now(UTC) - timedelta(hours=hours_ago)
    for days in range(4):
        warehouse.run(last - days * _DAY)
    assert warehouse.view("source_health", "source", "stale") == [("people", stale)]


def test_rejections_are_counted_by_rule_and_status(warehouse: Warehouse) -> None:
    delivery = warehouse.delivery(_NOON, 10, rejected=3, partition="north")
    warehouse.rejected(delivery, 1, _NOON, "id__type", "age__maximum")
    warehouse.rejected(delivery, 2, _NOON + _DAY, "id__type")
    warehouse.rejected(delivery, 3, _NOON, "id__type", status="dismissed")
    columns = ("rule", "status", "source", "partition", "records", "share::float", "first_seen_at", "last_seen_at")
    assert warehouse.view("rejections_by_rule", *columns) == [
        ("age__maximum", "open", "people", "north", 1, 0.1, _NOON, _NOON),
        ("id__type", "dismissed", "people", "north", 1, 0.1, _NOON, _NOON),
        ("id__type", "open", "people", "north", 2, 0.2, _NOON, _NOON + _DAY),
    ]


@pytest.fixture
def analyst(warehouse: Warehouse) -> Iterator[str]:
    """The URL of a user who may log in and is a member of the reader role only."""
    name, parts = f"analyst_{uuid4().hex}", urlsplit(warehouse.url)
    warehouse.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'analyst' IN ROLE {READER}")
    yield parts._replace(netloc=f"{name}:analyst@{parts.hostname}:{parts.port}").geturl()
    warehouse.execute(f"DROP ROLE {name}")


def test_a_reader_reads_the_views_and_no_table_below_them(warehouse: Warehouse, analyst: str) -> None:
    delivery = warehouse.delivery(_NOON, 10, rejected=1)
    warehouse.rejected(delivery, 1, _NOON, "id__type")
    warehouse.absent(delivery, 2, _NOON + _DAY)
    tables = warehouse.execute("SELECT c.relname FROM pg_class c WHERE relnamespace = 'etl'::regnamespace "
                               "AND relkind = 'r' ORDER BY 1")  # fmt: skip
    assert {"rejected", "profile", "run", "alert", "drift", "absent_row", "key_comparison"} <= {
        name for (name,) in tables
    }
    with psycopg.connect(analyst, autocommit=True) as connection:
        for view in VIEWS:
            rows = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier("etl", view))).fetchall()
            assert rows
            assert "Ada" not in repr(rows)
        for (table,) in tables:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(sql.SQL("SELECT FROM {}").format(sql.Identifier("etl", table)))
        for view in VIEWS:
            with pytest.raises(psycopg.Error):
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier("etl", view)))


def test_every_query_of_the_documentation_runs(warehouse: Warehouse, analyst: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / "run-history.md").read_text()
    blocks = re.findall(r"```sql\n(.*?)```", text, flags=re.DOTALL)
    queries = [part for block in blocks for part in block.split(";") if "SELECT" in part]
    assert len(queries) == 8
    with psycopg.connect(warehouse.url, autocommit=True) as connection:
        for query in queries:
            connection.execute(query.encode())
    with psycopg.connect(analyst, autocommit=True) as connection:
        for query in queries[1:4]:
            connection.execute(query.encode())


def test_the_documented_query_lists_what_waits_and_no_source_that_was_only_loaded_seldom(warehouse: Warehouse) -> None:
    text = (Path(__file__).parents[2] / "docs" / "run-history.md").read_text()
    (query,) = re.findall(r"-- Which sources have failures.*?;", text, flags=re.DOTALL)
    for minute in range(5):
        warehouse.run(_NOON + timedelta(minutes=minute), source="seldom")
        warehouse.run(_NOON + timedelta(minutes=minute))
    warehouse.rejected(warehouse.delivery(_NOON, 10, 1), 1, _NOON, "age__minimum")
    assert [row[0] for row in warehouse.execute(query)] == ["people"]
    assert warehouse.view("source_health", "source", "stale", where="stale") == [("people", True), ("seldom", True)]


def test_a_user_without_the_reader_role_cannot_read_the_views(warehouse: Warehouse, analyst: str) -> None:
    name = urlsplit(analyst).username
    warehouse.execute(f"REVOKE {READER} FROM {name}")
    with (
        psycopg.connect(analyst, autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT FROM etl.source_health")


def test_a_migrator_without_the_right_to_create_the_role_gets_a_warning_and_everything_else(
    postgres_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("etl_assets.postgres.roles.READER", f"reader_{uuid4().hex}")
    name, parts = f"migrator_{uuid4().hex}", urlsplit(database_url)
    database = sql.Identifier(parts.path.removeprefix("/"))
    migrator = sql.Identifier(name)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'm'").format(migrator))
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, migrator))
        try:
            url = parts._replace(netloc=f"{name}:m@{parts.hostname}:{parts.port}").geturl()
            migrate(url)
            assert "may not do it" in caplog.text
            with connected(url) as mine:
                assert mine.execute("SELECT * FROM etl.source_health").fetchall() == []
                problem = ensure_reader(mine)
                assert problem is not None
                assert "CREATE ROLE" in problem
        finally:
            connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO CURRENT_USER").format(database))
            with connected(database_url) as inside:
                inside.execute(sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(migrator))
                inside.execute(sql.SQL("DROP OWNED BY {}").format(migrator))
            connection.execute(sql.SQL("DROP ROLE {}").format(migrator))


def test_a_downgrade_and_a_new_migration_restore_the_views(warehouse: Warehouse) -> None:
    config = alembic_config(warehouse.url)
    warehouse.run(_NOON, "crashed")
    command.downgrade(config, "0001")
    assert warehouse.execute("SELECT status FROM etl.run") == [("failed",)]
    migrate(warehouse.url)
    assert warehouse.view("source_health", "source", "last_run_status") == [("people", "failed")]
