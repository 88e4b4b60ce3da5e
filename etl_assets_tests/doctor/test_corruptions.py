"""Whatever somebody changes by hand in the database or the landing store, the doctor finds and names."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from etl_assets import doctor
from etl_assets.extract.formats.csv import Csv
from etl_assets.postgres.connection import connected
from etl_assets.postgres.migrations.migrate import migrate
from etl_assets.schema import Column, Schema
from etl_assets_tests.databases import create_database, drop_database, fresh_database
from etl_assets_tests.ingest.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SCHEMA: Final = Schema(
    (
        Column("code", "integer", required=True),
        Column("amount", "integer", required=True),
        Column("note", "text", unique=True),
    ),
    key=("code",),
)
_MONDAY, _TUESDAY = "1.csv", "2.csv"
_DATABASE: Final = "doctor_corruptions"


def _lines(day: int) -> list[str]:
    """Return 59 records, of which five break a rule; those of the second day change the amounts of the first."""
    return [f"{n},{n * day if n % 10 else 'x'},n{n}" for n in range(1, 60)]


@pytest.fixture(scope="module")
def sound(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A warehouse with two deliveries of many batches and one corrected record; every test damages a copy of it."""
    with fresh_database(postgres_url, _DATABASE) as url:
        migrate(url)
        world = World(url, tmp_path_factory.mktemp("sound"), _SCHEMA, files=True, format=Csv(batch_bytes=200))
        world.take(*_lines(1), file=_MONDAY, header="code,amount,note")
        world.take(*_lines(2), file=_TUESDAY, header="code,amount,note")
        record = world.waiting()[0]
        world.correct(record, amount="7")
        world.replay(record.id)
        yield world


@pytest.fixture
def world(sound: World, postgres_url: str, tmp_path: Path) -> Iterator[World]:
    shutil.copytree(sound.folder, tmp_path, dirs_exist_ok=True)
    name = f"{_DATABASE}_copy"
    drop_database(postgres_url, name)
    try:
        url = create_database(postgres_url, name, template=sound.url.rpartition("/")[2].partition("?")[0])
        yield replace(sound, url=url, folder=tmp_path)
    finally:
        drop_database(postgres_url, name)


def shallow(world: World) -> set[str]:
    """Return the names of the invariants that are violated as far as the database and the store show it."""
    return {violation.invariant for violation in doctor.examine(world.warehouse, [world.source])}


def deep(world: World) -> set[str]:
    """Return the names of the invariants that are violated as reading everything again shows."""
    rereading = doctor.reread(world.warehouse, [world.source])
    return shallow(world) | {violation.invariant for violation in rereading.violations}


def damage(world: World, statements: str) -> None:
    with connected(world.url) as connection:
        connection.execute(statements.encode())


_LAST: Final = "(SELECT max(id) FROM etl.rejected)"


class _By(NamedTuple):
    """The statements by which something is changed, and the invariant that must be named."""

    statements: str
    invariant: str


_SHOWN_BY_THE_DATABASE: Final = {
    "a row is deleted": _By("DELETE FROM core.goods WHERE code = 5", "rows_are_as_many_as_entered"),
    "a kept row count is changed": _By(
        "UPDATE etl.row_count SET rows = rows + 1", "row_counts_are_those_of_the_ledger"
    ),
    "the trigger that keeps the row counts is off": _By(
        "ALTER TABLE etl.batch DISABLE TRIGGER keep_row_count; UPDATE etl.batch SET deleted = 1, inserted = inserted "
        "WHERE id = (SELECT min(id) FROM etl.batch)",
        "row_counts_are_those_of_the_ledger",
    ),
    "the table is emptied": _By("TRUNCATE core.goods", "rows_are_as_many_as_entered"),
    "the table is dropped": _By("DROP TABLE core.goods", "tables_are_there"),
    "a record number is out of range": _By(
        "UPDATE core.goods SET _record_no = 100000 WHERE code = 45",
        "rows_come_from_deliveries",
    ),
    "a row has the number of a record that waits": _By(
        "UPDATE core.goods SET _record_no = 50 WHERE code = 45",
        "waiting_records_have_no_rows",
    ),
    "an entry is deleted": _By(
        "DELETE FROM etl.batch WHERE id = (SELECT min(id) + 1 FROM etl.batch)",
        "ledger_covers_deliveries",
    ),
    "the last entry is deleted": _By(
        "DELETE FROM etl.batch WHERE id = (SELECT max(id) FROM etl.batch WHERE kind = 'ingest')",
        "ledger_covers_deliveries",
    ),
    "an entry counts inserted rows as unchanged": _By(
        "UPDATE etl.batch SET inserted = inserted - 1, unchanged = unchanged + 1 WHERE id = (SELECT min(id) "
        "FROM etl.batch WHERE inserted > 0)",
        "entries_count_what_is_stored",
    ),
    "an entry counts updated rows as unchanged": _By(
        "UPDATE etl.batch SET updated = updated - 1, unchanged = unchanged + 1 WHERE id = (SELECT min(id) "
        "FROM etl.batch WHERE updated > 0)",
        "entries_count_what_is_stored",
    ),
    "an entry counts rejected records as accepted": _By(
        "UPDATE etl.batch SET rejected = rejected - 1, accepted = accepted + 1 WHERE id = (SELECT max(id) "
        "FROM etl.batch WHERE rejected > 0)",
        "rejected_are_quarantined",
    ),
    "the rules of all entries are emptied": _By("UPDATE etl.batch SET rules = '{}'", "entries_count_what_is_stored"),
    "a rejected record is deleted": _By(f"DELETE FROM etl.rejected WHERE id = {_LAST}", "rejected_are_quarantined"),
    "a rejected record is there twice": _By(
        "INSERT INTO etl.rejected (delivery_id, record_no, generation, source, partition, location, raw, fields, "
        "rules, status, fingerprint, run_id) SELECT delivery_id, record_no + 1, generation, source, partition, "
        f"location, raw, fields, rules, status, fingerprint, run_id FROM etl.rejected WHERE id = {_LAST}",
        "rejected_are_quarantined",
    ),
    "a record that waits is marked as dismissed": _By(
        f"UPDATE etl.rejected SET status = 'dismissed' WHERE id = {_LAST}",
        "statuses_are_earned",
    ),
    "a record that waits is marked as replayed": _By(
        f"UPDATE etl.rejected SET status = 'replayed' WHERE id = {_LAST}",
        "statuses_are_earned",
    ),
    "a replayed record is marked as open": _By(
        "UPDATE etl.rejected SET status = 'open' WHERE status = 'replayed'",
        "waiting_records_have_no_rows",
    ),
    "a delivery is deleted with all that refers to it": _By(
        "DELETE FROM etl.observation WHERE delivery_id = 2; UPDATE etl.rejected SET closed_by = 1 WHERE closed_by = 2; "
        "DELETE FROM etl.rejected WHERE delivery_id = 2; "
        "DELETE FROM etl.batch WHERE delivery_id = 2; DELETE FROM etl.profile_part WHERE delivery_id = 2; "
        "DELETE FROM etl.delivery WHERE id = 2",
        "rows_come_from_deliveries",
    ),
    "a complete delivery is marked as not begun": _By(
        "UPDATE etl.delivery SET status = 'landed' WHERE id = 2",
        "deliveries_are_as_entered",
    ),
    "a fingerprint is changed": _By(
        "UPDATE etl.delivery SET fingerprint = 'x' WHERE id = 2", "deliveries_are_as_entered"
    ),
    "a hash is changed": _By(
        "UPDATE etl.delivery SET sha256 = repeat('a', 64) WHERE id = 2",
        "deliveries_are_as_entered",
    ),
    "a rank is changed": _By("UPDATE etl.delivery SET rank = '0' WHERE id = 2", "deliveries_are_as_entered"),
    "a staging table is left": _By("CREATE TABLE public.etl_staging (a int)", "no_staging_is_left"),
    "a fence is deleted": _By("DELETE FROM etl.fence", "fences_are_kept"),
    "the primary key of a table is dropped": _By(
        "ALTER TABLE core.goods DROP CONSTRAINT goods_pkey",
        "constraints_are_there",
    ),
    "a unique index of a table is dropped": _By(
        "DO $$ BEGIN EXECUTE (SELECT 'DROP INDEX core.' || quote_ident(indexname) FROM pg_indexes "
        "WHERE tablename = 'goods' AND indexname LIKE '%unique'); END $$",
        "constraints_are_there",
    ),
    "a bookkeeping column may be null": _By(
        "ALTER TABLE core.goods ALTER COLUMN _record_no DROP NOT NULL",
        "constraints_are_there",
    ),
    "a check of the ledger is dropped": _By(
        "ALTER TABLE etl.batch DROP CONSTRAINT records_add_up",
        "constraints_are_there",
    ),
    "the key of the quarantine is dropped": _By(
        "ALTER TABLE etl.rejected DROP CONSTRAINT rejected_delivery_id_record_no_key",
        "constraints_are_there",
    ),
    "a column of the quarantine may be null": _By(
        "ALTER TABLE etl.rejected ALTER COLUMN raw DROP NOT NULL",
        "constraints_are_there",
    ),
}
_SHOWN_BY_READING: Final = {
    "a value is changed": _By("UPDATE core.goods SET amount = 999999 WHERE code = 5", "rows_are_as_read"),
    "two values are swapped": _By(
        "UPDATE core.goods SET note = 'n' || 0 WHERE code = 5; UPDATE core.goods SET note = 'n5' WHERE code = 6; "
        "UPDATE core.goods SET note = 'n6' WHERE code = 5",
        "rows_are_as_read",
    ),
    "a row hash is changed": _By("UPDATE core.goods SET _row_hash = 1 WHERE code = 5", "rows_are_as_read"),
    "a row is replaced by an invented one": _By(
        "WITH d AS (DELETE FROM core.goods WHERE code = 5 RETURNING *) INSERT INTO core.goods "
        "SELECT 100005, amount, note, _delivery_id, _record_no, _row_hash FROM d",
        "rows_are_as_read",
    ),
    "a record number is that of another record": _By(
        "UPDATE core.goods SET _record_no = 1 WHERE code = 45",
        "rows_are_as_read",
    ),
    "a row has the mark of another delivery": _By(
        "UPDATE core.goods SET _delivery_id = 1 WHERE _delivery_id = 2 AND code = 45",
        "rows_are_as_read",
    ),
    "a row goes back to an older delivery": _By(
        "UPDATE core.goods SET _delivery_id = 1, amount = 45, _row_hash = 0 WHERE code = 45",
        "rows_are_as_read",
    ),
    "a rejected record is moved to another": _By(
        f"UPDATE etl.rejected SET record_no = record_no - 1 WHERE id = {_LAST}",
        "rejected_are_as_read",
    ),
    "the bytes of a rejected record are replaced": _By(
        f"UPDATE etl.rejected SET raw = '\\x00' WHERE id = {_LAST}",
        "rejected_are_as_read",
    ),
    "the rules of a rejected record are replaced": _By(
        f"UPDATE etl.rejected SET rules = '{{note__unique}}' WHERE id = {_LAST}; UPDATE etl.batch "
        "SET rules = rules || '{\"note__unique\": 1}'",
        "rejected_are_as_read",
    ),
    "the correction of a replayed record is changed": _By(
        "UPDATE etl.rejected SET correction = '{\"amount\": \"8\"}' WHERE status = 'replayed'",
        "rows_are_as_read",
    ),
    "an entry counts filtered records": _By(
        "UPDATE etl.batch SET filtered = filtered + 1, accepted = accepted - 1 WHERE id = 3",
        "entries_are_as_read",
    ),
    "an entry counts a rule that no record broke": _By(
        "UPDATE etl.batch SET rules = rules || '{\"amount__minimum\": 1}'",
        "entries_are_as_read",
    ),
    "a delivery has other batches in the database than in its bytes": _By(
        "UPDATE etl.delivery SET manifest = jsonb_set(manifest, '{members,0,spans,0,first_line}', '7') WHERE id = 2",
        "manifests_describe_bytes",
    ),
}


def test_the_sound_warehouse_has_no_violations(sound: World) -> None:
    assert sound.query("SELECT status, count(*) FROM etl.rejected GROUP BY 1 ORDER BY 1") == [
        ("open", 4),
        ("repeated", 5),
        ("replayed", 1),
    ]
    assert deep(sound) == set()


@pytest.mark.parametrize("corruption", _SHOWN_BY_THE_DATABASE)
def test_a_corruption_is_found_without_reading_deliveries(world: World, corruption: str) -> None:
    statements, invariant = _SHOWN_BY_THE_DATABASE[corruption]
    damage(world, statements)
    assert invariant in shallow(world)


@pytest.mark.parametrize("corruption", _SHOWN_BY_READING)
def test_a_corruption_is_found_by_reading_deliveries(world: World, corruption: str) -> None:
    statements, invariant = _SHOWN_BY_READING[corruption]
    damage(world, statements)
    assert invariant in deep(world)


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)


_STORE: Final[dict[str, tuple[str, Callable[[Path], object], str]]] = {
    "bytes are deleted": ("bytes", Path.unlink, "bytes_are_frozen"),
    "bytes are truncated": ("bytes", lambda path: path.write_bytes(path.read_bytes()[:50]), "bytes_are_frozen"),
    "a manifest is deleted": ("json", Path.unlink, "manifests_describe_bytes"),
    "a manifest is damaged": ("json", lambda path: path.write_text("{"), "manifests_describe_bytes"),
}


@pytest.mark.parametrize("corruption", _STORE)
def test_a_corruption_of_the_landing_store_is_found_without_reading(
    sound: World, tmp_path: Path, corruption: str
) -> None:
    ending, corrupt, invariant = _STORE[corruption]
    shutil.copytree(sound.folder, tmp_path, dirs_exist_ok=True)
    corrupt(min((tmp_path / "landing").rglob(f"*.{ending}")))
    assert shallow(replace(sound, folder=tmp_path)) == {invariant}


def test_a_flipped_bit_of_the_landing_store_is_found_by_reading(sound: World, tmp_path: Path) -> None:
    shutil.copytree(sound.folder, tmp_path, dirs_exist_ok=True)
    _flip(min((tmp_path / "landing").rglob("*.bytes")))
    damaged = replace(sound, folder=tmp_path)
    assert shallow(damaged) == set()
    assert deep(damaged) == {"bytes_are_frozen"}
