"""The doctor finds a violation of each invariant, and none in a healthy warehouse. The tests damage data by SQL."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
import pytest

from etl_assets import doctor, ingest
from etl_assets.errors import SettingsError
from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.csv import Csv
from etl_assets.landing import Warehouse
from etl_assets.landing.store import LandingStore
from etl_assets.model.partitions import Static
from etl_assets.postgres.connection import connect, connected
from etl_assets.postgres.ledger import decisions, locks, quarantine, structure
from etl_assets.postgres.ledger.invariants import OF_THE_LEDGER
from etl_assets.postgres.migrations.migrate import migrate
from etl_assets.schema import Column, Schema
from etl_assets.settings import with_database
from etl_assets.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from etl_assets.postgres.ledger.invariants import Violation

_STATIONS = "code,name\nA,Alpha\nB,Beta\n"
_MONDAY = "".join(
    ["station,day,celsius\n"]
    + [f"{station},{day},{day + 0.5}\n" for station in "AB" for day in range(1, 12)]
    + ["A,12,warm\n", "Z,1,1.5\n", "A,12,3.5\n", "A,12,4.5\n"]
)
_TUESDAY = "station,day,celsius\nA,1,9.5\nB,1,1.5\nB,20,cold\n"


def _source(folder: Path, name: str, schema: Schema, location: str, partitions: Static | None = None) -> Source:
    return Source(
        name=name,
        description="For the doctor.",
        owner="team:tests",
        extractor=FileExtractor(
            format=Csv(batch_bytes=100), location=str(folder / "feed" / location), settle_seconds=0.0
        ),
        schema=schema,
        partitions=partitions,
        max_rejected=1.0,
    )


class Practice:
    """A warehouse with a parent table and a child table.

    The child has two partitions, many batches, one corrected record, and other records that wait.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.landing = folder / "landing"
        self.warehouse = Warehouse(url, LandingStore(str(self.landing)))
        (folder / "feed").mkdir()
        (folder / "feed" / "stations.csv").write_text(_STATIONS)
        (folder / "feed" / "monday.csv").write_text(_MONDAY)
        (folder / "feed" / "tuesday.csv").write_text(_TUESDAY)
        self.stations = _source(
            folder, "stations", Schema((Column("code", "text", required=True), Column("name", "text")), ("code",)),
            "stations.csv",
        )  # fmt: skip
        columns = (
            Column("station", "text", required=True, references="core.stations.code"),
            Column("day", "integer", required=True),
            Column("celsius", "float"),
        )
        self.readings = _source(
            folder, "readings", Schema(columns, ("station", "day")), "{key}.csv", Static(("monday", "tuesday"))
        )

    def fill(self) -> None:
        migrate(self.url)
        self.take(self.stations, None)
        self.take(self.readings, "monday")
        self.take(self.readings, "tuesday")
        with connected(self.url) as connection:
            cold = next(r for r in quarantine.find(connection, source="readings") if r.partition == "tuesday")
            decisions.correct(connection, cold.id, {"celsius": "-3"}, "tester", None)
        ingest.replay(self.readings, self.warehouse, "replay", [cold.id])

    def take(self, source: Source, key: str | None, *, force: bool = False) -> None:
        landed = ingest.land(source, source.partition(key), self.warehouse)
        ingest.load(source, landed.delivery, self.warehouse, "run", force=force)

    def execute(self, *statements: str) -> None:
        with connected(self.url) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def examine(self) -> list[Violation]:
        return doctor.examine(self.warehouse)

    def violated(self) -> set[str]:
        return {violation.invariant for violation in self.examine()}


@pytest.fixture(scope="module")
def healthy(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    """A healthy warehouse, filled once; every test uses a copy of it."""
    url = with_database(postgres_url, "doctor_healthy")
    with connected(postgres_url) as connection:
        connection.execute("CREATE DATABASE doctor_healthy")
    practice = Practice(url, tmp_path_factory.mktemp("healthy"))
    practice.fill()
    yield practice
    with connected(postgres_url) as connection:
        connection.execute("DROP DATABASE doctor_healthy WITH (FORCE)")


@pytest.fixture
def practice(healthy: Practice, postgres_url: str, tmp_path: Path) -> Iterator[Practice]:
    shutil.copytree(healthy.landing, tmp_path / "landing")
    with connected(postgres_url) as connection:
        connection.execute("CREATE DATABASE doctor_patient TEMPLATE doctor_healthy")
    yield Practice(with_database(postgres_url, "doctor_patient"), tmp_path)
    with connected(postgres_url) as connection:
        connection.execute("DROP DATABASE doctor_patient WITH (FORCE)")


def test_a_healthy_warehouse_has_no_violations(practice: Practice) -> None:
    with connected(practice.url) as connection:
        statuses = connection.execute("SELECT status, count(*) FROM etl.rejected GROUP BY 1 ORDER BY 1").fetchall()
        entries = connection.execute("SELECT count(*) FROM etl.batch").fetchone()
    assert statuses == [("open", 1), ("parked", 1), ("replayed", 1)]
    assert entries is not None
    assert entries[0] > 4
    assert practice.examine() == []


def test_a_warehouse_with_reloaded_deliveries_has_no_violations(practice: Practice) -> None:
    practice.take(practice.readings, "monday", force=True)
    practice.take(practice.readings, "tuesday", force=True)
    assert practice.examine() == []


def test_an_empty_warehouse_has_no_violations(database_url: str, tmp_path: Path) -> None:
    practice = Practice(database_url, tmp_path)
    migrate(database_url)
    assert practice.examine() == []


def test_a_database_that_was_never_migrated_is_an_error(database_url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="etl-assets migrate"):
        Practice(database_url, tmp_path).examine()


def test_a_violation_names_the_delivery_and_what_to_do(practice: Practice) -> None:
    practice.execute("DELETE FROM etl.rejected WHERE status = 'parked'")
    (found,) = practice.examine()
    assert found.subject.startswith("delivery 2 of readings (monday), ingest batch ")
    assert found.problem == "rejected 1 records, and 0 are in the quarantine"
    assert "--force" in found.remedy


def test_an_entry_whose_records_do_not_add_up_is_found(practice: Practice) -> None:
    practice.execute(
        "ALTER TABLE etl.batch DROP CONSTRAINT records_add_up", "UPDATE etl.batch SET filtered = 1 WHERE id = 1"
    )
    assert practice.violated() == {"records_add_up", "constraints_are_there"}


def test_an_entry_whose_rows_do_not_add_up_is_found(practice: Practice) -> None:
    practice.execute(
        "ALTER TABLE etl.batch DROP CONSTRAINT rows_add_up",
        "UPDATE etl.batch SET unchanged = 1, confirmed = 1 WHERE id = 1",
    )
    assert practice.violated() == {"rows_add_up", "constraints_are_there"}


def test_an_entry_with_fewer_records_than_it_spans_is_found(practice: Practice) -> None:
    practice.execute("UPDATE etl.batch SET read = read - 1, accepted = accepted - 1 WHERE id = 1")
    assert "lines_span_their_records" in practice.violated()


def test_a_gap_in_the_ledger_of_a_complete_delivery_is_found(practice: Practice) -> None:
    practice.execute("DELETE FROM etl.batch WHERE delivery_id = 2 AND number = 2")
    assert "ledger_covers_deliveries" in practice.violated()


def test_missing_last_entries_of_the_ledger_are_found(practice: Practice) -> None:
    practice.execute("DELETE FROM etl.batch WHERE delivery_id = 1")
    assert "ledger_covers_deliveries" in practice.violated()


def test_records_that_were_read_twice_are_found_in_an_incomplete_delivery(practice: Practice) -> None:
    practice.execute(
        "UPDATE etl.delivery SET status = 'refused' WHERE id = 2",
        "UPDATE etl.batch SET first_record = 1, last_record = last_record - first_record + 1 "
        "WHERE delivery_id = 2 AND number = 2",
    )
    assert "ledger_covers_deliveries" in practice.violated()


def test_a_delivery_with_more_records_than_its_manifest_is_found(practice: Practice) -> None:
    practice.execute(
        "UPDATE etl.delivery SET records = records + 1, status = 'refused', refusal = 'Too few.' WHERE id = 2"
    )
    assert practice.violated() == {"manifests_count_their_records"}


def test_a_rejected_record_that_is_missing_from_the_quarantine_is_found(practice: Practice) -> None:
    practice.execute("DELETE FROM etl.rejected WHERE status = 'open'")
    assert practice.violated() == {"rejected_are_quarantined"}


def test_a_quarantined_record_that_no_batch_rejected_is_found(practice: Practice) -> None:
    practice.execute("UPDATE etl.rejected SET record_no = 1000 WHERE status = 'open'")
    assert practice.violated() == {"rejected_are_quarantined", "quarantined_were_rejected"}


def test_a_record_with_status_replayed_but_without_a_replay_is_found(practice: Practice) -> None:
    practice.execute("UPDATE etl.rejected SET status = 'replayed' WHERE status = 'parked'")
    assert practice.violated() == {"replays_are_in_the_ledger", "statuses_are_earned"}


@pytest.mark.parametrize("status", ["parked", "dismissed", "superseded", "replayed"])
def test_a_status_without_its_cause_is_found(practice: Practice, status: str) -> None:
    practice.execute(f"UPDATE etl.rejected SET status = '{status}' WHERE status = 'open'")
    assert "statuses_are_earned" in practice.violated()


def test_a_record_that_waits_though_a_later_generation_accepted_it_is_found(practice: Practice) -> None:
    practice.execute(
        "UPDATE etl.delivery SET generation = 2 WHERE id = 2",
        "UPDATE etl.batch SET generation = 2 WHERE delivery_id = 2",
    )
    assert "statuses_are_earned" in practice.violated()


def test_a_row_without_a_delivery_is_found(practice: Practice) -> None:
    practice.execute("UPDATE core.readings SET _delivery_id = 99 WHERE station = 'B' AND day = 3")
    assert practice.violated() == {"rows_come_from_deliveries"}


def test_a_row_of_another_sources_delivery_is_found(practice: Practice) -> None:
    practice.execute("UPDATE core.readings SET _delivery_id = 1, _record_no = 1 WHERE station = 'B' AND day = 3")
    assert practice.violated() == {"rows_come_from_deliveries"}


def test_a_row_of_a_record_that_was_never_read_is_found(practice: Practice) -> None:
    practice.execute("UPDATE core.readings SET _record_no = 1000 WHERE station = 'B' AND day = 3")
    assert practice.violated() == {"rows_come_from_deliveries", "rows_are_within_deliveries"}


def test_a_row_deleted_by_hand_is_found(practice: Practice) -> None:
    practice.execute("DELETE FROM core.readings WHERE station = 'B' AND day = 3")
    assert practice.violated() == {"rows_are_as_many_as_entered"}


def test_a_row_added_by_hand_is_found(practice: Practice) -> None:
    practice.execute("INSERT INTO core.readings SELECT station, 99, celsius, _delivery_id, _record_no, _row_hash "
                     "FROM core.readings LIMIT 1")  # fmt: skip
    assert practice.violated() == {"rows_are_as_many_as_entered"}


def test_a_row_of_a_record_that_waits_in_the_quarantine_is_found(practice: Practice) -> None:
    practice.execute(
        "UPDATE core.readings SET _record_no = (SELECT record_no FROM etl.rejected WHERE status = 'open') "
        "WHERE station = 'B' AND day = 3"
    )
    assert practice.violated() == {"waiting_records_have_no_rows"}


def test_a_dropped_table_is_found(practice: Practice) -> None:
    practice.execute("DROP TABLE core.readings")
    assert practice.violated() == {"tables_are_there"}


def test_a_staging_table_outside_a_session_is_found(practice: Practice) -> None:
    practice.execute("CREATE TABLE core.etl_staging (id integer)")
    assert practice.violated() == {"no_staging_is_left"}


def test_a_temporary_staging_table_without_a_load_is_found(practice: Practice) -> None:
    with psycopg.connect(practice.url, autocommit=True) as stranger:
        stranger.execute("CREATE TEMP TABLE etl_probe (id integer)")
        assert practice.violated() == {"no_staging_is_left"}


def test_a_temporary_staging_table_of_a_load_is_no_violation(practice: Practice) -> None:
    with connected(practice.url) as load:
        load.execute("CREATE TEMP TABLE etl_probe (id integer)")
        assert practice.examine() == []


def test_a_temporary_staging_table_of_a_load_that_has_just_ended_is_no_violation(practice: Practice) -> None:
    (invariant,) = (each for each in OF_THE_LEDGER if each.name == "no_staging_is_left")
    with connected(practice.url) as doctor_connection:
        with connected(practice.url) as load:
            load.execute("CREATE TEMP TABLE etl_probe (id integer)")
            doctor_connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            seen = doctor_connection.execute("SELECT count(*) FROM pg_class WHERE relname = 'etl_probe'").fetchone()
            pid = load.info.backend_pid
        with psycopg.connect(practice.url, autocommit=True) as witness:
            while witness.execute("SELECT FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone():
                time.sleep(0.01)
        assert seen == (1,)
        assert invariant.examine(doctor_connection) == []


def test_a_delivery_whose_run_was_killed_is_found(practice: Practice) -> None:
    practice.execute("UPDATE etl.delivery SET status = 'loading' WHERE id = 3")
    (found,) = practice.examine()
    assert found.invariant == "no_run_is_abandoned"
    assert found.subject == "delivery 3 of readings (tuesday)"


def test_a_delivery_that_is_being_loaded_is_no_violation(practice: Practice) -> None:
    practice.execute("UPDATE etl.delivery SET status = 'loading' WHERE id = 3")
    load = connect(practice.url)
    try:
        locks.lock(load, "readings", "tuesday")
        assert practice.examine() == []
    finally:
        load.close()


def test_bytes_that_are_missing_from_the_landing_store_are_found(practice: Practice) -> None:
    frozen = sorted(practice.landing.rglob("*.bytes"))
    frozen[0].unlink()
    (found,) = practice.examine()
    assert found.invariant == "bytes_are_frozen"


def test_truncated_bytes_are_found(practice: Practice) -> None:
    frozen = sorted(practice.landing.rglob("*.bytes"))
    frozen[0].chmod(0o644)
    frozen[0].write_bytes(b"cut")
    (found,) = practice.examine()
    assert found.invariant == "bytes_are_frozen"
    assert "has 3 bytes" in found.problem


def test_a_computed_table_is_examined_without_the_landing_store(practice: Practice) -> None:
    practice.execute(
        "CREATE SCHEMA marts", "CREATE TABLE marts.warmest AS SELECT * FROM core.readings",
        "INSERT INTO etl.delivery (source, partition, rank, sha256, size, records, manifest) "
        "SELECT 'marts.warmest', '', '', 'none', 0, 0, '{\"origin\": \"asset marts/warmest\", \"members\": []}'",
    )  # fmt: skip
    assert practice.violated() == {"rows_come_from_deliveries", "rows_are_as_many_as_entered"}


def _absent_row(*, concluded: bool) -> tuple[str, str]:
    """Return the statements that enter a comparison, and a row that it found absent."""
    comparison = (
        "INSERT INTO etl.key_comparison (source, partition, run_id, began_at, sha256, keys, unreadable, rows_compared, "
        "newly_absent, returned, absent, concluded) "
        f"VALUES ('readings', 'tuesday', 'run', clock_timestamp(), 'a', 1, 0, 2, 1, 0, 1, {concluded})"
    )
    row = (
        "INSERT INTO etl.absent_row SELECT max(d.id), 1, c.source, c.partition, c.id, c.began_at FROM etl.delivery d, "
        "etl.key_comparison c WHERE d.partition = 'tuesday' GROUP BY c.id"
    )
    return comparison, row


@pytest.mark.parametrize(
    "wrong",
    [
        "source = 'stations'",
        "partition = 'monday'",
        "record_no = 1000",
        "absent_since = absent_since + interval '1 s'",
        "delivery_id = 1",
    ],
)
def test_a_row_that_no_comparison_found_absent_is_found(practice: Practice, wrong: str) -> None:
    practice.execute(*_absent_row(concluded=True))
    assert practice.examine() == []
    practice.execute(f"UPDATE etl.absent_row SET {wrong}")
    assert practice.violated() == {"absent_rows_are_as_found"}


def test_rows_that_were_entered_although_a_comparison_concluded_nothing_are_found(practice: Practice) -> None:
    practice.execute(*_absent_row(concluded=False))
    assert practice.violated() == {"absent_rows_are_as_found"}


def test_a_table_of_another_hand_is_left_alone(practice: Practice) -> None:
    practice.execute("CREATE TABLE core.readings_before AS SELECT * FROM core.readings")
    assert practice.examine() == []


def test_a_table_of_a_declared_source_without_deliveries_is_examined(practice: Practice) -> None:
    practice.execute("CREATE TABLE core.visits (LIKE core.readings INCLUDING ALL)")
    practice.execute("INSERT INTO core.visits SELECT * FROM core.readings")
    visits = replace(practice.readings, name="visits")
    found = {violation.invariant for violation in doctor.examine(practice.warehouse, [visits])}
    assert found == {"rows_come_from_deliveries", "rows_are_as_many_as_entered"}


def test_the_constraints_that_must_be_there_are_those_of_the_newest_migration(migrated_url: str) -> None:
    with connected(migrated_url) as connection:
        assert {table: set(names) for table, names in structure.CONSTRAINTS.items()} == {
            table: structure.constraints(connection, table) for table in structure.CONSTRAINTS
        }
        assert {table: set(names) for table, names in structure.NULLABLE.items()} == {
            table: structure.nullable(connection, table) for table in structure.NULLABLE
        }


def test_the_rank_of_a_partition_that_is_no_longer_declared_is_not_compared(practice: Practice) -> None:
    without = replace(practice.readings, partitions=Static(("monday",)))
    assert doctor.examine(practice.warehouse, [without]) == []


def test_a_declaration_under_which_nothing_was_loaded_yet_is_not_compared_with_the_table(practice: Practice) -> None:
    columns = (*practice.readings.schema.columns, Column("sensor", "text", unique=True))
    changed = replace(practice.readings, schema=replace(practice.readings.schema, columns=columns))
    assert doctor.examine(practice.warehouse, [changed]) == []
