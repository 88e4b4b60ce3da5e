"""Where the contents of records are, and that they are gone after what docs/operations.md has for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg

from etl_assets_tests.documented import blocks
from etl_assets_tests.operations.places import places_of
from etl_assets_tests.operations.team import DATABASE, OPERATIONS, carry_out

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets_tests.operations.team import Team

_PEOPLE = """
from etl_assets import Column, Csv, FileExtractor, Schema, Snapshot, Source

SOURCE = Source(
    name="people",
    description="People with a name, a secret and an age.",
    owner="team:tests",
    extractor=FileExtractor(location={folder!r} + "/people.csv", format=Csv(), settle_seconds=0.0),
    schema=Schema(
        (
            Column("name", "text", required=True),
            Column("secret", "text", sensitive=True),
            Column("age", "integer"),
        ),
        ("name",),
    ),
    write=Snapshot(max_deleted=1.0),
    max_rejected=0.9,
)
"""
_HEADING = "### A source with everything that it brought"


def test_nothing_is_left_after_a_source_was_removed_as_documented(team: Team, tmp_path: Path) -> None:
    declaration = team.folder / "declared" / "people.py"
    declaration.write_text(_PEOPLE.format(folder=str(team.folder / "feeds")))
    team.desk.publish("people.csv", "name,secret,age\nZebedee,Xylophone,50\nQuentin,Marimba,old\nAnn,Flute,40\n")
    team.succeed("etl_loader", "run", "people")
    assert places_of(team, "Zebedee") <= {"core.people", "etl.observation", "etl.profile", "landing"}
    assert places_of(team, "Xylophone") == {"core.people", "landing"}
    assert places_of(team, "Quentin") == {"etl.rejected", "landing"}
    assert places_of(team, "Marimba") == {"etl.rejected", "landing"}

    ((id_,),) = team.execute("etl_reviewer", "SELECT id FROM etl.rejected WHERE source = 'people'")
    for correction in ("secret=Balalaika", "secret=Cello"):
        team.succeed("etl_reviewer", "quarantine", "fix", str(id_), correction)
    assert places_of(team, "Balalaika") == {"etl.decision"}

    team.desk.publish("people.csv", "name,secret,age\nAnn,Flute,40\n")
    team.succeed("etl_loader", "run", "people")
    assert places_of(team, "Xylophone") == {"landing"}
    assert {"etl.deletion", "landing"} <= places_of(team, "Zebedee")

    statements = blocks(OPERATIONS, "sql", _HEADING)[0].replace("NAME", "people")
    listing, removing = (text.replace("NAME", "people") for text in blocks(OPERATIONS, "bash", _HEADING))
    carry_out(team.server, f"cd {tmp_path}\n{listing}")
    with psycopg.connect(team.server.superuser_url(DATABASE), autocommit=True) as connection:
        connection.execute(statements.encode())
    carry_out(team.server, f"cd {tmp_path}\n{removing}", ETL_ASSETS_LANDING_URL=team.folder / "home" / "landing")
    for text in ("Zebedee", "Xylophone", "Quentin", "Marimba", "Balalaika"):
        assert places_of(team, text) == set()

    team.succeed("etl_loader", "run", "people")
    assert team.execute("etl_reader", "SELECT name, age FROM core.people") == [("Ann", 40)]
    team.succeed("etl_loader", "doctor", "--deep")
    declaration.unlink()


def test_a_person_is_nowhere_after_a_redaction_by_the_maintainer(team: Team) -> None:
    declaration = team.folder / "declared" / "people.py"
    declaration.write_text(_PEOPLE.format(folder=str(team.folder / "feeds")))
    team.desk.publish("people.csv", "name,secret,age\nZebedee,Xylophone,50\nQuentin,Marimba,old\nAnn,Flute,40\n")
    team.succeed("etl_loader", "run", "people")
    team.desk.publish("people.csv", "name,secret,age\nAnn,Flute,40\n")
    team.succeed("etl_loader", "run", "people")
    assert {"etl.deletion", "etl.rejected", "landing"} <= places_of(team, "Zebedee") | places_of(team, "Quentin")

    for name in ("Zebedee", "Quentin"):
        team.succeed("etl_maintainer", "redact", "people", f"name={name}", "--reason", "request 17", "--yes")

    for text in ("Zebedee", "Xylophone", "Quentin", "Marimba"):
        assert places_of(team, text) == set()
    assert team.execute("etl_reader", "SELECT name, age FROM core.people") == [("Ann", 40)]
    assert team.execute("etl_reader", "SELECT records FROM etl.redaction ORDER BY id") == [([1],), ([2],)]
    team.succeed("etl_loader", "doctor", "--deep")
    team.succeed("etl_loader", "run", "people", "--force")
    declaration.unlink()


def test_the_loader_may_not_redact(team: Team) -> None:
    result = team.type("etl_loader", "redact", "stations", "code=A", "--reason", "request 17", "--yes")
    assert result.exit_code != 0
    assert "permission denied" in result.output or "lacks" in result.output


def test_the_statements_name_each_table_that_has_something_of_a_source(team: Team) -> None:
    tables = team.execute("etl_migrator", "SELECT tablename FROM pg_tables WHERE schemaname = 'etl'")
    named = set(re.findall(r"DELETE FROM etl\.(\w+)", blocks(OPERATIONS, "sql", _HEADING)[0]))
    assert {name for (name,) in tables} - named == {"schema_version"}
