"""What a process needs of the files of sources: the definitions that it has in the code location of everything."""

from __future__ import annotations

import json
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from etl_assets import catalog
from etl_assets.graph import needed
from etl_assets.graph.keys import ALL_ASSETS, asset_keys, core_key, landing_key
from etl_assets.graph.wanted import Wanted
from etl_assets.settings import Settings
from etl_assets_tests.declared_files import source_text, write_files

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets.graph.build import Location

_MART = """
    import dagster as dg

    @dg.asset(key=["marts", {name!r}], deps=[{above}])
    def mart(): ...
"""
_CHECK = """
    import dagster as dg

    @dg.asset_check(asset=dg.AssetKey(["core", "shops"]))
    def there_are_shops(): ...
"""
_WRONG = """
    import dagster as dg

    @dg.asset(key=["marts", "wrong"], required_resource_keys={"nonesuch"})
    def mart(): ...
"""
_AFTER_WRONG = 'trigger=__import__("etl_assets").After("marts/wrong"),'
_AFTER_SHOPS = 'trigger=__import__("etl_assets").After("core/shops"),'
_DAYS = 'partitions=__import__("etl_assets").Static(("1", "2")),'


def _referring(name: str, parent: str, more: str = "") -> str:
    return source_text(name, more=more, references=f"core.{parent}.id")


def _mart(name: str, above: str) -> str:
    return _MART.format(name=name, above=repr(above.split("/")))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of files of which some come after others."""
    files = {
        "shops": source_text("shops", more=_DAYS),
        "sales": _referring("sales", "shops"),
        "returns": _referring("returns", "sales", _AFTER_SHOPS),
        "apart": source_text("apart"),
        "alone": source_text("alone"),
        "by_shop": _mart("by_shop", "core/shops"),
        "all_returns": _mart("all_returns", "core/returns"),
        "over_mart": source_text("over_mart", more='trigger=__import__("etl_assets").After("marts/by_shop"),'),
    }
    return _settings(tmp_path, monkeypatch, **files)


def _settings(folder: Path, monkeypatch: pytest.MonkeyPatch, **files: str) -> Settings:
    monkeypatch.setenv("ETL_ASSETS_SOURCES", str(write_files(folder / "files", **files)))
    monkeypatch.setenv("ETL_ASSETS_HOME", str(folder / "home"))
    return Settings.from_environment()


def _needed(settings: Settings, *keys: dg.AssetKey) -> Location | None:
    return needed.of_wanted(settings, Wanted(frozenset(keys)))


def _names(location: Location | None) -> set[str]:
    """Return the names of the files of a location."""
    assert location is not None
    return {path.rpartition("/")[2].removesuffix(".py") for path in location.assets}


def _job(location: Location | None, keys: tuple[dg.AssetKey, ...]) -> dg.JobDefinition:
    assert location is not None
    job = location.definitions.get_repository_def().get_job(ALL_ASSETS)
    return job.get_subset(asset_selection=set(keys))


def _snapshot(job: dg.JobDefinition) -> object:
    """Return the description of a job by Dagster, without that of the job of all assets, of which it is a subset."""
    described = json.loads(dg.serialize_value(job.get_job_snapshot()))
    assert described.pop("lineage_snapshot")
    return described


def _nodes(job: dg.JobDefinition) -> list[Any]:
    """Return what Dagster knows of the assets of a job that decides what their events say."""
    graph = job.asset_layer.asset_graph
    return [
        (
            node.key,
            node.code_version,
            node.parent_keys,
            {key: node.partition_mappings.get(key) for key in node.parent_keys},
            {key: graph.get(key).partitions_def for key in node.parent_keys},
            node.partitions_def,
            node.check_keys,
            node.pools,
            node.metadata,
        )
        for node in sorted((graph.get(key) for key in job.asset_layer.selected_asset_keys), key=lambda node: node.key)
    ]


_SELECTIONS = {
    "shops": {"shops"},
    "sales": {"sales", "shops"},
    "returns": {"returns", "sales", "shops"},
    "over_mart": {"over_mart", "by_shop", "shops"},
    "flights": {"flights", "airlines", "airports", "planes"},
}


@pytest.mark.parametrize("name", _SELECTIONS)
def test_a_source_needs_its_file_and_those_of_all_upstream(settings: Settings, name: str) -> None:
    assert _names(_needed(settings, *asset_keys(name))) == _SELECTIONS[name]


def test_an_asset_written_by_hand_needs_the_files_of_what_it_reads(settings: Settings) -> None:
    location = _needed(settings, dg.AssetKey(["marts", "all_returns"]))
    assert _names(location) == {"all_returns", "returns", "sales", "shops"}


@pytest.mark.parametrize("name", _SELECTIONS)
def test_the_job_of_what_is_needed_is_that_of_everything(settings: Settings, name: str) -> None:
    keys = asset_keys(name)
    job, of_everything = _job(_needed(settings, *keys), keys), _job(needed.of_everything(settings), keys)
    assert _snapshot(job) == _snapshot(of_everything)
    assert _nodes(job) == _nodes(of_everything)
    assert len(_nodes(job)) == 3


def test_a_reference_that_closes_a_circle_is_left_out_as_in_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {name: _referring(name, parent) for name, parent in (("a", "b"), ("b", "c"), ("c", "a"))}
    settings = _settings(tmp_path, monkeypatch, **files, alone=source_text("alone"))
    for name in files:
        job, of_everything = (
            _job(location, asset_keys(name))
            for location in (_needed(settings, *asset_keys(name)), needed.of_everything(settings))
        )
        assert _nodes(job) == _nodes(of_everything)


def test_a_check_in_another_file_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings(tmp_path, monkeypatch, shops=source_text("shops"), checks=_CHECK)
    check = dg.AssetCheckKey(core_key("shops"), "there_are_shops")
    wanted = needed.named(catalog.load(settings.sources), ["shops"])
    assert wanted == Wanted(set(asset_keys("shops")), {check})
    assert needed.of_wanted(settings, wanted) is None


def test_a_check_in_the_file_of_its_source_is_needed_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"{source_text('shops')}\n{dedent(_CHECK)}"
    settings = _settings(tmp_path, monkeypatch, shops=text, apart=source_text("apart"))
    wanted = needed.named(catalog.load(settings.sources), ["shops"])
    assert wanted is not None
    assert [check.name for check in wanted.checks] == ["there_are_shops"]
    assert _names(needed.of_wanted(settings, wanted)) == {"shops"}


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"shops": "import nonesuch"}, id="its file is broken"),
        pytest.param({"shops": source_text("other")}, id="its file declares another"),
        pytest.param({"shops": _referring("shops", "broken"), "broken": "1 / 0"}, id="a parent is broken"),
        pytest.param({"shops": source_text("shops", more=_AFTER_SHOPS)}, id="its trigger is wrong"),
        pytest.param(
            {"shops": source_text("shops", more=_AFTER_WRONG), "wrong": _WRONG}, id="what it follows is wrong"
        ),
        pytest.param({"shops": _mart("elsewhere", "core/apart"), "apart": source_text("apart")}, id="it is no source"),
    ],
)
def test_what_is_needed_of_a_broken_or_unknown_file_is_not_known(
    files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _settings(tmp_path, monkeypatch, **files)
    assert _needed(settings, *asset_keys("shops")) is None


def test_what_is_needed_of_an_asset_whose_file_has_another_name_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"marts": _mart("by_shop", "core/shops"), "shops": source_text("shops")}
    over = source_text("over", more='trigger=__import__("etl_assets").After("marts/by_shop"),')
    settings = _settings(tmp_path, monkeypatch, **files, over=over, by_hand=_mart("by_hand", "marts/by_shop"))
    assert _needed(settings, dg.AssetKey(["marts", "by_shop"])) is None
    assert _needed(settings, landing_key("over")) is None
    assert _needed(settings, dg.AssetKey(["marts", "by_hand"])) is None


def test_names_are_sources_or_keys_of_assets(settings: Settings) -> None:
    known = catalog.load(settings.sources)
    both = needed.named(known, ["sales", "marts/by_shop"])
    assert both == Wanted({*asset_keys("sales"), dg.AssetKey(["marts", "by_shop"])})
    assert needed.named(known, ["sales", "nonesuch"]) is None


def test_the_key_of_an_asset_goes_before_the_name_of_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand = "import dagster as dg\n\n@dg.asset\ndef shops(): ...\n"
    settings = _settings(tmp_path, monkeypatch, shops=source_text("shops"), other=by_hand)
    assert needed.named(catalog.load(settings.sources), ["shops"]) == Wanted({dg.AssetKey("shops")})
