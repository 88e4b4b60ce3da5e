"""The comparison of the ledger with the manifest, the quarantine and the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from etl_assets import Column, Csv, FileExtractor, Schema, Source, ingest
from etl_assets.landing import LandingStore, Warehouse
from etl_assets.model.partitions import Partition
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries
from etl_assets.postgres.ledger.conservation import conservation, table_violations
from etl_assets.postgres.migrations.migrate import migrate

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets.model.delivery import Delivery


@pytest.fixture
def loaded(database_url: str, tmp_path: Path) -> tuple[str, Delivery]:
    """A delivery of two good records and a bad one."""
    migrate(database_url)
    (tmp_path / "things.csv").write_text("id\n1\n2\nx\n")
    source = Source(
        name="things",
        description="Things.",
        owner="team:x",
        extractor=FileExtractor(location=str(tmp_path / "things.csv"), format=Csv(), settle_seconds=0),
        schema=Schema(columns=(Column("id", "integer", required=True),), key=("id",)),
        max_rejected=1.0,
    )
    warehouse = Warehouse(database_url, LandingStore(str(tmp_path / "landing")))
    landed = ingest.land(source, Partition(), warehouse)
    return database_url, ingest.load(source, landed.delivery, warehouse, "run").delivery


def _violations(url: str, delivery: Delivery) -> list[str]:
    with connected(url) as connection:
        current = deliveries.by_id(connection, delivery.id)
        assert current is not None
        return [*conservation(connection, current), *table_violations(connection, "things", "core.things")]


def test_a_loaded_delivery_has_no_violation(loaded: tuple[str, Delivery]) -> None:
    assert _violations(*loaded) == []


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("DELETE FROM core.things WHERE id = 1", "core.things has 1 rows, and the ledger says 2"),
        ("DROP TABLE core.things", "core.things has 0 rows, and the ledger says 2"),
        ("DELETE FROM etl.rejected", "has 0 records in the quarantine, and 1 rejected according to the ledger"),
        ("DELETE FROM etl.batch", "has 0 batches in the ledger, and 1 in its manifest"),
        (
            "UPDATE etl.batch SET read = 2, rejected = 0",
            "has 2 records in the ledger, and 3 in its manifest",
        ),
        ("UPDATE etl.batch SET inserted = 1, updated = 1", "core.things has 2 rows, and the ledger says 1"),
    ],
)
def test_a_change_that_the_ledger_does_not_have_is_found(
    loaded: tuple[str, Delivery], damage: str, problem: str
) -> None:
    url, delivery = loaded
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(damage.encode())
    assert any(problem in violation for violation in _violations(url, delivery))
