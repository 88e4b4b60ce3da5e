"""A file that does not load, or whose definitions are wrong, is one red asset; everything else works."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from etl_assets import After, Static, catalog
from etl_assets.graph import last_good
from etl_assets.graph.build import location
from etl_assets.graph.jobs import source_job
from etl_assets.graph.runs.watch_sensor import watch_sensor
from etl_assets.graph.triggers.declaration_sensor import declaration_sensor
from etl_assets_tests.declared_files import source_text, write_files
from etl_assets_tests.graph.conftest import error_of

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets.graph.build import Location
    from etl_assets_tests.graph.conftest import Bench

_ASSET = """
    import dagster as dg

    @dg.asset({arguments})
    def {name}({inputs}) -> None: ...
"""


def _asset(name: str, arguments: str = "", inputs: str = "") -> str:
    return _ASSET.format(name=name, arguments=arguments, inputs=inputs)


def _location(folder: Path, home: Path | None = None, **files: str) -> Location:
    """Return the location of some files beside the bundled ones; Dagster accepts it."""
    loaded = catalog.load([str(write_files(folder, **files))])
    built = location(loaded.sources, loaded.modules, loaded.broken.values(), last_good.read(home) if home else {})
    dg.Definitions.validate_loadable(built.definitions)
    return built


def _keys(built: Location) -> set[str]:
    return {key.to_user_string() for key in built.definitions.resolve_all_asset_keys()}


def test_a_file_that_does_not_load_is_an_asset_that_fails_at_once_with_its_error(bench: Bench, tmp_path: Path) -> None:
    built = _location(tmp_path / "f", sales="import nonesuch\n", shops=source_text("shops"))
    assert {"core/sales", "core/shops", "landing/shops"} <= _keys(built)
    job = built.definitions.resolve_implicit_global_asset_job_def()
    key = dg.AssetKey(["core", "sales"])
    assert (
        "Line 1: ModuleNotFoundError: No module named 'nonesuch'."
        in (built.definitions.resolve_assets_def(key).descriptions_by_key[key])
    )
    result = job.execute_in_process(instance=bench.instance, asset_selection=[key], raise_on_error=False)
    assert not result.success
    assert f"BrokenFileError: File {tmp_path}/f/sales.py does not load. Line 1: Module" in error_of(result)
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
    check = bench.checks(result)["declaration"]
    assert (check.passed, check.blocking) == (False, True)
    assert "No module named 'nonesuch'" in (check.description or "")
    watch_sensor({}).evaluate_tick(dg.build_sensor_context(instance=bench.instance))
    ((source, status, error_class, text),) = bench.query("SELECT source, status, error_class, error FROM etl.run")
    assert (source, status, error_class) == ("sales", "failed", "BrokenFileError")
    assert text.startswith(f"File {tmp_path}/f/sales.py does not load. Line 1: ModuleNotFoundError")


def test_a_source_whose_trigger_is_wrong_keeps_its_keys_and_partitions_and_stops_no_other(bench: Bench) -> None:
    days = Static(("a", "b"))
    sources = {
        "up": bench.declare(name="up", partitions=days, trigger=After("core/nonesuch")),
        "down": bench.declare(name="down", partitions=days, trigger=After("core/up", "landing/up")),
    }
    built = location(sources, {})
    assert list(built.broken) == ["up"]
    graph = built.definitions.resolve_asset_graph()
    for layer in ("landing", "core", "quarantine"):
        assert graph.get(dg.AssetKey([layer, "up"])).partitions_def == dg.StaticPartitionsDefinition(["a", "b"])
    materializable = {key.to_user_string() for key in graph.materializable_asset_keys}
    assert materializable == {"core/up", "landing/down", "core/down", "quarantine/down"}
    assert source_job(built.definitions, "down").partitions_def == dg.StaticPartitionsDefinition(["a", "b"])


def test_sources_that_come_after_each_other_are_broken_and_stop_no_other(bench: Bench) -> None:
    sources = {
        "a": bench.declare(name="a", trigger=After("core/b")),
        "b": bench.declare(name="b", trigger=After("core/a")),
        "c": bench.declare(name="c", trigger=After("core/a")),
    }
    built = location(sources, {})
    dg.Definitions.validate_loadable(built.definitions)
    assert sorted(built.broken) == ["a", "b"]
    assert ": deps form a circle: " in built.broken["a"].problem


def test_of_two_checks_of_the_same_name_the_second_is_broken(tmp_path: Path) -> None:
    check = """
        import dagster as dg

        @dg.asset_check(asset=["core", "flights"], name={name!r})
        def check() -> dg.AssetCheckResult: ...
    """
    built = _location(tmp_path, a=check.format(name="x"), b=check.format(name="x"), c=check.format(name="drift"))
    assert sorted(built.broken) == ["b", "c"]
    assert "asset core/flights: check drift exists already" in built.broken["c"].problem


def test_a_file_that_breaks_keeps_the_keys_and_partitions_that_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = _asset("days", "partitions_def=dg.DailyPartitionsDefinition('2024-01-01')")
    sales = source_text("sales", more="partitions=Static(('a', 'b')),").replace(
        "import Column", "import Static, Column"
    )
    folder = write_files(tmp_path / "f", days=days, sales=sales)
    good = catalog.load([str(folder)])
    last_good.write(tmp_path, location(good.sources, good.modules).assets)
    for file in good.modules:
        if file.name in {"days", "sales"}:
            monkeypatch.delitem(sys.modules, file.module)
    later = source_text("later", more="trigger=After('landing/sales'),").replace(
        "import Column", "import After, Column"
    )
    down = _asset("down", "ins={'x': dg.AssetIn(['days'])}", "x")
    built = _location(folder, tmp_path, days="import nonesuch", sales="import nonesuch", later=later, down=down)
    assert sorted(built.broken) == ["days", "sales"]
    graph = built.definitions.resolve_asset_graph()
    partitions = {key: graph.get(dg.AssetKey(key.split("/"))).partitions_def for key in ("days", "core/sales")}
    assert partitions == {
        "days": dg.DailyPartitionsDefinition("2024-01-01"),
        "core/sales": dg.StaticPartitionsDefinition(["a", "b"]),
    }


def test_what_is_remembered_of_a_file_is_kept_while_it_exists(tmp_path: Path) -> None:
    file, gone = tmp_path / "x.py", tmp_path / "gone.py"
    file.touch()
    assets = {dg.AssetKey(["marts", "x/y"]): None}
    last_good.write(tmp_path, {str(file): assets, str(gone): assets})
    last_good.write(tmp_path, {})
    assert last_good.read(tmp_path) == {str(file): assets}
    (tmp_path / "assets_of_files.json").write_text("{")
    assert last_good.read(tmp_path) == {}


@pytest.mark.parametrize(
    ("arguments", "inputs", "problem"),
    [
        ("ins={'x': dg.AssetIn(['core', 'nonesuch'])}", "x", "nonesuch"),
        ("required_resource_keys={'spaceship'}", "", "'spaceship'"),
        ("key=['core', 'flights']", "", "asset core/flights: key is also in file"),
        ("key=['good']", "", "asset good: key is also in file"),
    ],
)
def test_an_asset_written_by_hand_whose_definition_is_wrong_stops_no_other(
    tmp_path: Path, arguments: str, inputs: str, problem: str
) -> None:
    mine = _asset("mine", arguments, inputs)
    built = _location(tmp_path, a=_asset("good"), mine=mine, z=_asset("downstream", "deps=['mine']"))
    assert list(built.broken) == ["mine"]
    assert problem in built.broken["mine"].problem
    assert {"good", "downstream", "core/mine", "core/flights"} <= _keys(built)


def test_an_asset_that_a_neighbour_imports_is_one_asset(tmp_path: Path) -> None:
    built = _location(tmp_path, a="from .mine import mine\n", mine=_asset("mine"))
    assert not built.broken
    assert "mine" in _keys(built)


def _tick(bench: Bench, built: Location, cursor: str | None) -> str | None:
    context = dg.build_sensor_context(instance=bench.instance, cursor=cursor)
    return declaration_sensor(built.broken, built.assets).evaluate_tick(context).cursor


def test_the_sensor_alerts_once_for_each_error_and_resolves_the_alert_when_the_file_loads(
    bench: Bench, tmp_path: Path
) -> None:
    alerts = "SELECT source, status, times, substring(summary from 'named ''(.*?)''') FROM etl.alert ORDER BY id"
    built = _location(tmp_path, sales="import nonesuch\n")
    cursor = _tick(bench, built, None)
    assert _tick(bench, built, cursor) == cursor
    assert _tick(bench, built, None) == cursor
    assert bench.query(alerts) == [("sales", "open", 1, "nonesuch")]
    cursor = _tick(bench, _location(tmp_path, sales="import another\n"), cursor)
    assert bench.query(alerts) == [("sales", "resolved", 1, "nonesuch"), ("sales", "open", 1, "another")]
    _tick(bench, _location(tmp_path, sales=source_text("sales")), cursor)
    assert {status for _, status, *_ in bench.query(alerts)} == {"resolved"}
    assert bench.query("SELECT DISTINCT rule, severity FROM etl.alert") == [("file_broken", "error")]
    assert bench.query("SELECT event, count(*) FROM etl.notification GROUP BY 1 ORDER BY 1") == [
        ("opened", 2),
        ("resolved", 2),
    ]


@pytest.mark.usefixtures("bench")
def test_the_sensor_gives_the_pools_of_sources_their_limits(tmp_path: Path, dagster_home: str) -> None:
    built = _location(tmp_path, sales=source_text("sales"))
    sensor = built.definitions.resolve_sensor_def("declarations")
    with dg.DagsterInstance.local_temp(dagster_home) as instance:
        sensor.evaluate_tick(dg.build_sensor_context(instance=instance, definitions=built.definitions))
        assert {pool.name for pool in instance.event_log_storage.get_pool_limits()} >= {"sales", "flights"}


def test_the_sensor_fails_the_check_of_a_broken_file_without_a_run(bench: Bench, tmp_path: Path) -> None:
    built = _location(tmp_path, sales="import nonesuch\n")
    _tick(bench, built, None)
    key = dg.AssetCheckKey(dg.AssetKey(["core", "sales"]), "declaration")
    (record,) = bench.instance.event_log_storage.get_asset_check_execution_history(key, limit=5)
    assert record.status.value == "FAILED"
    sensor = built.definitions.resolve_sensor_def("declarations")
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
