"""The backfill that is measured: its feed, its judge, and a short one by Dagster's daemon."""

from __future__ import annotations

import gzip
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest

from benchmarks.backfill_feed import MAXIMUM, STRICTER, BackfillFeed
from benchmarks.backfill_outcome import violations
from etl_assets_tests.documented import ROOT

CREATE = (
    "CREATE SCHEMA core CREATE TABLE core.backfilled (reading_id integer, day date, station text, temperature float8)"
)


def written(folder: Path, *, cut: bool = False) -> BackfillFeed:
    feed = BackfillFeed(folder, days=8, cut=cut)
    feed.write()
    return feed


def test_three_days_are_bad_each_in_its_way(tmp_path: Path) -> None:
    feed = written(tmp_path, cut=True)
    shape, rejected, cut = feed.bad
    assert list(feed.bad.values()) == ["ShapeError", "TooManyRejectedError", "DeliveryIncompleteError"]
    packed = {key: (tmp_path / f"{key}.csv.gz").read_bytes() for key in feed.bad}
    assert gzip.decompress(packed[shape]).startswith(b"reading_id,day,temperature\n")
    assert gzip.decompress(packed[rejected]).count(b"warm") > 0.3 * feed.records
    with pytest.raises(EOFError):
        gzip.decompress(packed[cut])


def test_a_stricter_maximum_brings_back_readings_of_the_day_before(tmp_path: Path) -> None:
    feed = written(tmp_path)
    before = {row[0]: row for row in feed.table(MAXIMUM)}
    after = {row[0]: row for row in feed.table(STRICTER)}
    assert max(row[3] for row in before.values()) > STRICTER
    assert [key for key in after if after[key] != before[key] and after[key][1] < before[key][1]] != []
    assert before.keys() - after.keys() != set()


def test_the_judge_finds_what_is_missing(migrated_url: str, tmp_path: Path) -> None:
    feed = written(tmp_path)
    with psycopg.connect(migrated_url) as connection:
        connection.execute(CREATE)
        connection.execute("INSERT INTO core.backfilled VALUES (1, '2000-01-01', 'STN000', 1)")
        wrong = list(violations(connection, feed, MAXIMUM, "COMPLETED", {}))
    lacking = len(feed.table(MAXIMUM))
    expected = {
        "Dagster says that the backfill is COMPLETED.",
        f"Dagster's runs of {feed.partitions[0]} are None, not ['SUCCESS'].",
        f"The table lacks {lacking} of {lacking} rows.",
        "The table has 1 rows that it should not have.",
        f"The run history of {feed.partitions[0]} is [], not [('succeeded', '')].",
        f"There is no delivery of {feed.partitions[0]}.",
    }
    assert expected <= set(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("per_run", [1, 4])
def test_a_backfill_loads_all_but_the_bad_days_and_another_one_follows_a_stricter_declaration(per_run: int) -> None:
    with tempfile.TemporaryDirectory(prefix="etl-assets-tests-") as folder:
        Path(folder).chmod(0o711)  # so that root's server, which runs under an account of its own, can enter it
        work = Path(folder, "work")
        command = [sys.executable, "-m", "benchmarks.backfill", "--days=6", "--no-cut", "--again", f"--work={work}"]
        command.append(f"--per-run={per_run}")
        ended = subprocess.run([*command, "--deadline=400"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("6 days: ") == 2
