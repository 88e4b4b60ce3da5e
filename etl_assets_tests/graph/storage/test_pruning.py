"""Old events are pruned, and Dagster says the same of every asset, partition and check as before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value
from sqlalchemy import text

from etl_assets.errors import SettingsError
from etl_assets.graph.assets.pruning import pruning_job, pruning_schedule
from etl_assets.graph.storage import pruning
from etl_assets.graph.storage.pruning import Pruned, prune
from etl_assets.settings import event_days
from etl_assets_tests.graph.storage.toys import CORE, DAYS, LANDING, QUARANTINE, RANGE, toy_job
from etl_assets_tests.graph.stored import stored_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = [
    pytest.mark.filterwarnings("ignore::dagster.PreviewWarning"),
    pytest.mark.filterwarnings("ignore::dagster.BetaWarning"),
]
KEYS = (LANDING, CORE, QUARANTINE)
NOW = datetime.now(UTC)


@pytest.fixture
def instance(database_url: str, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with stored_in(database_url, tmp_path) as pooled:
        yield pooled


@pytest.mark.parametrize("size", [7, 10_000])
@pytest.mark.parametrize("partitioned", [True, False])
def test_dagster_says_the_same_of_assets_after_old_events_were_pruned(
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    partitioned: bool,  # noqa: FBT001 -- a parameter of the test
) -> None:
    monkeypatch.setattr(pruning, "PIECE", size)
    _run(instance, partitioned=partitioned)
    _age(instance, "TRUE", days=400)
    _run(instance, partitioned=partitioned, failing="landing")
    _age(instance, "timestamp > now() - interval '1 day'", days=300)
    _run(instance, partitioned=partitioned, failing="check")
    before = _state(instance, partitioned=partitioned)
    rows = _rows(instance)
    pruned = prune(instance.event_log_storage, NOW - timedelta(days=180))  # type: ignore[arg-type]
    assert _state(instance, partitioned=partitioned) == before
    left = _rows(instance)
    assert (rows["event_logs"] - left["event_logs"], pruned.executions) == (
        pruned.events,
        rows["asset_check_executions"] - left["asset_check_executions"],
    )
    assert pruned.events > rows["event_logs"] / 3
    assert pruned.executions > 2
    assert left["runs"] == rows["runs"]
    assert left["tags without an event"] == 0
    assert prune(instance.event_log_storage, NOW - timedelta(days=180)) == Pruned(0, 0)  # type: ignore[arg-type]


def test_events_of_runs_that_go_on_and_events_that_are_young_stay(instance: dg.DagsterInstance) -> None:
    toy_job(2).execute_in_process(instance=instance)
    assert prune(instance.event_log_storage, NOW - timedelta(days=1)) == Pruned(0, 0)  # type: ignore[arg-type]
    _age(instance, "TRUE", days=400)
    _execute(instance, "UPDATE runs SET status = 'STARTED'")
    assert prune(instance.event_log_storage, NOW) == Pruned(0, 0)  # type: ignore[arg-type]
    _execute(instance, "UPDATE runs SET status = 'SUCCESS'")
    assert prune(instance.event_log_storage, NOW).events > 10  # type: ignore[arg-type]


def test_the_nightly_job_says_how_many_rows_went(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    toy_job(2).execute_in_process(instance=instance)
    _age(instance, "TRUE", days=400)
    job = pruning_job()
    assert pruning_schedule(job).default_status is dg.DefaultScheduleStatus.RUNNING
    monkeypatch.setenv("ETL_ASSETS_EVENT_DAYS", "0")
    assert _message(job, instance) == "ETL_ASSETS_EVENT_DAYS is 0. Every event stays."
    rows = _rows(instance)["event_logs"]
    monkeypatch.setenv("ETL_ASSETS_EVENT_DAYS", "180")
    first, second = _message(job, instance).split(" ", 1)
    assert second == "events and 0 executions of checks were older than 180 days and are deleted."
    assert rows > int(first) > 10


def test_a_number_of_days_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsError, match="ETL_ASSETS_EVENT_DAYS is not a number of days"):
        event_days({"ETL_ASSETS_EVENT_DAYS": "half a year"})
    assert event_days({}) == 180


def _message(job: dg.JobDefinition, instance: dg.DagsterInstance) -> str:
    result = job.execute_in_process(instance=instance)
    messages = [each.user_message for each in instance.all_logs(result.run_id) if each.dagster_event is None]
    return messages[-1]


def _run(instance: dg.DagsterInstance, *, partitioned: bool, failing: str = "") -> None:
    """Run the toy: twice each partition, or a range of them once, of which some may fail."""
    job = toy_job(3, partitioned=partitioned, failing=failing, blocking=True)
    given: list[dict[str, Any]] = [{}, {}]
    if partitioned:
        given = [{"partition_key": "a"}, {"partition_key": "a"}, {"partition_key": "b"}]
        given += [] if failing == "check" else [{"tags": RANGE}]
    for options in given:
        job.execute_in_process(instance=instance, raise_on_error=False, **options)


def _age(instance: dg.DagsterInstance, which: str, days: int) -> None:
    """Make events older."""
    past = f"- interval '{days} days'"
    _execute(
        instance,
        f"UPDATE event_logs SET timestamp = timestamp {past} WHERE {which}",
        "UPDATE asset_check_executions SET evaluation_event_timestamp = (SELECT timestamp FROM event_logs "
        "WHERE id = evaluation_event_storage_id)",
    )


def _state(instance: dg.DagsterInstance, *, partitioned: bool) -> Mapping[str, Any]:
    """Return what Dagster says of the assets and checks."""
    storage: Any = instance.event_log_storage
    job = toy_job(3, partitioned=partitioned, blocking=True)
    graph: Any = job.asset_layer.asset_graph
    checks = [dg.AssetCheckKey(CORE, f"check_{number}") for number in range(3)]
    types = (dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_OBSERVATION)
    for key in KEYS:
        storage.wipe_asset_cached_status(key)
    state: dict[str, Any] = {
        "checks": storage.get_latest_asset_check_execution_by_key(checks),
        "summaries": storage.get_asset_check_summary_records(checks),
        "records": {record.asset_entry.asset_key: record for record in storage.get_asset_records(list(KEYS))},
    }
    for key in KEYS:
        cached = get_and_update_asset_status_cache_value(instance, key, DAYS if partitioned else None)
        state[f"status of {key}"] = cached and (
            cached.deserialize_materialized_partition_subsets(DAYS) if partitioned else None,
            cached.deserialize_failed_partition_subsets(DAYS) if partitioned else None,
        )
        state[f"partitions of {key}"] = storage.get_materialized_partitions(key)
        resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
        state[f"attempts of {key}"] = (
            storage.get_latest_asset_partition_materialization_attempts_without_materializations(key)
        )
        for partition in DAYS.get_partition_keys() if partitioned else [None]:
            state[f"staleness of {key} {partition}"] = (
                resolver.get_status(key, partition),
                [(cause.key, cause.category, cause.reason) for cause in resolver.get_stale_causes(key, partition)],
                resolver.get_current_data_version(key, partition),
            )
        for type_ in types:
            state[f"{type_} of {key}"] = storage.get_latest_storage_id_by_partition(key, type_)
            state[f"{type_} tags of {key}"] = storage.get_latest_tags_by_partition(key, type_, ["dagster/data_version"])
    return state


def _rows(instance: dg.DagsterInstance) -> dict[str, int]:
    questions = {table: f"SELECT count(*) FROM {table}" for table in ("event_logs", "asset_check_executions", "runs")}
    questions["tags without an event"] = (
        "SELECT count(*) FROM asset_event_tags WHERE event_id NOT IN (SELECT id FROM event_logs)"
    )
    storage: Any = instance.event_log_storage
    with storage.index_connection() as connection:
        return {name: connection.execute(text(question)).scalar() for name, question in questions.items()}


def _execute(instance: dg.DagsterInstance, *statements: str) -> None:
    storage: Any = instance.event_log_storage
    with storage.index_connection() as connection:
        for statement in statements:
            connection.execute(text(statement))
