"""The results of the checks ``drift``, ``volume`` and ``distribution``; none of these checks stops a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from etl_assets import Csv, Distribution, FileExtractor, Files, Monitors, Volume
from etl_assets.graph.partitions import add_files
from etl_assets_tests.graph.conftest import metadata_of

if TYPE_CHECKING:
    import dagster as dg
    from dagster._core.execution.execute_in_process_result import ExecuteInProcessResult

    from etl_assets import Source
    from etl_assets_tests.graph.conftest import Bench


def _facts(check: dg.AssetCheckEvaluation) -> list[dict[str, Any]]:
    table = check.metadata["facts"].value
    return [record.data for record in table.records]  # type: ignore[union-attr]


def _source(bench: Bench) -> Source:
    """People by day: each file is a partition."""
    return bench.declare(
        extractor=FileExtractor(location=str(bench.folder / "*.csv"), format=Csv(), settle_seconds=0),
        partitions=Files(),
        monitors=Monitors(volume=Volume(minimum_history=3), distribution=Distribution(minimum_history=3)),
    )


def _day(bench: Bench, source: Source, day: int, size: int, age: str = "36") -> ExecuteInProcessResult:
    """Publish and load the file of a day."""
    lines = [f"{number},Ada,{age}" for number in range(1, size + 1)]
    (bench.folder / f"{day}.csv").write_text("\n".join(["id,name,age", *lines, ""]))
    add_files(source, bench.instance, bench.url)
    return bench.run(source, f"{day}.csv")


def test_a_new_column_fails_the_check_drift_of_every_run_until_it_is_accepted_but_no_run(bench: Bench) -> None:
    bench.run(bench.people("1,Ada,36"))
    result = bench.run(bench.people("1,Ada,36,blue", header="id,name,age,colour"))
    check = bench.checks(result)["drift"]
    assert result.success
    assert not check.passed
    (fact,) = _facts(check)
    assert (fact["kind"], fact["subject"]) == ("added", "colour")
    again = bench.run(bench.people("2,Bob,40,red", header="id,name,age,colour"))
    assert [fact["id"] for fact in _facts(bench.checks(again)["drift"])] == [fact["id"]]


def test_the_check_drift_passes_again_after_a_change_is_taken_back(bench: Bench) -> None:
    bench.run(bench.people("1,Ada,36"))
    bench.run(bench.people("1,Ada,36,blue", header="id,name,age,colour"))
    result = bench.run(bench.people("1,Ada,37"))
    assert bench.checks(result)["drift"].passed
    assert metadata_of(result, "landing", "people")["taken back"] == "'colour' was added"


def test_the_check_drift_shows_the_change_of_a_delivery_refused_for_its_shape(bench: Bench) -> None:
    bench.run(bench.people("1,Ada,36"))
    result = bench.run(bench.people("1,36", header="id,age"))
    checks = bench.checks(result)
    assert not result.success
    assert not checks["shape"].passed
    assert [(fact["kind"], fact["subject"], fact["blocking"]) for fact in _facts(checks["drift"])] == [
        ("removed", "name", True)
    ]


def test_a_delivery_that_is_much_too_small_fails_the_check_volume_but_is_loaded(bench: Bench) -> None:
    source = _source(bench)
    results = [_day(bench, source, day, size) for day, size in enumerate((40, 41, 39, 40, 4))]
    assert all(result.success for result in results)
    assert [bench.checks(result)["volume"].passed for result in results] == [True, True, True, True, False]


def test_a_column_that_is_suddenly_empty_fails_the_check_distribution_by_name(bench: Bench) -> None:
    source = _source(bench)
    for day, size in enumerate((40, 41, 39, 40)):
        _day(bench, source, day, size)
    result = _day(bench, source, 4, 40, age="")
    check = bench.checks(result)["distribution"]
    assert result.success
    assert not check.passed
    assert {fact["column"] for fact in _facts(check) if fact["anomalous"]} == {"age"}


def test_a_delivery_without_records_fails_the_check_volume_and_deletes_nothing(bench: Bench) -> None:
    bench.run(bench.people("1,Ada,36"))
    result = bench.run(bench.people())
    assert result.success
    assert not bench.checks(result)["volume"].passed
    assert bench.query("SELECT count(*) FROM core.people") == [(1,)]


def test_the_check_drift_shows_the_change_of_a_delivery_refused_for_its_records(bench: Bench) -> None:
    bench.run(bench.people("1,Ada,36"))
    result = bench.run(bench.people("1,Ada,old,blue", header="id,name,age,colour"))
    assert not result.success
    assert [fact["subject"] for fact in _facts(bench.checks(result)["drift"])] == ["colour"]
