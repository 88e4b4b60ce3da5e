"""The row counts that a trigger on the ledger keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from alembic import command

from etl_assets import Replace, Schema
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger.row_counts import ROW_COUNTS_ARE_THOSE_OF_THE_LEDGER, count_partition_rows, count_rows
from etl_assets.postgres.migrations.migrate import alembic_config, migrate
from etl_assets_tests.ingest.world import GOODS, World, ending_after

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def world(migrated_url: str, tmp_path: Path) -> World:
    return World(migrated_url, tmp_path)


def counted(world: World) -> int:
    with connected(world.url) as connection:
        assert ROW_COUNTS_ARE_THOSE_OF_THE_LEDGER.examine(connection) == []
        return count_rows(connection, world.name, world.source.table)


def test_a_migration_counts_the_rows_that_an_older_version_loaded(database_url: str, tmp_path: Path) -> None:
    migrate(database_url)
    world = World(database_url, tmp_path)
    world.take("a,1,", "b,2,", "c,x,")
    staged = World(database_url, tmp_path, Schema(GOODS.columns, key=()), "replaced", more={"write": Replace()})
    staged.take("a,1,", "b,2,", "b,2,")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE etl.batch SET notes = '{\"staged\": 1}' WHERE delivery_id = 2 AND kind = 'ingest'")
    command.downgrade(alembic_config(database_url), "0018")
    migrate(database_url)
    assert (counted(world), counted(staged)) == (2, 3)


def test_staged_rows_count_when_their_delivery_is_complete(migrated_url: str, tmp_path: Path) -> None:
    schema = Schema(GOODS.columns, key=())
    world = World(migrated_url, tmp_path, schema, more={"write": Replace()})
    world.publish(b"\n".join(b"%c,1,%s" % (97 + n % 26, b"x" * 900) for n in range(12)))
    delivery = world.land().delivery
    with pytest.raises(KeyboardInterrupt):
        world.load(delivery, ending_after(1))
    assert counted(world) == 0
    world.load(delivery)
    assert counted(world) == 12


def test_a_batch_that_is_rolled_back_counts_nothing(world: World) -> None:
    world.publish(b"a,1,\nb,2,")
    with pytest.raises(KeyboardInterrupt):
        world.load(world.land().delivery, ending_after(0))
    assert counted(world) == 0


def test_a_role_that_may_only_insert_entries_keeps_the_counts(world: World) -> None:
    world.take("a,1,")
    with psycopg.connect(world.url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS clerk; CREATE ROLE clerk")
        connection.execute("GRANT USAGE ON SCHEMA etl TO clerk; GRANT SELECT, INSERT ON etl.batch TO clerk")
        connection.execute("SET ROLE clerk")
        connection.execute(
            "INSERT INTO etl.batch (delivery_id, generation, kind, number, run_id, epoch, first_record, last_record, "
            "read, rejected, filtered, accepted, produced, inserted, updated, unchanged, duplicate, deleted, "
            "hash_seed) "
            "SELECT delivery_id, generation, 'completion', 1, run_id, epoch, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, "
            "hash_seed FROM etl.batch"
        )
        connection.execute("RESET ROLE")
        connection.execute("DROP OWNED BY clerk; DROP ROLE clerk")
    assert counted(world) == 0


def test_rows_of_a_partition_are_counted_only_where_they_cannot_move(migrated_url: str, tmp_path: Path) -> None:
    keyed = World(migrated_url, tmp_path, name="keyed", files=True)
    keyed.take("a,1,", file="1.csv")
    plain = World(migrated_url, tmp_path, Schema(GOODS.columns, key=()), "plain", files=True, more={"write": Replace()})
    plain.take("a,1,", "a,1,", file="1.csv")
    plain.take("b,1,", file="2.csv")
    with connected(migrated_url) as connection:
        rows = [
            count_partition_rows(connection, world.name, world.source.table, file)
            for world, file in ((keyed, "1.csv"), (plain, "1.csv"), (plain, "2.csv"))
        ]
    assert rows == [None, 2, 1]
