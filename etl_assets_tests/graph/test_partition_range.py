"""A run of many partitions leaves what a run of each would have left, and a partition that fails, fails alone."""

from __future__ import annotations

import logging
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from dagster._core.storage.partition_status_cache import AssetPartitionStatus

from etl_assets import Csv, Daily, Expectation, FileExtractor, Files, Static
from etl_assets.errors import BusyError, DeclarationError, EnvironmentFaultError
from etl_assets.graph.build import definitions
from etl_assets.graph.jobs import source_job
from etl_assets.graph.partitions import RANGE_TAGS, add_files, in_load_order, neighbours, partitions_definition
from etl_assets.graph.runs import retries
from etl_assets.graph.triggers.conditions import follow
from etl_assets.postgres.connection import connected
from etl_assets_tests.graph.conftest import error_of
from etl_assets_tests.graph.test_conditions import automation_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dagster._core.execution.execute_in_process_result import ExecuteInProcessResult

    from etl_assets import Partition, Source
    from etl_assets_tests.graph.conftest import Bench

_LANDING, _CORE, _QUARANTINE = (dg.AssetKey([layer, "people"]) for layer in ("landing", "core", "quarantine"))
_FILES = ("a.csv", "b.csv", "c.csv")


def _publish(bench: Bench, **files: str) -> None:
    folder = bench.folder / "in"
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)


def _three(bench: Bench, b: str = "id,name,age\n2,Alan,41\n", **changes: Any) -> Source:
    """Return a source of three files, each with one person, which are partitions."""
    _publish(bench, a="id,name,age\n1,Ada,36\n", b=b, c="id,name,age\n3,Grace,85\n")
    extractor = FileExtractor(location=str(bench.folder / "in" / "*.csv"), format=Csv(), settle_seconds=0)
    source = bench.declare(**{"extractor": extractor, "partitions": Files(), **changes})
    if isinstance(source.partitions, Files):
        add_files(source, bench.instance, bench.url)
    return source


def _run(
    bench: Bench,
    source: Source,
    keys: Sequence[str] = _FILES,
    *,
    config: dict[str, Any] | None = None,
    selection: Sequence[dg.AssetKey] | None = None,
    built: dg.Definitions | None = None,
) -> ExecuteInProcessResult:
    result = source_job(built or definitions({source.name: source}), source.name).execute_in_process(
        instance=bench.instance,
        run_config=config,
        raise_on_error=False,
        asset_selection=selection,
        tags=dict(zip(RANGE_TAGS, (keys[0], keys[-1]), strict=True)),
    )
    bench.results.append(result)
    return result


def _events(bench: Bench, result: ExecuteInProcessResult, type_: dg.DagsterEventType) -> list[Any]:
    """Return the events of a run from the instance: the result lacks those of a step that failed."""
    records = bench.instance.get_records_for_run(result.run_id, of_type=type_).records
    return [record.event_log_entry.dagster_event for record in records]


def _materialized(bench: Bench, result: ExecuteInProcessResult) -> list[tuple[dg.AssetKey, str]]:
    events = _events(bench, result, dg.DagsterEventType.ASSET_MATERIALIZATION)
    return [(event.asset_key, event.partition) for event in events]


def _evaluations(bench: Bench, result: ExecuteInProcessResult) -> list[dg.AssetCheckEvaluation]:
    events = _events(bench, result, dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    return [event.asset_check_evaluation_data for event in events]


def _statuses(bench: Bench, source: Source, key: dg.AssetKey = _CORE) -> dict[str, str]:
    partitions = partitions_definition(source.partitions, source.name)
    assert partitions is not None
    found = bench.instance.get_status_by_partition(key, _FILES, partitions) or {}
    return {partition: status.value if status is not None else "" for partition, status in found.items()}


def test_every_partition_has_a_delivery_a_verdict_and_a_run_of_its_own(bench: Bench) -> None:
    result = _run(bench, _three(bench))
    assert result.success
    assert bench.query("SELECT id, name FROM core.people ORDER BY id") == [(1, "Ada"), (2, "Alan"), (3, "Grace")]
    assert bench.query("SELECT partition, status FROM etl.delivery ORDER BY id") == [
        (name, "complete") for name in _FILES
    ]
    assert bench.query(
        "SELECT partition, status, read, inserted FROM etl.run WHERE run_id = %s ORDER BY 1", result.run_id
    ) == [(name, "succeeded", 1, 1) for name in _FILES]
    counts = bench.query("SELECT partition, count(DISTINCT name) FROM etl.check_result GROUP BY 1 ORDER BY 1")
    assert len({number for _, number in counts}) == 1
    assert [name for name, _ in counts] == list(_FILES)


def test_dagster_shows_of_every_partition_what_a_run_of_its_own_shows(bench: Bench) -> None:
    source = _three(bench)
    alone = bench.run(source, "a.csv")
    many = _run(bench, source, ("b.csv", "c.csv"))

    def shown(result: ExecuteInProcessResult, partition: str) -> set[tuple[Any, ...]]:
        events = {
            (event.asset_key, *sorted(event.materialization.metadata))
            for event in result.get_asset_materialization_events()
            if event.partition == partition
        }
        assert {key for key, *_ in events} == {_LANDING, _CORE, _QUARANTINE}
        checks = {
            (each.asset_check_key, each.passed, each.blocking, each.severity, *sorted(each.metadata))
            for each in result.get_asset_check_evaluations()
            if each.partition == partition and each.target_materialization_data is not None
        }
        return events | checks

    assert len(shown(alone, "a.csv")) > 10
    assert shown(alone, "a.csv") == shown(many, "b.csv") == shown(many, "c.csv")


def test_the_checks_of_a_range_refer_to_the_materialization_of_their_partition(bench: Bench) -> None:
    result = _run(bench, _three(bench))
    newest = {
        (key, name): bench.instance.fetch_materializations(dg.AssetRecordsFilter(key, asset_partitions=[name]), limit=1)
        .records[0]
        .storage_id
        for key in (_LANDING, _CORE)
        for name in _FILES
    }
    evaluations = result.get_asset_check_evaluations()
    assert evaluations
    for each in evaluations:
        assert each.partition is not None
        assert each.target_materialization_data is not None
        assert each.target_materialization_data.storage_id == newest[each.asset_key, each.partition]


def test_no_check_stays_planned_after_a_range(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        _run(bench, _three(bench))
    assert "will proceed" not in caplog.text
    for key in definitions({"people": _three(bench)}).resolve_asset_graph().asset_check_keys:
        if key.asset_key.path[-1] == "people":
            records = bench.instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
            assert {record.status.value for record in records} == {"SUCCEEDED"}
            assert {record.partition for record in records} == set(_FILES)


def test_a_partition_that_fails_fails_alone(bench: Bench) -> None:
    source = _three(bench, b="id,name,age\nx,Secret Name,41\n")
    result = _run(bench, source)
    assert not result.success
    assert "1 of 3 partitions of source 'people' failed, and the others are done. b.csv: TooMany" in error_of(result)
    assert "Secret Name" not in error_of(result)
    assert bench.query("SELECT id FROM core.people ORDER BY id") == [(1,), (3,)]
    assert bench.query("SELECT partition, status, error_class FROM etl.run ORDER BY id") == [
        ("a.csv", "succeeded", None),
        ("b.csv", "failed", "TooManyRejectedError"),
        ("c.csv", "succeeded", None),
    ]
    assert bench.query("SELECT DISTINCT partition FROM etl.alert WHERE rule = 'run_failed'") == [("b.csv",)]
    good, bad = AssetPartitionStatus.MATERIALIZED.value, AssetPartitionStatus.FAILED.value
    assert _statuses(bench, source) == {"a.csv": good, "b.csv": bad, "c.csv": good}
    share = {each.partition: each.passed for each in _evaluations(bench, result) if "share" in each.check_name}
    assert share == {"a.csv": True, "b.csv": False, "c.csv": True}


def test_the_next_run_of_the_range_does_what_failed_and_finds_the_rest_unchanged(bench: Bench) -> None:
    _run(bench, _three(bench, b="id,name,age\nx,Alan,41\n"))
    source = _three(bench)
    before = bench.query("SELECT ctid, xmin FROM core.people WHERE id <> 2 ORDER BY id")
    result = _run(bench, source)
    assert result.success
    assert {partition for _, partition in _materialized(bench, result)} == {"b.csv"}
    observed = _events(bench, result, dg.DagsterEventType.ASSET_OBSERVATION)
    assert [event.asset_observation_data.asset_observation.partition for event in observed] == ["a.csv", "c.csv"]
    assert bench.query("SELECT ctid, xmin FROM core.people WHERE id <> 2 ORDER BY id") == before
    assert bench.query("SELECT count(*) FROM core.people") == [(3,)]


def test_a_fault_that_may_pass_is_tried_again_and_what_is_done_is_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "FIRST_WAIT", 0.0)
    source = _three(bench)
    tried = []
    land = FileExtractor.fetch

    def fetch(self: FileExtractor, partition: Partition, *rest: Any, **more: Any) -> Any:
        tried.append(partition.key)
        if tried.count("b.csv") == 1 and partition.key == "b.csv":
            raise BusyError("It is busy for a moment.")
        return land(self, partition, *rest, **more)

    monkeypatch.setattr(FileExtractor, "fetch", fetch)
    assert _run(bench, source).success
    assert tried == ["a.csv", "b.csv", "c.csv", "b.csv"]
    assert bench.query("SELECT partition, status FROM etl.run ORDER BY id") == [(name, "succeeded") for name in _FILES]


def test_a_fault_of_everything_ends_the_range_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    source = _three(bench)
    tried = []

    def fetch(_: FileExtractor, partition: Partition, *__: Any, **___: Any) -> Any:
        tried.append(partition.key)
        raise EnvironmentFaultError("The disk is full. Nothing was written. Make room.")

    monkeypatch.setattr(FileExtractor, "fetch", fetch)
    result = _run(bench, source)
    assert "The disk is full" in error_of(result)
    assert tried == ["a.csv"]


def test_downstream_follows_the_partitions_that_passed(bench: Bench) -> None:
    source = _three(bench, b="id,name,age\nx,Alan,41\n")

    @dg.asset(
        key=["marts", "ages"],
        deps=[["core", "people"]],
        partitions_def=partitions_definition(source.partitions, source.name),
        automation_condition=follow(),
    )
    def ages() -> None:
        """Follow people."""

    automation = automation_of(bench, source, marts=(ages,))
    automation.tick()
    _run(bench, source, built=automation.built)
    assert automation.tick() == {"marts/ages": {"a.csv", "c.csv"}}


def test_expectations_are_validated_for_every_partition(bench: Bench) -> None:
    adults = Expectation("expect_column_values_to_be_between", column="age", min_value=40, name="adults", blocking=True)
    result = _run(bench, _three(bench, expectations=(adults,)))
    met = {each.partition: each.passed for each in _evaluations(bench, result) if each.check_name == "adults"}
    assert met == {"a.csv": False, "b.csv": True, "c.csv": True}
    assert "a.csv: LoadError: core.people was loaded, but is not as expected: adults" in error_of(result)
    assert bench.query("SELECT partition, status FROM etl.run ORDER BY id") == [
        ("a.csv", "failed"),
        ("b.csv", "succeeded"),
        ("c.csv", "succeeded"),
    ]


def test_a_range_without_the_landing_loads_what_is_landed(bench: Bench) -> None:
    source = _three(bench)
    _run(bench, source, selection=[_LANDING])
    assert bench.query("SELECT status FROM etl.delivery") == [("landed",)] * 3
    result = _run(bench, source, selection=[_CORE, _QUARANTINE])
    assert result.success
    assert bench.query("SELECT count(*) FROM core.people") == [(3,)]
    assert {key for key, _ in _materialized(bench, result)} == {_CORE, _QUARANTINE}


def test_the_configuration_holds_for_every_partition(bench: Bench) -> None:
    source = _three(bench)
    _run(bench, source)
    result = _run(bench, source, config={"ops": {"core__people": {"config": {"force": True}}}})
    assert result.success
    assert bench.query("SELECT generation FROM etl.delivery") == [(2,)] * 3


@pytest.mark.parametrize(("step", "config"), [("landing", {"file": "x.csv"}), ("core", {"batches": [1]})])
def test_what_belongs_to_one_partition_is_refused_for_a_range(bench: Bench, step: str, config: dict[str, Any]) -> None:
    result = _run(bench, _three(bench), config={"ops": {f"{step}__people": {"config": config}}})
    assert "belong to one partition, and the run has a range of them. Nothing was written." in error_of(result)
    assert bench.query("SELECT count(*) FROM etl.delivery") == [(0,)]


def test_partitions_that_wait_to_be_reloaded_come_last_and_newest_first(bench: Bench) -> None:
    source = _three(bench)
    _run(bench, source, ("a.csv", "b.csv"))
    bench.query("UPDATE etl.delivery SET fingerprint = 'another'")
    with connected(bench.url) as connection:
        assert in_load_order(connection, source, _FILES) == ["c.csv", "b.csv", "a.csv"]
    result = _run(bench, source)
    loaded = [partition for key, partition in _materialized(bench, result) if key == _LANDING]
    assert loaded == ["c.csv", "b.csv", "a.csv"]


@pytest.mark.parametrize(
    ("keys", "most", "groups"),
    [
        ("abcd", 9, ["abcd"]),
        ("abcd", 2, ["ab", "cd"]),
        ("abd", 9, ["ab", "d"]),
        ("dcba", 9, ["dcba"]),
        ("abcb", 9, ["abc", "b"]),
        ("cbde", 9, ["cb", "de"]),
        ("", 9, []),
    ],
)
def test_keys_are_cut_into_ranges_of_dagster(keys: str, most: int, groups: list[str]) -> None:
    assert neighbours(list(keys), list("abcde"), most) == [list(group) for group in groups]


def test_a_backfill_takes_as_many_partitions_in_a_run_as_the_source_declares(bench: Bench) -> None:
    graph = definitions({"people": _three(bench, partitions=Files(per_run=2))}).resolve_asset_graph()
    policies = {graph.get(key).backfill_policy for key in (_LANDING, _CORE, _QUARANTINE)}
    assert policies == {dg.BackfillPolicy.multi_run(2)}
    one = definitions({"people": _three(bench, partitions=Daily(date(2024, 1, 1)))}).resolve_asset_graph()
    assert one.get(_CORE).backfill_policy is None


def test_a_run_takes_at_least_one_partition(bench: Bench) -> None:
    with pytest.raises(DeclarationError, match="per_run=0"):
        _three(bench, partitions=Files(per_run=0))


def test_named_partitions_are_run_as_a_range_too(bench: Bench) -> None:
    extractor = FileExtractor(location=str(bench.folder / "in" / "{key}.csv"), format=Csv(), settle_seconds=0)
    source = _three(bench, partitions=Static(("a", "b", "c"), per_run=9), extractor=extractor)
    assert _run(bench, source, ("a", "c")).success
    assert bench.query("SELECT count(*) FROM core.people") == [(3,)]
