"""A snapshot in Dagster: its check, its counts, the refusal, and the consent of a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from etl_assets import History, Snapshot
from etl_assets.graph.build import definitions
from etl_assets_tests.graph.conftest import metadata_of

if TYPE_CHECKING:
    from etl_assets_tests.graph.conftest import Bench

CONSENT = {"ops": {"core__people": {"config": {"accept_deletes": True}}}}
HALF = Snapshot(max_deleted=0.5)


def test_the_check_and_the_counts_say_how_many_rows_were_deleted(bench: Bench) -> None:
    bench.run(bench.people("1,Ada,36", "2,Bob,40", write=HALF))
    result = bench.run(bench.people("1,Ada,36", write=HALF))
    check = bench.checks(result)["deletions"]
    assert (check.passed, check.description) == (True, "1 rows were deleted.")
    counts = {row.data["count"]: row.data for row in metadata_of(result, "core", "people")["counts"].records}
    assert (counts["deleted"]["written by this run"], counts["deleted"]["of the deliveries"]) == (1, 1)


def test_the_check_says_how_many_rows_were_marked_and_the_row_count_is_without_them(bench: Bench) -> None:
    marking = Snapshot(max_deleted=0.5, mark=True)
    bench.run(bench.people("1,Ada,36", "2,Bob,40", write=marking))
    result = bench.run(bench.people("1,Ada,36", write=marking))
    check = bench.checks(result)["deletions"]
    assert (check.passed, check.description) == (True, "1 rows were marked as deleted.")
    assert bench.checks(result)["conservation"].passed
    assert metadata_of(result, "core", "people")["dagster/row_count"] == 1
    assert bench.query("SELECT count(*) FROM core.people") == [(2,)]


def test_the_check_says_how_many_versions_ended_and_the_row_count_is_of_the_current_ones(bench: Bench) -> None:
    history = History(snapshot=HALF)
    bench.run(bench.people("1,Ada,36", "2,Bob,40", write=history))
    result = bench.run(bench.people("1,Ada,37", write=history))
    check = bench.checks(result)["deletions"]
    assert (check.passed, check.description) == (True, "1 rows were ended.")
    assert bench.checks(result)["conservation"].passed
    assert metadata_of(result, "core", "people")["dagster/row_count"] == 1
    assert bench.query("SELECT count(*) FROM core.people_history") == [(3,)]


def test_a_key_that_cannot_be_read_fails_the_check_and_not_the_run(bench: Bench) -> None:
    bench.run(bench.people("1,Ada,36", "2,Bob,40", write=HALF, max_rejected=1.0))
    result = bench.run(bench.people("1,Ada,36", "x,Bob,40", write=HALF, max_rejected=1.0))
    check = bench.checks(result)["deletions"]
    assert result.success
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "the keys of 1 rejected records cannot be read" in (check.description or "")


def test_too_many_deletions_fail_the_run_until_a_person_consents(bench: Bench) -> None:
    bench.run(bench.people("1,Ada,36", "2,Bob,40", "3,Eve,20", write=HALF))
    source = bench.people("1,Ada,36", write=HALF)
    assert not bench.run(source).success
    assert bench.query("SELECT count(*) FROM core.people") == [(3,)]
    assert bench.query("SELECT DISTINCT error_class FROM etl.run WHERE error_class IS NOT NULL") == [
        ("TooManyDeletedError",)
    ]
    assert bench.run_job(definitions({"people": source}), "people", None, CONSENT).success
    assert bench.query("SELECT id FROM core.people") == [(1,)]
