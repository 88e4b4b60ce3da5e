"""A command in its own process that stops in the middle of a load, where a test can kill or interrupt it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets_tests.cli.desk import Desk

COUNTERS = """
from etl_assets import Column, Csv, FileExtractor, Schema, Source

SOURCE = Source(
    name="counters",
    description="Many small records, in several batches.",
    owner="team:tests",
    extractor=FileExtractor(
        location={folder!r} + "/counters.csv", format=Csv(batch_bytes=1_000), settle_seconds=0.0
    ),
    schema=Schema((Column("id", "integer", required=True),), ("id",)),
)
"""
RECORDS = 600
_COMMAND = "from etl_assets.cli import main; main()"
_GATE = 4_242
_HALT_AT_BATCH_2 = f"""
CREATE FUNCTION halt() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock({_GATE}); RETURN NEW; END';
CREATE TRIGGER halt BEFORE INSERT ON etl.batch FOR EACH ROW WHEN (NEW.number = 2) EXECUTE FUNCTION halt()
"""
_WAITING_FOR_GATE = f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {_GATE} AND NOT granted"
_TIMEOUT = 120.0


def declare_counters(desk: Desk) -> None:
    """Publish and declare a feed of several batches, in a warehouse that halts the load of the second batch."""
    (desk.folder / "declared" / "counters.py").write_text(COUNTERS.format(folder=str(desk.folder / "feeds")))
    desk.publish("counters.csv", "\n".join(["id", *map(str, range(1, RECORDS + 1)), ""]))
    desk.succeed("migrate")
    desk.execute(_HALT_AT_BATCH_2)


@contextmanager
def halted(desk: Desk) -> Iterator[subprocess.Popen[str]]:
    """Start ``run counters stations``, one after the other; halt it after its first batch, kill it after the block."""
    with psycopg.connect(desk.url, autocommit=True) as gate:
        gate.execute("SELECT pg_advisory_lock(%s)", (_GATE,))
        process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND, "run", "counters", "stations", "--jobs", "1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **desk.environment},
        )
        try:
            until = time.monotonic() + _TIMEOUT
            while desk.query(_WAITING_FOR_GATE) == [(0,)]:
                assert process.poll() is None, process.communicate()[0]
                assert time.monotonic() < until, "the command did not reach the second batch"
                time.sleep(0.05)
            yield process
        finally:
            process.kill()
            process.communicate()
