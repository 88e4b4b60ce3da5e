"""`run --full` compares keys at once; a run without it does when that is due."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etl_assets_tests.cli.desk import Desk

TILLS = """
from datetime import timedelta

from etl_assets import Column, DatabaseExtractor, KeyComparison, Schema, Source

SOURCE = Source(
    name="tills",
    description="Where it is sold.",
    owner="team:tests",
    extractor=DatabaseExtractor(
        "sqlite:///{folder}/tills.db",
        table="tills",
        key_comparison=KeyComparison(every=timedelta(days=1), max_absent=1.0),
    ),
    schema=Schema((Column("code", "text", required=True),), ("code",)),
)
"""


def test_a_full_run_compares_keys_at_once(desk: Desk) -> None:
    (desk.folder / "declared" / "tills.py").write_text(TILLS.format(folder=desk.folder))
    with closing(sqlite3.connect(desk.folder / "tills.db")) as connection, connection:
        connection.execute("CREATE TABLE tills (code TEXT)")
        connection.execute("INSERT INTO tills VALUES ('A'), ('B')")
    desk.succeed("migrate")
    desk.succeed("run", "tills")
    with closing(sqlite3.connect(desk.folder / "tills.db")) as connection, connection:
        connection.execute("DELETE FROM tills WHERE code = 'A'")
    desk.succeed("run", "tills", "--all")
    assert desk.query("SELECT rows_compared, newly_absent FROM etl.key_comparison ORDER BY id") == [(2, 0)]
    desk.succeed("run", "tills", "--full")
    assert desk.query("SELECT rows_compared, newly_absent FROM etl.key_comparison ORDER BY id") == [(2, 0), (2, 1)]
    assert "keys_at_source" not in desk.succeed("doctor")
