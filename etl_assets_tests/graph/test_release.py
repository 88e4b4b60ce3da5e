"""Parked records are released when their parents arrive, and replays load the given records."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from etl_assets import Column, Csv, Daily, FileExtractor, Schema
from etl_assets.graph.build import definitions
from etl_assets.graph.run_config import replay_config
from etl_assets.graph.runs import retries
from etl_assets.graph.triggers.release_sensor import release_sensor
from etl_assets.postgres.connection import connected
from etl_assets.postgres.runs.asset_metadata import newest_batch
from etl_assets_tests.graph.conftest import error_of

if TYPE_CHECKING:
    import pytest

    from etl_assets import Source
    from etl_assets_tests.graph.conftest import Bench


def _family(bench: Bench) -> dict[str, Source]:
    """A source of children that refers to a source of parents; each has its own file."""
    parents = bench.declare(
        name="parents",
        extractor=FileExtractor(location=str(bench.folder / "parents.csv"), format=Csv(), settle_seconds=0),
        schema=Schema(columns=(Column("id", "integer", required=True),), key=("id",)),
    )
    children = bench.declare(
        name="children",
        extractor=FileExtractor(location=str(bench.folder / "children.csv"), format=Csv(), settle_seconds=0),
        schema=Schema(
            columns=(
                Column("id", "integer", required=True),
                Column("parent", "integer", required=True, references="core.parents.id"),
            ),
            key=("id",),
        ),
        max_rejected=1.0,
    )
    (bench.folder / "parents.csv").write_text("id\n1\n")
    (bench.folder / "children.csv").write_text("id,parent\n10,1\n20,2\n30,x\n")
    return {"parents": parents, "children": children}


def _tick(bench: Bench, family: dict[str, Source], cursor: str | None) -> dg.SensorExecutionData:
    context = dg.build_sensor_context(instance=bench.instance, cursor=cursor)
    return release_sensor(family).evaluate_tick(context)


def test_parked_records_are_replayed_once_their_parents_have_arrived(bench: Bench) -> None:
    family = _family(bench)
    built = definitions(family)
    assert bench.run_job(built, "parents").success
    assert bench.run_job(built, "children").success
    first = _tick(bench, family, None)
    assert not first.run_requests
    (bench.folder / "parents.csv").write_text("id\n1\n2\n")
    assert bench.run_job(built, "parents").success
    second = _tick(bench, family, first.cursor)
    (request,) = second.run_requests or []
    assert bench.run_job(built, "replay", config=request.run_config).success
    assert bench.query("SELECT id, parent FROM core.children ORDER BY id") == [(10, 1), (20, 2)]
    assert bench.query("SELECT status, count(*) FROM etl.rejected GROUP BY 1 ORDER BY 1") == [
        ("open", 1),
        ("replayed", 1),
    ]
    assert not _tick(bench, family, second.cursor).run_requests


def test_a_failed_release_is_requested_with_the_same_run_key_within_the_hour(bench: Bench) -> None:
    family = _family(bench)
    built = definitions(family)
    bench.run_job(built, "children")
    bench.run_job(built, "parents")
    first = _tick(bench, family, None)
    second = _tick(bench, family, first.cursor)
    assert first.run_requests
    assert second.run_requests
    keys = {(request.run_key or "").rsplit(" ", 1)[0] for request in [*first.run_requests, *second.run_requests]}
    assert len(keys) == 1


def test_the_newest_entry_of_the_parents_is_found_without_reading_all_entries(migrated_url: str) -> None:
    with connected(migrated_url) as connection:
        connection.execute("SET session_replication_role = replica")  # no triggers: the entries are all that counts
        connection.execute(
            "INSERT INTO etl.delivery (source, partition, rank, sha256, size, records, manifest) "
            "SELECT 's' || n % 5, n::text, n::text, '', 0, 0, '{}' FROM generate_series(1, 20000) n"
        )
        connection.execute(
            "INSERT INTO etl.batch (delivery_id, generation, kind, number, run_id, epoch, first_record, last_record, "
            "read, rejected, filtered, accepted, produced, inserted, updated, unchanged, duplicate, deleted, "
            "hash_seed) SELECT id, 1, 'ingest', 1, '', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 "
            "FROM etl.delivery ORDER BY id"
        )
        connection.execute("ANALYZE etl.batch, etl.delivery")
        with connection.transaction():
            assert newest_batch(connection, ["s3", "s4"]) == 19_999
            ((read,),) = connection.execute(
                "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relid = 'etl.batch'::regclass"
            ).fetchall()
        assert read < 100
        assert newest_batch(connection, ["other"]) == 0


def test_the_sensor_is_switched_on(bench: Bench) -> None:
    sensor = release_sensor(_family(bench))
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    assert sensor.minimum_interval_seconds == 60


def test_a_replay_loads_the_given_records_and_reports_the_result(bench: Bench) -> None:
    source = bench.people("1,Ada,36", "2,Alan,200", "3,Kurt,300", max_rejected=1.0)
    bench.run(source)
    ids = [id_ for (id_,) in bench.query("SELECT id FROM etl.rejected ORDER BY id")]
    bench.query('UPDATE etl.rejected SET correction = \'{"age": "41"}\' WHERE id = %s', ids[0])
    result = bench.run_job(definitions({"people": source}), "replay", config=replay_config("people", ids[:1]))
    assert result.success
    assert bench.query("SELECT id, age FROM core.people ORDER BY id") == [(1, 36), (2, 41)]
    core, waiting = _materialized(bench, result.run_id)
    counts = {row.data["count"]: row.data["replay"] for row in core.metadata["replay"].value.records}
    assert counts == {"read": 1, "accepted": 1, "produced": 1, "inserted": 1}
    assert waiting.metadata["open"].value == 1
    assert {check.passed for check in bench.checks(result).values()} == {True}
    assert set(bench.checks(result)) == {"rejected_share", "conservation"}
    assert bench.query("SELECT status, read FROM etl.run WHERE run_id = %s", result.run_id) == [("succeeded", 1)]


def _materialized(bench: Bench, run_id: str) -> list[Any]:
    """Return the materializations of a run."""
    records = bench.instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION).records
    events = [record.event_log_entry.dagster_event for record in records]
    return [event.step_materialization_data.materialization for event in events if event is not None]


def test_a_replay_materializes_only_the_partitions_of_its_records(bench: Bench) -> None:
    for day, age in ((1, 200), (2, 30)):
        (bench.folder / f"2024-01-0{day}.csv").write_text(f"id,name,age\n{day},Ada,{age}\n")
    source = bench.declare(
        partitions=Daily(start=date(2024, 1, 1)),
        extractor=FileExtractor(location=str(bench.folder / "{start:%Y-%m-%d}.csv"), format=Csv(), settle_seconds=0),
        max_rejected=1.0,
    )
    for day in (1, 2):
        assert bench.run(source, f"2024-01-0{day}").success
    bench.query('UPDATE etl.rejected SET correction = \'{"age": "41"}\'')
    result = bench.run_job(definitions({"people": source}), "replay", config=replay_config("people"))
    events = [(event.asset_key.to_user_string(), event.partition) for event in _materialized(bench, result.run_id)]
    assert events == [("core/people", "2024-01-01"), ("quarantine/people", "2024-01-01")]


def test_a_replay_of_a_source_that_is_not_declared_names_those_that_are(bench: Bench) -> None:
    result = bench.run_job(definitions({"people": bench.declare()}), "replay", config=replay_config("poeple"))
    assert "Known are people" in error_of(result)


def test_a_replay_waits_for_a_run_that_has_locked_its_partition(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_WAIT", 0.01)
    source = bench.people("1,Ada,200", max_rejected=1.0)
    bench.run(source)
    with bench.locked("people"):
        result = bench.run_job(definitions({"people": source}), "replay", config=replay_config("people"))
    assert len([event for event in result.all_events if event.is_step_up_for_retry]) == retries.RETRIES
    assert not result.success
    assert bench.query("SELECT status, error_class FROM etl.run WHERE run_id = %s", result.run_id) == [
        ("failed", "BusyError")
    ]
