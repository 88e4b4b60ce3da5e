"""`etl-assets metrics` serves what the run history and Dagster's storage have, as a role that may only read."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from etl_assets.metrics import collector
from etl_assets.metrics.collector import Exposition
from etl_assets.settings import with_database
from etl_assets_tests.documented import ROOT
from etl_assets_tests.metrics.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from etl_assets_tests.cli.desk import Desk
    from etl_assets_tests.metrics.serving import Serving

_DAGSTER = "_dagster"


def dagster_url(desk: Desk) -> str:
    return with_database(desk.url, urlsplit(desk.url).path.removeprefix("/") + _DAGSTER)


def documented_grants() -> tuple[str, str]:
    """The statements of docs/monitoring.md for the warehouse, and those for Dagster's database."""
    text = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
    block = re.search(r"```sql\n(CREATE ROLE etl_metrics.*?)```", text, re.DOTALL)
    assert block is not None
    warehouse, dagster = re.split(r"^-- in warehouse_dagster.*$", block[1], flags=re.MULTILINE)
    return re.sub(r"^CREATE ROLE.*$", "", warehouse, flags=re.MULTILINE), dagster


@contextmanager
def role(desk: Desk, *grants: str) -> Iterator[dict[str, str]]:
    """The environment in which both databases are named with a new role that has some rights."""
    name = f"metrics_{uuid4().hex[:8]}"
    urls = (desk.url, dagster_url(desk))
    with psycopg.connect(desk.url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'pass'").format(sql.Identifier(name)))
    for url, statements in zip(urls, grants, strict=True):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statements.replace("etl_metrics", name).encode())
    as_role = [re.sub(r"//[^@]*@", f"//{name}:pass@", url) for url in urls]
    try:
        yield {"ETL_ASSETS_DATABASE_URL": as_role[0], "ETL_ASSETS_DAGSTER_URL": as_role[1]}
    finally:
        for url in urls:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
        with psycopg.connect(desk.url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def allow_connections(desk: Desk, *, allowed: bool) -> None:
    """Let the warehouse refuse every connection, and end those that there are; or accept them again."""
    name = urlsplit(desk.url).path.removeprefix("/")
    with psycopg.connect(with_database(desk.url, "postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(sql.Identifier(name), sql.Literal(allowed))
        )
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))


def test_metrics_are_those_of_the_run_history(history: Desk, january: Serving) -> None:
    assert history.query("SELECT sum(read), sum(rejected) FROM etl.run WHERE source = 'readings'") == [(4, 2)]
    values = {
        "read": january.value("etl_assets_records_read_total", source="readings"),
        "rejected": january.value("etl_assets_records_rejected_total", source="readings"),
        "inserted": january.value("etl_assets_rows_written_total", source="readings", change="inserted"),
        "runs": january.value("etl_assets_runs_total", source="readings", status="succeeded"),
        "failed": january.value("etl_assets_runs_total", source="readings", status="failed"),
        "open": january.value("etl_assets_records_waiting", source="readings", status="open"),
        "parked": january.value("etl_assets_records_waiting", source="readings", status="parked"),
        "queued": january.value("etl_assets_dagster_runs", status="queued"),
        "up": january.value("etl_assets_up", database="warehouse"),
    }
    assert values == {
        "read": 4, "rejected": 2, "inserted": 2, "runs": 1, "failed": 0, "open": 1, "parked": 1, "queued": 0, "up": 1,
    }  # fmt: skip
    ((ended, seconds),) = history.query(
        "SELECT extract(epoch FROM ended_at)::float, extract(epoch FROM ended_at - started_at)::float FROM etl.run "
        "WHERE source = 'readings'"
    )
    assert january.value("etl_assets_last_success_timestamp_seconds", source="readings") == pytest.approx(ended)
    assert january.value("etl_assets_run_duration_seconds_sum", source="readings") == pytest.approx(seconds)
    assert january.value("etl_assets_last_run_duration_seconds", source="readings") == pytest.approx(seconds)


def test_no_metric_has_a_partition_or_the_contents_of_a_record(history: Desk, january: Serving) -> None:
    _, text = january.get("/metrics")
    assert "readings" in text
    assert not re.search("2013-01-01|warm|Ann|=Bo", text)
    assert history.query("SELECT count(*) FROM etl.rejected") == [(2,)]


def test_the_documented_rights_are_enough_and_allow_no_writing(history: Desk) -> None:
    with role(history, *documented_grants()) as environ, serving({**history.environment, **environ}) as served:
        assert served.port, "".join(served.log)
        assert served.value("etl_assets_up", database="dagster") == 1
        assert served.value("etl_assets_records_read_total", source="readings") == 4
        with psycopg.connect(environ["ETL_ASSETS_DATABASE_URL"], autocommit=True) as connection:
            for statement in (
                "SELECT fields FROM etl.rejected",
                "SELECT raw FROM etl.rejected",
                "UPDATE etl.partition_total SET read = 0",
                "INSERT INTO etl.notification DEFAULT VALUES",
                "DELETE FROM etl.run",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement.encode())


def test_a_missing_right_ends_the_command_with_a_clear_text(history: Desk) -> None:
    warehouse, _ = documented_grants()
    with role(history, warehouse, "SELECT 1") as environ, serving({**history.environment, **environ}) as served:
        assert served.process.wait(60) == 3
    text = "".join(served.log)
    assert "Nothing was started" in text
    assert "lacks a right" in text


def test_a_database_that_is_not_migrated_ends_the_command_with_a_clear_text(database_url: str, tmp_path: Path) -> None:
    environ = {"ETL_ASSETS_DATABASE_URL": database_url, "ETL_ASSETS_DAGSTER_URL": database_url}
    with serving({**environ, "ETL_ASSETS_HOME": str(tmp_path)}) as served:
        assert served.process.wait(60) == 3
    assert "Nothing was started. Run etl-assets migrate" in "".join(served.log)


def test_a_database_that_goes_away_is_not_up_until_it_is_back(history: Desk, january: Serving) -> None:
    allow_connections(history, allowed=False)
    january.until(lambda: january.value("etl_assets_up", database="warehouse") == 0)
    assert january.value("etl_assets_up", database="dagster") == 1
    assert january.value("etl_assets_runs_total", source="readings", status="succeeded") is None
    assert january.value("etl_assets_dagster_runs", status="queued") == 0
    assert january.get("/health")[0] == 200
    allow_connections(history, allowed=True)
    january.until(lambda: january.value("etl_assets_up", database="warehouse") == 1)
    assert january.value("etl_assets_runs_total", source="readings", status="succeeded") == 1
    assert (january.value("etl_assets_scrape_failures_total", database="warehouse") or 0) >= 1
    assert "No metrics of the database 'warehouse' are exported" in "".join(january.log)


def test_a_signal_ends_the_command_well(january: Serving) -> None:
    assert january.get("/health") == (200, "ok\n")
    assert january.end() == 0


def test_what_is_no_metric_is_not_found(january: Serving) -> None:
    assert january.get("/")[0] == 404
    assert january.get("/metrics", "POST")[0] == 405


def test_an_address_that_is_none_ends_the_command_with_a_clear_text(history: Desk) -> None:
    result = history.type("metrics", "--listen", "localhost")
    assert result.exit_code == 3
    assert "--listen localhost is not an address. Nothing was started." in result.stderr


def test_the_quarantine_is_not_scanned(history: Desk) -> None:
    history.execute(
        "INSERT INTO etl.rejected (delivery_id, record_no, generation, source, partition, location, raw, rules, "
        "status, run_id, identity, fingerprint) SELECT delivery_id, 1000 + n, generation, source, partition, '', raw, "
        "rules, 'superseded', run_id, identity, fingerprint FROM (SELECT * FROM etl.rejected LIMIT 1) r, "
        "generate_series(1, 20000) n"
    )
    history.execute("VACUUM ANALYZE etl.rejected")
    reads = (
        "SELECT (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'rejected') + (SELECT sum(idx_tup_read) "
        "FROM pg_stat_user_indexes WHERE relname = 'rejected')"
    )
    ((before,),) = history.query(reads)
    text = Exposition({"warehouse": history.url}).text().decode()
    assert 'etl_assets_records_waiting{source="readings",status="open"} 1.0' in text
    ((after,),) = history.query(reads)
    assert after - before < 20


def test_many_requests_within_a_few_seconds_read_the_databases_once(history: Desk, january: Serving) -> None:
    before = january.value("etl_assets_records_read_total", source="readings")
    history.execute("UPDATE etl.partition_total SET read = read + 100 WHERE source = 'readings'")
    assert january.value("etl_assets_records_read_total", source="readings") == before
    time.sleep(collector.KEPT_SECONDS)
    assert january.value("etl_assets_records_read_total", source="readings") == 104
