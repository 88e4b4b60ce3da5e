"""`rebuild` builds a table again, compares it, and puts it in place."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from etl_assets.postgres.connection import connected

if TYPE_CHECKING:
    from etl_assets_tests.cli.desk import Desk

TILLS = """
from etl_assets import Column, Csv, FileExtractor, Schema, Source

SOURCE = Source(
    name="tills",
    description="Where it is sold.",
    owner="team:tests",
    extractor=FileExtractor(Csv(), "{folder}/tills.csv", settle_seconds=0),
    schema=Schema((Column("code", "text", required=True), Column("floor", "{type}", required=True)), {key}),
)
"""


def declare(desk: Desk, key: str = '("code",)', type_: str = "integer") -> None:
    declared = desk.folder / "declared" / "tills.py"
    declared.write_text(TILLS.format(folder=desk.folder, key=key, type=type_))
    known = [name for name, module in sys.modules.items() if getattr(module, "__file__", None) == str(declared)]
    for name in [*known, "etl_assets.definitions"]:
        sys.modules.pop(name, None)  # because the next command would be another process


def run(desk: Desk) -> None:
    declare(desk)
    (desk.folder / "tills.csv").write_text("code,floor\nA,1\nB,2\n")
    desk.succeed("migrate")
    desk.succeed("run", "tills")


def test_a_table_that_is_as_its_deliveries_verifies(desk: Desk) -> None:
    run(desk)
    shown = desk.succeed("rebuild", "tills", "--verify")
    assert "tills: the table of 2 rows, built from 1 delivery, is etl_rebuild.tills." in shown
    assert "2 rows are equal." in shown
    assert "what was built is dropped" in desk.succeed("rebuild", "tills", "--drop")
    assert "nothing was built" in desk.succeed("rebuild", "tills", "--drop")


def test_a_row_that_was_changed_by_hand_is_shown_and_put_right(desk: Desk) -> None:
    run(desk)
    with connected(desk.url) as connection:
        connection.execute("UPDATE core.tills SET floor = 7 WHERE code = 'A'")
    refused = desk.type("rebuild", "tills", "--verify", "--swap")
    assert refused.exit_code == 1
    assert "1 rows differ:" in refused.output
    assert "code=A" in refused.output
    assert desk.query("SELECT floor FROM core.tills WHERE code = 'A'") == [(7,)]
    assert "is in use" in desk.succeed("rebuild", "tills", "--swap")
    assert desk.query("SELECT floor FROM core.tills WHERE code = 'A'") == [(1,)]


def test_the_error_of_a_changed_key_names_the_command_that_changes_it(desk: Desk) -> None:
    run(desk)
    declare(desk, '("code", "floor")')
    (desk.folder / "tills.csv").write_text("code,floor\nA,1\nA,2\n")
    refused = desk.type("run", "tills")
    assert "etl-assets rebuild tills --swap" in " ".join(refused.output.split())
    desk.succeed("rebuild", "tills", "--swap")
    desk.succeed("run", "tills")


def test_a_rebuild_is_one_json_object(desk: Desk) -> None:
    run(desk)
    printed = json.loads(desk.succeed("rebuild", "tills", "--verify", "--json"))
    assert (printed["rows"], printed["verified"]["equal"], printed["swapped"]) == (2, 2, False)
