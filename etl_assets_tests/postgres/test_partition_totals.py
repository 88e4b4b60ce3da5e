"""The totals that triggers on the ledger and the run history keep: they only grow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from alembic import command

from etl_assets import Schema
from etl_assets.model.run import RunKey
from etl_assets.postgres.connection import connected
from etl_assets.postgres.metrics.sources import totals
from etl_assets.postgres.migrations.migrate import alembic_config, migrate
from etl_assets.postgres.runs import history
from etl_assets_tests.ingest.world import GOODS, World, ending_after

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def world(migrated_url: str, tmp_path: Path) -> World:
    return World(migrated_url, tmp_path)


def total(url: str, *names: str) -> tuple[Any, ...]:
    """Return some totals of the only source."""
    with connected(url) as connection:
        found = totals(connection)
    assert len(found) <= 1
    return tuple(getattr(found[0], name) for name in names) if found else ()


def test_records_and_rows_are_added_up_over_deliveries(world: World) -> None:
    world.take("a,1,", "b,x,", "c,3,")
    world.take("a,2,", "c,3,", "d,x,")
    assert total(world.url, "read", "rejected", "inserted", "updated") == (6, 2, 2, 1)


def test_a_batch_that_is_rolled_back_adds_nothing(world: World) -> None:
    world.publish(b"a,1,\nb,2,")
    with pytest.raises(KeyboardInterrupt):
        world.load(world.land().delivery, ending_after(0))
    assert total(world.url) == ()


def test_totals_do_not_shrink_with_the_ledger(world: World) -> None:
    world.take("a,1,", "b,x,")
    with psycopg.connect(world.url, autocommit=True) as connection:
        connection.execute("UPDATE etl.batch SET generation = 7")
        connection.execute("DELETE FROM etl.batch")
    assert total(world.url, "read", "rejected", "inserted") == (2, 1, 1)


def test_a_rebuild_adds_nothing(world: World) -> None:
    world.take("a,1,")
    with psycopg.connect(world.url, autocommit=True) as connection:
        connection.execute("UPDATE etl.delivery SET source = 'goods@rebuild'")
    with connected(world.url) as connection:
        connection.execute(
            "INSERT INTO etl.batch (delivery_id, generation, kind, number, run_id, epoch, first_record, last_record, "
            "read, rejected, filtered, accepted, produced, inserted, updated, unchanged, duplicate, deleted, "
            "hash_seed) SELECT delivery_id, 2, kind, number, run_id, epoch, first_record, last_record, read, rejected, "
            "filtered, accepted, produced, inserted, updated, unchanged, duplicate, deleted, hash_seed FROM etl.batch"
        )
        rows = connection.execute("SELECT source, read FROM etl.partition_total").fetchall()
    assert rows == [("goods", 1)]


def test_each_run_is_counted_when_it_ends(migrated_url: str) -> None:
    with connected(migrated_url) as connection:
        for number, status in enumerate(("succeeded", "failed", "failed", "crashed", "cancelled")):
            key = RunKey(str(number), "goods", "")
            history.run_started(connection, key)
            history.run_started(connection, key, step="core")
            connection.execute(
                "UPDATE etl.run SET status = %s, ended_at = started_at + interval '2 seconds' WHERE run_id = %s",
                (status, key.run_id),
            )
            connection.execute("UPDATE etl.run SET status = %s WHERE run_id = %s", (status, key.run_id))
        history.run_started(connection, RunKey("5", "goods", ""))
    names = ("succeeded", "unchanged", "failed", "cancelled", "crashed", "seconds")
    assert total(migrated_url, *names) == (1, 0, 2, 1, 1, 10.0)


def test_a_run_that_found_nothing_to_do_is_counted_apart(migrated_url: str) -> None:
    with connected(migrated_url) as connection:
        connection.execute(
            "INSERT INTO etl.run (run_id, source, partition, status, ended_at, unchanged_since) "
            "VALUES ('1', 'goods', '', 'succeeded', clock_timestamp() + interval '1 hour', now())"
        )
    assert total(migrated_url, "succeeded", "unchanged", "seconds") == (0, 1, 0.0)


def test_a_migration_counts_what_an_older_version_did(database_url: str, tmp_path: Path) -> None:
    migrate(database_url)
    world = World(database_url, tmp_path, Schema(GOODS.columns, key=("code",)))
    world.take("a,1,", "b,2,", "c,x,")
    with connected(database_url) as connection:
        for number, status in enumerate(("succeeded", "failed", "crashed", "started")):
            connection.execute(
                "INSERT INTO etl.run (run_id, source, partition, status, started_at, ended_at) "
                "VALUES (%s, 'goods', '', %s, now(), now() + interval '3 seconds')",
                (str(number), status),
            )
        before = totals(connection)
        command.downgrade(alembic_config(database_url), "0020")
        migrate(database_url)
        assert totals(connection) == before
    assert total(database_url, "read", "succeeded", "seconds") == (3, 1, 9.0)


def test_a_role_that_may_only_write_ledger_and_history_keeps_the_totals(world: World) -> None:
    world.take("a,1,")
    with psycopg.connect(world.url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS clerk; CREATE ROLE clerk; GRANT USAGE ON SCHEMA etl TO clerk")
        connection.execute("GRANT SELECT, INSERT, UPDATE ON etl.run TO clerk; SET ROLE clerk")
        connection.execute(
            "INSERT INTO etl.run (run_id, source, partition, status) VALUES ('1', 'goods', '', 'failed')"
        )
        connection.execute("RESET ROLE; DROP OWNED BY clerk; DROP ROLE clerk")
    assert total(world.url, "read", "failed") == (1, 1)
