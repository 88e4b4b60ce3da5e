"""The statements that a run sends to Dagster's storage are few, and no more for more checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from etl_assets.graph.build import definitions
from etl_assets_tests.graph.storage.toys import toy_job
from etl_assets_tests.graph.stored import stored_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import dagster as dg

    from etl_assets_tests.graph.conftest import Bench

pytestmark = [
    pytest.mark.filterwarnings("ignore::dagster.PreviewWarning"),
    pytest.mark.filterwarnings("ignore::dagster.BetaWarning"),
]
MOST = 60


@pytest.fixture
def instance(database_url: str, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with stored_in(database_url, tmp_path) as pooled:
        yield pooled


def test_a_run_sends_at_most_sixty_statements_with_any_number_of_checks(instance: dg.DagsterInstance) -> None:
    counts = {}
    for checks, partition in [(11, None), (77, None), (11, "a"), (77, "a")]:
        job = toy_job(checks, partitioned=partition is not None)
        assert job.execute_in_process(instance=instance, partition_key=partition).success
        with counting(instance) as statements:
            assert job.execute_in_process(instance=instance, partition_key=partition).success
        counts[checks, partition] = len(statements)
    assert max(counts.values()) <= MOST, counts
    assert counts[11, None] == counts[77, None]
    assert counts[11, "a"] == counts[77, "a"]


def test_the_run_of_a_source_sends_at_most_sixty_statements(bench: Bench, instance: dg.DagsterInstance) -> None:
    built = definitions({"people": bench.people("1,Ada,36", "2,Eve,1")})
    assert bench.run_job(built, "people").success
    with counting(instance) as statements:
        assert bench.run_job(built, "people").success
    assert len(statements) <= MOST, "\n".join(statements)


class counting:  # noqa: N801 -- used like a function
    """Collects the statements that an instance sends within a block."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        parts: list[Any] = [instance.run_storage, instance.event_log_storage, instance.schedule_storage]
        self._engines = [part._engine for part in parts]
        self._statements: list[str] = []

    def __enter__(self) -> list[str]:
        for engine in self._engines:
            event.listen(engine, "before_cursor_execute", self._count)
        return self._statements

    def __exit__(self, *_: object) -> None:
        for engine in self._engines:
            event.remove(engine, "before_cursor_execute", self._count)

    def _count(self, *given: Any) -> None:
        self._statements.append(given[2])
