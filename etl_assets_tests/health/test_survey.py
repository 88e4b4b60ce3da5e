"""Each state of a table, over a real warehouse: what is declared and what the database has make the state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from etl_assets import Cron, FileExtractor, Monthly, OnChange, ingest, watch
from etl_assets.catalog import Catalog
from etl_assets.extract.formats.csv import Csv
from etl_assets.health.survey import survey
from etl_assets.model.check_result import CheckResult
from etl_assets.model.run import RunKey
from etl_assets.postgres.connection import connected
from etl_assets.postgres.roles import RIGHTS
from etl_assets.postgres.runs import history
from etl_assets.source_files import BrokenFile
from etl_assets_tests.ingest.world import World, ending_after

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets import Source
    from etl_assets.health.judgement import TableHealth

_DAILY = Cron("0 4 * * *")


@dataclass
class Tables:
    """A warehouse of worlds, whose run history the test writes."""

    url: str
    folder: Path

    def world(self, name: str = "goods", **more: Any) -> World:
        return World(self.url, self.folder, name=name, more=more)

    def run(
        self,
        source: str = "goods",
        partition: str = "",
        *checks: CheckResult,
        error: str = "",
        error_class: str = "ShapeError",
    ) -> None:
        """Enter a run that has just ended."""
        key = RunKey(uuid4().hex, source, partition)
        with connected(self.url) as connection:
            history.run_started(connection, key)
            history.enter_check_results(connection, key.run_id, source, partition, None, checks)
            if error:
                history.run_failed(connection, key, error_class, error)
            else:
                history.run_succeeded(connection, key)

    def load(self, world: World, *lines: str) -> None:
        world.take(*lines)
        self.run(world.name)

    def age(self, days: int) -> None:
        """Let everything be some days older."""
        changes = {"run": "started_at", "delivery": "completed_at", "rejected": "rejected_at"}
        with connected(self.url) as connection:
            for table, column in changes.items():
                query = sql.SQL("UPDATE etl.{} SET {column} = {column} - make_interval(days => %s)")
                connection.execute(query.format(sql.Identifier(table), column=sql.Identifier(column)), (days,))

    def health(self, *sources: Source, broken: BrokenFile | None = None) -> list[TableHealth]:
        files = {} if broken is None else {broken.name: broken}
        with connected(self.url) as connection:
            return survey(connection, Catalog({source.name: source for source in sources}, {}, files))

    def of(self, source: Source) -> TableHealth:
        (health,) = self.health(source)
        return health

    def only(self, world: World) -> TableHealth:
        return self.of(world.source)


@pytest.fixture
def tables(migrated_url: str, tmp_path: Path) -> Tables:
    return Tables(migrated_url, tmp_path)


def test_a_table_of_which_nothing_waits_is_good_since_it_was_loaded(tables: Tables) -> None:
    world = tables.world(trigger=_DAILY, freshness=timedelta(days=1))
    tables.load(world, "a,1,", "b,2,")
    health = tables.only(world)
    assert (health.health, health.rows, health.findings, health.owner) == ("good", 2, (), "team:tests")
    assert health.since == health.loaded_at is not None
    assert health.next_due_at is not None
    assert health.next_due_at.hour == 4


def test_a_table_that_was_never_run_is_unknown_and_well(tables: Tables) -> None:
    health = tables.only(tables.world(trigger=_DAILY, freshness=timedelta(days=1)))
    assert (health.health, health.why, health.is_well) == ("unknown", "It was never run.", True)


def test_a_table_whose_first_run_is_in_progress_was_run(tables: Tables) -> None:
    world = tables.world()
    world.publish("a,1,")
    with connected(tables.url) as connection:
        history.run_started(connection, RunKey("now", "goods", ""))
    world.land()
    health = tables.only(world)
    assert (health.health, health.why) == ("unknown", "Its first run is in progress.")


@pytest.mark.parametrize("before", [(), ("a,1,",)])
def test_a_delivery_that_no_run_has_loaded_to_its_end_is_to_be_run_again(
    tables: Tables, before: tuple[str, ...]
) -> None:
    world = tables.world()
    if before:
        tables.load(world, *before)
    world.publish("a,2,")
    with pytest.raises(KeyboardInterrupt):
        world.load(world.land().delivery, ending_after(0))
    health = tables.only(world)
    assert (health.health, health.is_well) == ("degraded", False)
    assert health.why == "1 partition has a delivery that no run has loaded to its end."
    assert health.findings[0].remedy == "etl-assets run goods"
    world.load(world.land().delivery)
    assert tables.only(world).health == "good"


def test_a_table_whose_newest_run_failed_is_broken(tables: Tables) -> None:
    world = tables.world()
    tables.load(world, "a,1,")
    tables.run(error="the columns are others")
    health = tables.only(world)
    assert (health.health, health.why) == ("broken", "The newest run failed with ShapeError.")
    assert health.findings[0].remedy == "etl-assets run goods"
    tables.run()
    assert tables.only(world).health == "good"


def test_a_table_that_no_run_can_change_is_to_be_built_again_and_then_run(tables: Tables) -> None:
    world = tables.world()
    tables.load(world, "a,1,")
    tables.run(error="the key is another one", error_class="IncompatibleTableError")
    assert tables.only(world).findings[0].remedy == "etl-assets rebuild goods --swap && etl-assets run goods"


def test_a_file_that_does_not_load_is_a_broken_table(tables: Tables) -> None:
    (health,) = tables.health(broken=BrokenFile("goods", "/declared/goods.py", "Line 3: NameError."))
    assert (health.health, health.findings[0].remedy) == ("broken", "Correct /declared/goods.py")
    assert "Line 3" in health.why


def test_the_table_of_a_file_that_does_not_load_keeps_its_numbers(tables: Tables) -> None:
    tables.load(tables.world(), "a,1,", "b,x,")
    (health,) = tables.health(broken=BrokenFile("goods", "/declared/goods.py", "Line 3: NameError."))
    assert (health.rows, health.open, health.open_alerts) == (1, 1, 0)
    assert health.loaded_at is not None


def test_a_table_is_late_from_the_time_of_its_trigger_that_no_run_served(tables: Tables) -> None:
    world = tables.world(trigger=_DAILY)
    tables.load(world, "a,1,")
    assert tables.only(world).health == "good"
    tables.age(2)
    health = tables.only(world)
    assert health.health == "late"
    assert health.since is not None
    assert health.since.hour == 4


def test_a_time_is_served_by_a_run_that_finds_nothing_new(tables: Tables) -> None:
    world = tables.world(trigger=_DAILY)
    tables.load(world, "a,1,")
    tables.age(2)
    tables.run()
    assert tables.only(world).health == "good"


def test_a_run_in_progress_may_still_serve_its_time(tables: Tables) -> None:
    world = tables.world(trigger=_DAILY)
    tables.load(world, "a,1,")
    tables.age(2)
    with connected(tables.url) as connection:
        history.run_started(connection, RunKey("now", "goods", ""))
    assert tables.only(world).health == "good"


@pytest.mark.parametrize("trigger", [None, OnChange(every=timedelta(minutes=5))])
def test_without_fixed_times_only_freshness_makes_a_table_late(tables: Tables, trigger: OnChange | None) -> None:
    world = tables.world(trigger=trigger)
    tables.load(world, "a,1,")
    tables.age(400)
    assert tables.only(world).health == "good"
    tables.run()  # nothing new
    fresh = tables.world(trigger=trigger, freshness=timedelta(days=30))
    health = tables.only(fresh)
    assert (health.health, health.why) == ("late", "It was loaded 400 days ago; its freshness is 30 days.")


def test_only_the_table_with_open_records_is_not_well(tables: Tables) -> None:
    """What a median pause made of it: five tables that are loaded once a month were listed, and this one was not."""
    worlds = [tables.world(f"goods_{number}", trigger=Cron("0 4 1 * *")) for number in range(6)]
    for world in worlds:
        for amount in range(4):
            tables.load(world, f"a,{amount},", *(["b,x,"] if world is worlds[3] else []))
    health = tables.health(*(world.source for world in worlds))
    assert [(table.name, table.health, table.open) for table in health if not table.is_well] == [
        ("goods_3", "degraded", 1)
    ]
    assert health[0].name == "goods_3"
    assert health[0].findings[0].remedy == "etl-assets quarantine list --source goods_3"


def test_open_drift_and_open_alerts_degrade_a_table(tables: Tables) -> None:
    world = tables.world()
    tables.load(world, "a,1,")
    world.take("a,1,,", header="code,amount,note,added")
    tables.run()
    health = tables.only(world)
    assert (health.health, health.open_drift, health.open_alerts) == ("degraded", 1, 1)
    assert [finding.remedy for finding in health.findings] == [
        "etl-assets drift list --source goods",
        "etl-assets alerts list --source goods",
    ]


def test_a_check_that_failed_degrades_a_table_until_a_newer_verdict(tables: Tables) -> None:
    world = tables.world()
    tables.load(world, "a,1,")
    tables.run("goods", "", CheckResult("volume", passed=False, blocking=False, description="1 record"))
    health = tables.only(world)
    assert (health.health, health.failed_checks) == ("degraded", ("volume",))
    assert health.check_descriptions == ("1 record",)
    tables.run("goods", "", CheckResult("volume", passed=True, blocking=False, description="1 record"))
    assert tables.only(world).health == "good"


def test_a_failed_check_of_a_rule_is_shown_and_counts_only_while_records_wait(tables: Tables) -> None:
    world = tables.world()
    tables.load(world, "a,1,")
    tables.run("goods", "", CheckResult("amount__minimum", passed=False, blocking=False, description="1 record"))
    health = tables.only(world)
    assert (health.health, health.failed_checks) == ("good", ("amount__minimum",))


def test_the_failed_check_of_drift_is_shown_only_while_a_change_is_open(tables: Tables) -> None:
    world = tables.world()
    tables.load(world, "a,1,")
    world.take("a,1,,", header="code,amount,note,added")
    tables.run("goods", "", CheckResult("drift", passed=False, blocking=False, description="Open changes: 1 added."))
    assert tables.only(world).failed_checks == ("drift",)
    with connected(tables.url) as connection:
        (event,) = watch.open_events(connection, "goods")
        watch.ignore(connection, world.source.alert_rules, event.id, "ann")
    health = tables.only(world)
    assert (health.health, health.failed_checks, health.check_descriptions) == ("good", (), ())


def test_a_delivery_that_is_to_be_reloaded_is_not_said_to_be_read_under_another_declaration(tables: Tables) -> None:
    world = tables.world()
    tables.load(world, "a,1,")
    with connected(tables.url) as connection:
        connection.execute("UPDATE etl.delivery SET needs_reload = true")
    assert "or a correction changed" in tables.only(world).why


def test_a_delivery_that_was_read_under_another_declaration_degrades_a_table(tables: Tables) -> None:
    world = tables.world()
    tables.load(world, "a,1,")
    with connected(tables.url) as connection:
        connection.execute("UPDATE etl.delivery SET fingerprint = 'other'")
    health = tables.only(world)
    assert (health.health, health.stale) == ("degraded", ("",))
    assert health.why == (
        "1 partition to reload: the declaration or a correction changed, or another delivery changed rows that may be "
        "here too."
    )


def load_months(tables: Tables, source: Source, *months: str) -> None:
    for month in months:
        (tables.folder / f"{month}.csv").write_text("code,amount,note\na,1,\n")
        warehouse = tables.world().warehouse
        landed = ingest.land(source, source.partition(month), warehouse)
        ingest.load(source, landed.delivery, warehouse, "run")
        tables.run(source.name, month)


def monthly(tables: Tables, trigger: Cron | None) -> Source:
    extractor = FileExtractor(location=str(tables.folder / "{key}.csv"), format=Csv(), settle_seconds=0)
    partitions = Monthly(start=date(2013, 1, 1), end=date(2013, 6, 1))
    return replace(tables.world().source, extractor=extractor, partitions=partitions, trigger=trigger, max_rejected=1.0)


def test_partitions_that_were_due_and_are_not_loaded_are_missing(tables: Tables) -> None:
    source = monthly(tables, _DAILY)
    load_months(tables, source, "2013-01-01", "2013-03-01")
    health = tables.of(source)
    assert (health.health, health.missing) == ("degraded", ("2013-02-01", "2013-04-01", "2013-05-01"))
    assert health.why == "3 partitions are missing: 2013-02-01, 2013-04-01, 2013-05-01."


def test_without_fixed_times_only_partitions_before_the_newest_are_missing(tables: Tables) -> None:
    source = monthly(tables, None)
    load_months(tables, source, "2013-01-01", "2013-03-01")
    assert tables.of(source).missing == ("2013-02-01",)


def test_an_older_partition_that_failed_degrades_a_table(tables: Tables) -> None:
    source = monthly(tables, None)
    load_months(tables, source, "2013-01-01")
    tables.run("goods", "2013-01-01", error="no file")
    load_months(tables, source, "2013-02-01")
    health = tables.of(source)
    assert (health.health, health.failed) == ("degraded", ("2013-01-01",))


@pytest.mark.parametrize("partition", ["", "2012-01-01"])
def test_what_failed_of_a_partition_that_the_source_does_not_have_is_left_out(tables: Tables, partition: str) -> None:
    """As when Dagster is asked for a run without its partition: no command could make the table good again."""
    source = monthly(tables, None)
    load_months(tables, source, "2013-01-01")
    tables.run("goods", partition, error="there is no such partition")
    health = tables.of(source)
    assert (health.health, health.failed) == ("good", ())


def test_the_reader_may_survey(tables: Tables) -> None:
    world = tables.world()
    tables.load(world, "a,1,", "b,x,")
    role = sql.Identifier(f"reader_{uuid4().hex[:8]}")
    with psycopg.connect(tables.url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {}").format(role))
        try:
            connection.execute(sql.SQL("GRANT USAGE ON SCHEMA etl TO {}").format(role))
            for right in RIGHTS["etl_reader"]:
                connection.execute(sql.SQL("GRANT {} TO {}").format(sql.SQL(right), role))
            connection.execute(sql.SQL("SET ROLE {}").format(role))
            (health,) = survey(connection, Catalog({"goods": world.source}, {}, {}))
        finally:
            connection.execute("RESET ROLE")
            connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
            connection.execute(sql.SQL("DROP ROLE {}").format(role))
    assert (health.health, health.open) == ("degraded", 1)
