"""The job `rebuild`: builds, compares, and puts in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from etl_assets.graph.build import definitions
from etl_assets.postgres.connection import connected

if TYPE_CHECKING:
    from etl_assets_tests.graph.conftest import Bench


def configured(**config: Any) -> dict[str, Any]:
    return {"ops": {"rebuild_table": {"config": {"source": "people", **config}}}}


def test_the_job_puts_a_table_in_place_that_has_the_same_rows(bench: Bench) -> None:
    source = bench.people("1,Ada,36", "2,Bob,41")
    bench.run(source)
    before = bench.query("SELECT * FROM core.people ORDER BY 1")
    result = bench.run_job(definitions({"people": source}), "rebuild", config=configured(verify=True, swap=True))
    assert result.success
    assert bench.query("SELECT * FROM core.people ORDER BY 1") == before
    assert bench.query("SELECT kind FROM etl.batch WHERE kind = 'rebuild'") == [("rebuild",)]


def test_a_difference_fails_the_job_and_puts_nothing_in_place(bench: Bench) -> None:
    source = bench.people("1,Ada,36", "2,Bob,41")
    bench.run(source)
    with connected(bench.url) as connection:
        connection.execute("DELETE FROM core.people")
    result = bench.run_job(definitions({"people": source}), "rebuild", config=configured(verify=True, swap=True))
    assert not result.success
    (failed,) = result.filter_events(lambda event: event.is_step_failure)
    assert "2 rows of core.people differ" in str(failed.step_failure_data.error)
    assert bench.query("SELECT count(*) FROM core.people") == [(0,)]
