"""`run --accept-deletes` consents to what a snapshot refuses to delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etl_assets_tests.cli.desk import Desk

TILLS = """
from etl_assets import Column, Csv, FileExtractor, Schema, Snapshot, Source

SOURCE = Source(
    name="tills",
    description="Where it is sold.",
    owner="team:tests",
    extractor=FileExtractor(Csv(), "{folder}/tills.csv", settle_seconds=0),
    schema=Schema((Column("code", "text", required=True),), ("code",)),
    write=Snapshot(),
)
"""


def test_deletions_beyond_max_deleted_need_consent(desk: Desk) -> None:
    (desk.folder / "declared" / "tills.py").write_text(TILLS.format(folder=desk.folder))
    (desk.folder / "tills.csv").write_text("code\nA\nB\n")
    desk.succeed("migrate")
    desk.succeed("run", "tills")
    (desk.folder / "tills.csv").write_text("code\nA\n")
    refused = desk.type("run", "tills")
    shown = " ".join(refused.output.split())
    assert refused.exit_code == 1
    assert "does not have the keys of 1 of 2 rows; max_deleted=0.1 consents to 0" in shown
    assert "etl-assets run tills --accept-deletes" in shown
    assert desk.query("SELECT count(*) FROM core.tills") == [(2,)]
    desk.succeed("run", "tills", "--accept-deletes")
    assert desk.query("SELECT code FROM core.tills") == [("A",)]
