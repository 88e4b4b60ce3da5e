"""Events that are written together leave what Dagster's own storage leaves, and are lost by nothing but a kill."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from etl_assets_tests.databases import fresh_database
from etl_assets_tests.graph.storage.toys import RANGE, reporting_job, toy_job
from etl_assets_tests.graph.stored import stored_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import dagster as dg

pytestmark = [
    pytest.mark.filterwarnings("ignore::dagster.PreviewWarning"),
    pytest.mark.filterwarnings("ignore::dagster.BetaWarning"),
]
_VARIES = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|pid: \d+|[\d.]+m?s\b|\d{10}\.\d+|/\S+/storage/")
HISTORY: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"checks": 3, "failing": "landing"}, {}),
    ({"checks": 3}, {}),
    ({"checks": 3}, {}),
    ({"checks": 3, "failing": "check"}, {}),
    ({"checks": 3, "failing": "check", "blocking": True}, {}),
    ({"checks": 3, "fails_once": True}, {}),
    *(({"checks": 3, "partitioned": True}, {"partition_key": each}) for each in ("a", "b", "a")),
    ({"checks": 3, "partitioned": True, "failing": "check", "blocking": True}, {"partition_key": "a"}),
    ({"checks": 3, "partitioned": True}, {"tags": RANGE}),
    ({}, {}),
]
"""What each run's job is, and with what it runs; the last one reports by hand."""


@pytest.mark.slow
def test_runs_of_all_kinds_leave_what_dagsters_own_storage_leaves(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_EVENT_BATCH_SIZE", raising=False)
    with fresh_database(database_url) as url, stored_in(url, tmp_path, *_DAGSTERS_OWN) as own:
        outcomes = _execute(own)
        expected = _stored(own)
    with stored_in(database_url, tmp_path) as instance:
        assert _execute(instance) == outcomes
        found = _stored(instance)
    assert outcomes == [False, True, True, True, False, True, True, True, True, False, True, True]
    assert len(expected["events"]) > 300
    assert len(expected["executions"]) > 30
    for part, rows in expected.items():
        assert found[part] == rows


_DAGSTERS_OWN = ("dagster_postgres", "DagsterPostgresStorage")


def _execute(instance: dg.DagsterInstance) -> list[bool]:
    """Execute the history; return whether each run succeeded."""
    jobs = [(toy_job(**declared) if declared else reporting_job(), options) for declared, options in HISTORY]
    return [job.execute_in_process(instance=instance, raise_on_error=False, **given).success for job, given in jobs]


def _stored(instance: dg.DagsterInstance) -> Mapping[str, list[tuple[Any, ...]]]:
    """Return what is stored, with the positions of events instead of their ids, and without times."""
    storage: Any = instance.event_log_storage
    questions = {
        "events": "SELECT dagster_event_type, step_key, asset_key, partition, event::json->>'level', "
        "coalesce(event::json->'dagster_event'->>'message', event::json->>'user_message'), "
        "position_of(event::json->'dagster_event'->'event_specific_data'->'target_materialization_data'->>'storage_id')"
        " FROM event_logs ORDER BY id",
        "assets": "SELECT asset_key, position_of(last_materialization::json->>'storage_id'), "
        "position_of_run(last_run_id), last_materialization_timestamp = (SELECT max(timestamp) FROM event_logs "
        "WHERE event_logs.asset_key = asset_keys.asset_key) FROM asset_keys ORDER BY 1",
        "tags": "SELECT position_of(event_id::text), asset_key, key, CASE WHEN length(value) < 9 THEN value END "
        "FROM asset_event_tags ORDER BY 1, 2, 3",
        "executions": "SELECT asset_key, check_name, partition, position_of_run(run_id), execution_status, "
        "position_of(evaluation_event_storage_id::text), position_of(materialization_event_storage_id::text), "
        "evaluation_event = (SELECT event FROM event_logs WHERE event_logs.id = evaluation_event_storage_id), "
        "evaluation_event_timestamp = (SELECT timestamp FROM event_logs WHERE id = evaluation_event_storage_id) "
        "FROM asset_check_executions ORDER BY id",
    }
    with storage.index_connection() as connection:
        connection.execute(text(_POSITIONS))
        rows = {part: connection.execute(text(question)).fetchall() for part, question in questions.items()}
    return {
        part: [tuple(_VARIES.sub("…", cell) if isinstance(cell, str) else cell for cell in row) for row in found]
        for part, found in rows.items()
    }


_POSITIONS = """
    CREATE FUNCTION position_of(text) RETURNS bigint LANGUAGE sql
      AS 'SELECT CASE WHEN $1 IS NOT NULL THEN (SELECT count(*) FROM event_logs WHERE id <= $1::bigint) END';
    CREATE FUNCTION position_of_run(text) RETURNS bigint LANGUAGE sql
      AS 'SELECT count(*) FROM runs WHERE id <= (SELECT id FROM runs WHERE run_id = $1)'
"""
