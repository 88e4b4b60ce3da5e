"""What each role of docs/operating.md can do, and what is refused to it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import psycopg
import pytest

from etl_assets.postgres.connection import connected
from etl_assets.postgres.migrations import migrate
from etl_assets.postgres.roles import RIGHTS, grant_rights
from etl_assets_tests.operations.team import DATABASE

if TYPE_CHECKING:
    from etl_assets_tests.operations.team import Team

_NOBODY_BUT_THE_MIGRATOR = (
    "DROP TABLE etl.rejected CASCADE",
    "TRUNCATE etl.rejected CASCADE",
    "DELETE FROM etl.rejected",
    "ALTER TABLE etl.rejected DROP COLUMN raw CASCADE",
    "TRUNCATE etl.batch",
    "DELETE FROM etl.batch",
    "DELETE FROM etl.delivery",
    "DELETE FROM etl.run",
    "DELETE FROM etl.check_result",
    "DELETE FROM etl.alert",
    "UPDATE etl.batch SET inserted = 0",
    "UPDATE etl.row_count SET rows = 0",
    "UPDATE etl.partition_total SET read = 0",
    "SELECT etl.recount_rows()",
    "CREATE TABLE etl.mine (id integer)",
    "DROP SCHEMA etl CASCADE",
    "CREATE ROLE mine",
    "COPY etl.run TO PROGRAM 'true'",
    "COPY etl.run TO '/tmp/run'",
)
_ONLY_THE_LOADER = (
    "CREATE SCHEMA mine",
    "CREATE TABLE core.mine (id integer)",
    "CREATE TEMPORARY TABLE mine (id integer)",
    "INSERT INTO core.stations (code) VALUES ('X')",
    "UPDATE core.stations SET code = 'X'",
    "DELETE FROM core.stations",
    "TRUNCATE core.stations",
    "DROP TABLE core.stations CASCADE",
    "INSERT INTO etl.fence (source, partition, epoch, run_id) VALUES ('stations', '', 99, '')",
    "UPDATE etl.fence SET epoch = 99",
    "UPDATE etl.run SET status = 'failed'",
    "UPDATE etl.alert SET status = 'resolved'",
    "UPDATE etl.rejected SET raw = ''",
    "UPDATE etl.rejected SET rules = '{}'",
    "UPDATE etl.delivery SET status = 'refused'",
    "DELETE FROM etl.profile",
)
REFUSED = {
    "etl_loader": (
        *_NOBODY_BUT_THE_MIGRATOR,
        "SELECT raw FROM etl.rejected",
        "SELECT fields FROM etl.rejected",
        "SELECT * FROM etl.rejected",
        "SELECT FROM etl.rejected WHERE raw LIKE '%warm%'",
        "UPDATE etl.rejected SET reviewer = 'eve' RETURNING raw",
        "UPDATE etl.rejected SET reviewer = 'eve'",
        "UPDATE etl.rejected SET note = 'known'",
        "UPDATE etl.rejected SET reviewed_at = clock_timestamp()",
        "INSERT INTO etl.decision (rejected_id, decision, reviewer, former_status) VALUES (1, 'dismissed', '', 'open')",
        "ALTER TABLE etl.batch DISABLE TRIGGER ALL",
    ),
    "etl_reviewer": (
        *_NOBODY_BUT_THE_MIGRATOR,
        *_ONLY_THE_LOADER,
        "UPDATE etl.decision SET reviewer = 'eve'",
        "DELETE FROM etl.decision",
        "SELECT FROM core.readings",
        "SELECT FROM etl.run",
        "SELECT FROM etl.batch",
        "SELECT FROM etl.profile",
    ),
    "etl_reader": (
        *_NOBODY_BUT_THE_MIGRATOR,
        *_ONLY_THE_LOADER,
        "UPDATE etl.rejected SET status = 'dismissed'",
        "UPDATE etl.rejected SET correction = '{}'",
        "UPDATE etl.delivery SET needs_reload = true",
        "SELECT raw FROM etl.rejected",
        "SELECT fields FROM etl.rejected",
        "SELECT correction FROM etl.rejected",
        "SELECT key FROM etl.rejected",
        "SELECT identity FROM etl.rejected",
        "SELECT note FROM etl.rejected",
        "SELECT * FROM etl.rejected",
        "SELECT raw_sha256 FROM etl.rejected",
        "SELECT raw FROM etl.rejected_contents('{1}')",
        "SELECT note FROM etl.decision",
        "SELECT former_correction FROM etl.decision",
        "SELECT detail FROM etl.drift",
        "SELECT key FROM etl.deletion",
        "SELECT FROM etl.observation",
        "SELECT minimum FROM etl.profile",
        "SELECT maximum FROM etl.profile",
        "SELECT quantiles FROM etl.profile",
        "SELECT top FROM etl.profile",
        "SELECT FROM etl.profile_part",
    ),
    "etl_metrics": (
        *_NOBODY_BUT_THE_MIGRATOR,
        *_ONLY_THE_LOADER,
        "SELECT FROM core.readings",
        "SELECT * FROM etl.source_health",
        "SELECT raw FROM etl.rejected",
        "SELECT raw FROM etl.rejected_contents('{1}')",
        "SELECT run_id FROM etl.run",
        "SELECT FROM etl.delivery",
        "UPDATE etl.notification SET status = 'sent'",
    ),
    "etl_migrator": (
        "SELECT FROM core.readings",
        "UPDATE core.readings SET celsius = 0",
        "DROP TABLE core.readings",
        "CREATE ROLE mine",
        "COPY etl.run TO PROGRAM 'true'",
    ),
}
READ = (
    "SELECT celsius FROM core.readings",
    "SELECT * FROM etl.source_health",
    "SELECT * FROM etl.quality_daily",
    "SELECT * FROM etl.rejections_by_rule",
    "SELECT * FROM etl.rejected_case",
    "SELECT * FROM etl.absent_at_source",
    "SELECT source, status, count(*), min(rejected_at) FROM etl.rejected GROUP BY 1, 2",
    "SELECT source, kind, count(*) FROM etl.drift WHERE status = 'open' GROUP BY 1, 2",
    "SELECT source, rule, severity, count(*) FROM etl.alert WHERE status = 'open' GROUP BY 1, 2, 3",
    "SELECT channel, status, max(tries), min(next_try_at) FROM etl.notification GROUP BY 1, 2",
    (
        "SELECT source, sum(read), sum(rejected), max(committed_at) FROM etl.batch b "
        "JOIN etl.delivery d ON d.id = b.delivery_id GROUP BY 1"
    ),
    "SELECT source, status, seconds, ended_at - started_at FROM etl.run",
    "SELECT source, name, passed FROM etl.check_result",
    "SELECT source, sum(rows) FROM etl.row_count GROUP BY 1",
    "SELECT source, sum(read), max(succeeded_at) FROM etl.partition_total GROUP BY 1",
    "SELECT delivery_id, column_name, nulls, distinct_estimate, mean FROM etl.profile",
)


@pytest.mark.parametrize(
    ("role", "statement"), [(role, statement) for role, statements in REFUSED.items() for statement in statements]
)
def test_a_statement_is_refused(team: Team, role: str, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        team.execute(role, statement)


@pytest.mark.parametrize("statement", sorted({text for texts in REFUSED.values() for text in texts}))
def test_a_statement_that_is_refused_is_otherwise_valid(team: Team, statement: str) -> None:
    if "COPY" in statement:
        pytest.skip("It would be carried out on the machine.")
    with psycopg.connect(team.server.superuser_url(DATABASE)) as connection, suppress(psycopg.errors.IntegrityError):
        connection.execute(statement.encode())
        connection.rollback()


@pytest.mark.parametrize("statement", READ)
def test_the_reader_reads_tables_and_history(team: Team, statement: str) -> None:
    team.execute("etl_reader", statement)


def test_the_reader_shows_how_tables_are(team: Team) -> None:
    result = team.type("etl_reader", "status", "--html", str(team.folder / "status"))
    assert "etl-assets quarantine list --source readings" in result.output
    assert "Pages: " in result.output
    assert (team.folder / "status" / "tables" / "readings.html").is_file()


def test_what_the_reviewer_corrects_is_replayed_by_the_loader(team: Team) -> None:
    assert "celsius__type" in team.succeed("etl_reviewer", "quarantine", "list")
    assert "warm" in team.succeed("etl_reviewer", "quarantine", "show", "1", "--reveal")
    assert "warm" in team.succeed("etl_reviewer", "quarantine", "export", "--format", "csv", "--reveal")
    fixed = team.succeed("etl_reviewer", "quarantine", "fix", "1", "celsius=9.5", "--reviewer", "eve")
    assert "Dagster shows this after the next run" in fixed
    team.succeed("etl_loader", "quarantine", "replay", "readings", "1")
    assert team.execute("etl_reader", "SELECT celsius FROM core.readings WHERE station = 'B'") == [(9.5,)]
    assert team.execute("etl_reviewer", "SELECT status, reviewer FROM etl.rejected WHERE id = 1") == [
        ("replayed", "eve")
    ]


def test_the_loader_releases_parked_records_and_the_reviewer_dismisses(team: Team) -> None:
    team.desk.publish("2013-01-02.csv", "station,day,temp,keeper\nA,3,cold,Ann\nA,4,1,Bo\nA,5,1,Bo\nY,3,1,Cy\n")
    team.succeed("etl_loader", "run", "readings", "--partition", "2013-01-02", "--force")
    team.succeed("etl_loader", "run", "readings", "--partition", "2013-01-02", "--force")
    ((cold,),) = team.execute("etl_reviewer", "SELECT id FROM etl.rejected WHERE fields ->> 'temp' = 'cold'")
    assert "1 record dismissed" in team.succeed("etl_reviewer", "quarantine", "dismiss", str(cold), "--note", "known")
    team.desk.publish("stations.csv", "code\nA\nB\nY\nZ\n")
    team.succeed("etl_loader", "run", "stations")
    team.succeed("etl_loader", "quarantine", "replay", "readings", "--parked")
    assert team.execute("etl_reader", "SELECT count(*) FROM core.readings WHERE station IN ('Y', 'Z')") == [(2,)]
    team.desk.publish("2013-01-02.csv", "station,day,temp,keeper\nA,3,cold,Ann\nA,4,2,Bo\n")
    team.succeed("etl_loader", "run", "readings", "--partition", "2013-01-02", "--force")


def test_the_reviewer_does_all_that_is_done_by_hand_but_replays(team: Team) -> None:
    sheet = team.folder / "review.csv"
    team.desk.publish(
        "2013-02-01.csv", "station,day,temp,keeper\nA,7,1 C,Ann\nA,8,2 C,Bo\nA,9,3,Cy\nA,10,x,Di\nA,11,1,\nA,12,1,\n"
    )
    team.type("etl_loader", "run", "readings", "--partition", "2013-02-01", "--force")
    chosen = ("--source", "readings", "--where", "partition=2013-02-01")
    fixed = team.succeed(
        "etl_reviewer", "quarantine", "fix", *chosen, "--where", "celsius=1 C", "--strip", "celsius", " C"
    )
    assert "1 record corrected" in fixed
    assert "was not looked up: this user may not read core.stations" in fixed
    team.succeed("etl_reviewer", "quarantine", "dismiss", *chosen, "--where", "celsius=x")
    assert "1 record reopened" in team.succeed("etl_reviewer", "quarantine", "reopen", *chosen)
    team.succeed("etl_reviewer", "quarantine", "export", "--editable", "--format", "csv", *chosen, str(sheet))
    sheet.write_text(sheet.read_text().replace("2 C", "2"))
    assert "1 record corrected" in team.succeed("etl_reviewer", "quarantine", "import", str(sheet))
    refused = team.type("etl_reviewer", "quarantine", "fix", "1", "celsius=1", "--replay")
    assert "let the role etl_loader replay them" in refused.output
    team.succeed("etl_loader", "quarantine", "replay", "readings")
    assert team.execute("etl_reader", "SELECT celsius FROM core.readings WHERE day IN (7, 8)") == [(1.0,), (2.0,)]
    team.succeed("etl_loader", "doctor")


def test_the_loader_evaluates_every_invariant(team: Team) -> None:
    team.succeed("etl_loader", "doctor", "--deep")


def test_the_loader_cannot_enter_who_decided(team: Team) -> None:
    result = team.type("etl_loader", "quarantine", "dismiss", "2")
    assert result.exit_code == 3
    assert "The database user lacks a right" in result.output


def test_each_migration_grants_what_is_missing_and_takes_what_is_too_much(team: Team) -> None:
    url = team.url("etl_migrator")
    with connected(url) as connection:
        connection.execute("GRANT DELETE, SELECT ON etl.rejected TO etl_reader, etl_loader")
        connection.execute("GRANT EXECUTE ON FUNCTION etl.rejected_contents(bigint[]) TO etl_reader")
        connection.execute("REVOKE INSERT ON etl.batch FROM etl_loader")
        connection.execute("REVOKE EXECUTE ON FUNCTION etl.rejected_contents(bigint[]) FROM etl_loader")
    migrate(url)
    for role, statement in (
        ("etl_reader", "SELECT raw FROM etl.rejected"),
        ("etl_reader", "SELECT raw FROM etl.rejected_contents('{1}')"),
        ("etl_reader", "DELETE FROM etl.rejected"),
        ("etl_loader", "SELECT raw FROM etl.rejected"),
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            team.execute(role, statement)
    assert team.execute("etl_loader", "SELECT has_table_privilege('etl.batch', 'INSERT')") == [(True,)]
    assert team.execute("etl_loader", "SELECT count(raw) FROM etl.rejected_contents('{1}')") == [(1,)]


def test_the_loader_reads_every_table_but_for_the_contents_of_the_quarantine(team: Team) -> None:
    unread = team.execute(
        "etl_loader",
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 "
        "AND NOT a.attisdropped WHERE c.relnamespace = 'etl'::regnamespace AND c.relkind IN ('r', 'p', 'v') "
        "AND NOT has_column_privilege(c.oid, a.attnum, 'SELECT') ORDER BY 1, 2",
    )
    assert unread == [("rejected", "fields"), ("rejected", "raw")]


def test_each_table_that_is_kept_neither_by_the_database_nor_by_the_maintainer_is_written_by_the_loader(
    team: Team,
) -> None:
    tables = team.execute("etl_migrator", "SELECT tablename FROM pg_tables WHERE schemaname = 'etl'")
    written = " ".join(right for right in RIGHTS["etl_loader"] if not right.startswith("SELECT"))
    assert {name for (name,) in tables if f"etl.{name}" not in written} == {
        "decision",  # by the reviewer
        "partition_total",
        "redaction",
        "row_count",
        "schema_version",
    }


def test_who_does_not_own_the_tables_is_named_what_to_do(team: Team) -> None:
    with connected(team.url("etl_loader")) as connection:
        problem = grant_rights(connection)
    assert problem is not None
    assert "Run etl-assets migrate as the owner" in problem
