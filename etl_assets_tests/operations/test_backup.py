"""The backup and the restore of docs/operations.md, word for word, while a load is under way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from etl_assets.local import embedded
from etl_assets_tests.documented import blocks
from etl_assets_tests.operations.team import DATABASE, OPERATIONS, Team, carry_out, create_roles

if TYPE_CHECKING:
    from collections.abc import Iterator

_RECORDS = 60_000
_MANY = """
from etl_assets import Column, Csv, FileExtractor, Schema, Source

SOURCE = Source(
    name="many",
    description="Enough records that a backup is made while they are loaded.",
    owner="team:tests",
    extractor=FileExtractor(location={folder!r} + "/many.csv", format=Csv(batch_bytes=10_000), settle_seconds=0.0),
    schema=Schema((Column("id", "integer", required=True), Column("name", "text")), ("id",)),
)
"""
_BATCHES = (
    "SELECT count(*) FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id WHERE source = 'many' "
    "AND status = 'loading'"
)
pytestmark = pytest.mark.slow


@pytest.fixture
def backup(team: Team, tmp_path: Path) -> Iterator[Path]:
    """A backup whose dump was made in the middle of a load, and whose copy of the landing store after its end."""
    (team.folder / "declared" / "many.py").write_text(_MANY.format(folder=str(team.folder / "feeds")))
    team.desk.publish("many.csv", "id,name\n" + "".join(f"{id_},number {id_}\n" for id_ in range(_RECORDS)))
    folder = tmp_path / "backup"
    landing = team.folder / "home" / "landing"
    commands = blocks(OPERATIONS, "bash", "### The backup")[0].splitlines()
    copying = next(number for number, line in enumerate(commands) if line.startswith("cp "))
    command = [sys.executable, "-c", "from etl_assets.cli import main; main()", "run", "many"]
    with (
        subprocess.Popen(command, env={**os.environ, **team.environment("etl_loader")}) as load,
        psycopg.connect(team.server.superuser_url(DATABASE), autocommit=True) as connection,
    ):
        while connection.execute(_BATCHES).fetchone() in {(0,), (1,), (2,)}:
            assert load.poll() is None
            time.sleep(0.01)
        with connection.transaction():
            connection.execute("LOCK TABLE etl.batch IN SHARE MODE")  # the next batch waits until the dump is made
            assert connection.execute("SELECT status FROM etl.delivery WHERE source = 'many'").fetchone() == (
                "loading",
            )
            carry_out(team.server, "\n".join(commands[:copying]), BACKUP=folder)
        assert load.wait() == 0
    team.desk.publish("2013-02-01.csv", "station,day,temp,keeper\nB,4,2.5,Ann\n")
    team.succeed("etl_loader", "run", "readings", "--partition", "2013-02-01")
    carry_out(team.server, "\n".join(commands[copying:]), BACKUP=folder, ETL_ASSETS_LANDING_URL=landing)
    yield folder
    (team.folder / "declared" / "many.py").unlink()


def test_what_was_loading_when_the_dump_was_made_is_loaded_to_its_end_after_the_restore(
    team: Team, backup: Path
) -> None:
    home = Path(tempfile.mkdtemp(prefix="etl-assets-tests-"))
    home.chmod(0o711)
    landing = home / "landing"
    try:
        with embedded(home / "restored") as server:
            create_roles(server, both=False)
            restored = Team(server, team.folder)
            first, then = blocks(OPERATIONS, "bash", "### The restore")
            carry_out(server, first, BACKUP=backup, ETL_ASSETS_LANDING_URL=landing)
            os.environ["ETL_ASSETS_LANDING_URL"] = str(landing)
            (partly,) = restored.execute("etl_loader", "SELECT count(*) FROM core.many")
            assert 0 < partly[0] < _RECORDS
            restored.succeed("etl_migrator", "migrate")
            for command in then.splitlines():
                restored.succeed("etl_loader", *command.replace("NAME...", "many stations readings").split()[1:])
            assert restored.execute("etl_reader", "SELECT count(*), sum(id) FROM core.many") == [
                (_RECORDS, sum(range(_RECORDS)))
            ]
            assert restored.execute("etl_loader", "SELECT status FROM etl.run WHERE source = 'many' ORDER BY id") == [
                ("crashed",),
                ("succeeded",),
            ]
    finally:
        del os.environ["ETL_ASSETS_LANDING_URL"]
        shutil.rmtree(home)
