"""Builds the Dagster definitions of all sources: assets, checks, jobs, schedules, sensors, resources.

Each file is built by itself. One whose definitions are wrong becomes a broken file, like one that does not load.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from etl_assets.catalog import by_name
from etl_assets.graph.assets.audit import audit_job, audit_schedule
from etl_assets.graph.assets.broken import broken_asset
from etl_assets.graph.assets.by_hand import own_assets
from etl_assets.graph.assets.conflicts import without_conflicts
from etl_assets.graph.assets.expectations import expectation_checks
from etl_assets.graph.assets.io_manager import PostgresIOManager
from etl_assets.graph.assets.pruning import pruning_job, pruning_schedule
from etl_assets.graph.assets.retention import expiring, retention_job, retention_schedule
from etl_assets.graph.assets.source_assets import source_assets
from etl_assets.graph.jobs import rebuild_job, replay_job
from etl_assets.graph.keys import WAREHOUSE, asset_keys, core_key, delivered_as
from etl_assets.graph.partitions import partitions_definition
from etl_assets.graph.resource import WarehouseResource
from etl_assets.graph.runs.alert_sensor import alert_sensor
from etl_assets.graph.runs.lineage_sensor import lineage_sensor
from etl_assets.graph.runs.quiet import leave_out_skipped_gates
from etl_assets.graph.runs.watch_sensor import watch_sensor
from etl_assets.graph.triggers.automation import trigger_of
from etl_assets.graph.triggers.conditions import automation_sensor, partitions_of, upstream
from etl_assets.graph.triggers.declaration_sensor import declaration_sensor
from etl_assets.graph.triggers.lineage import parents
from etl_assets.graph.triggers.release_sensor import release_sensor
from etl_assets.lineage.sending import is_configured
from etl_assets.source_files import SourceFile, set_aside

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from types import ModuleType

    from etl_assets.graph.assets.by_hand import OwnAssets
    from etl_assets.graph.assets.conflicts import Built
    from etl_assets.graph.partitions import Partitions
    from etl_assets.source import Source
    from etl_assets.source_files import BrokenFile

_RESOURCES: Final[dict[str, Any]] = {WAREHOUSE: WarehouseResource(), "io_manager": PostgresIOManager()}


@dataclass(frozen=True)
class Location:
    """A code location.

    Attributes:
        definitions: Everything that Dagster loads.
        broken: The files that do not load, or whose definitions are wrong, by the name of their asset.
        assets: The assets of each other file, by its path.
    """

    definitions: dg.Definitions
    broken: Mapping[str, BrokenFile]
    assets: Mapping[str, Partitions]


def definitions(
    sources: Mapping[str, Source], modules: Mapping[SourceFile, ModuleType] | None = None
) -> dg.Definitions:
    """Build the definitions of sources that are all loaded; see `location`."""
    return location(sources, modules or {}).definitions


def location(
    sources: Mapping[str, Source],
    modules: Mapping[SourceFile, ModuleType],
    not_loaded: Iterable[BrokenFile] = (),
    remembered: Mapping[str, Partitions] | None = None,
) -> Location:
    """Build a code location.

    Args:
        sources: All known sources, by name.
        modules: Modules with assets and asset checks that were written by hand, by file.
        not_loaded: The files that do not load.
        remembered: The assets of files, by path, as they were when the files loaded last.
    """
    leave_out_skipped_gates()
    broken = list(not_loaded)
    files = {name: _file_of(source, modules) for name, source in sources.items()}
    assets = [(files[name], _assets_of(source)) for name, source in sources.items()]
    own = own_assets(modules, {key: f"file {file.path}" for file, keys in assets for key in keys}, broken)
    assets += [(file, each.partitions) for file, each in own.items()]
    known: dict[dg.AssetKey, dg.PartitionsDefinition[str] | None] = {core_key(file.name): None for file in broken}
    for file in broken:
        known |= (remembered or {}).get(file.path, {})
    for _, partitions in assets:
        known |= partitions
    built = [*_built_sources(sources, files, known, broken), *_built_by_hand(own, known, broken)]
    of_all = dg.Definitions.merge(
        *without_conflicts(built, broken), _of_all_sources(sources, {delivered_as(key) for key in known})
    )
    named = by_name(broken, _names(of_all))
    good = _by_path(assets, broken)
    red = dg.Definitions(
        assets=_red_assets(named, known, of_all), sensors=[declaration_sensor(named, good, sources.values())]
    )
    return Location(dg.Definitions.merge(of_all, red), named, good)


def _built_sources(
    sources: Mapping[str, Source], files: Mapping[str, SourceFile], known: Partitions, broken: list[BrokenFile]
) -> Built:
    """Return the definitions of each source: of its assets, checks and trigger."""
    parents_by_name = parents(sources)
    built: Built = []
    for name, source in sources.items():
        with set_aside(files[name], broken):
            trigger = trigger_of(source)
            definitions = dg.Definitions(
                assets=source_assets(source, parents_by_name[name], upstream(source, known), files[name].path or None),
                asset_checks=expectation_checks(source),
                schedules=[trigger] if isinstance(trigger, dg.ScheduleDefinition) else [],
                sensors=[trigger] if isinstance(trigger, dg.SensorDefinition) else [],
            )
            built.append((files[name], definitions))
    return built


def _built_by_hand(own: Mapping[SourceFile, OwnAssets], known: Partitions, broken: list[BrokenFile]) -> Built:
    """Return the definitions of each file with assets or checks that were written by hand."""
    built: Built = []
    for file, assets in own.items():
        with set_aside(file, broken):
            assets.validate(known, _RESOURCES)
            built.append((file, dg.Definitions(assets=assets.assets, asset_checks=assets.checks)))
    return built


def _of_all_sources(sources: Mapping[str, Source], tables: Collection[str]) -> dg.Definitions:
    """Return the definitions that belong to no single source.

    Args:
        sources: All known sources, by name.
        tables: Names of sources, and of assets that were written by hand, as deliveries have them.
    """
    audit, pruning = audit_job(sources), pruning_job()
    retention = [retention_job(sources)] if expiring(sources) else []
    return dg.Definitions(
        jobs=[replay_job(sources), rebuild_job(sources), audit, pruning, *retention],
        schedules=[audit_schedule(audit), pruning_schedule(pruning), *map(retention_schedule, retention)],
        sensors=[
            release_sensor(sources),
            automation_sensor(),
            watch_sensor(sources),
            alert_sensor(sources),
            *([lineage_sensor(sources, tables)] if is_configured() else []),
        ],
        resources=_RESOURCES,
        executor=dg.in_process_executor,
    )


def _red_assets(
    broken: Mapping[str, BrokenFile], known: Partitions, of_all: dg.Definitions
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """Return the assets of broken files, and every known asset that nothing materializes now.

    The latter keep their history, and their partitions for what is downstream.
    """
    red = [broken_asset(file, known.get(core_key(name))) for name, file in broken.items()]
    present = {*_keys(of_all), *(core_key(name) for name in broken)}
    missing = [key for key in known if key not in present]
    about = "The file that declares it does not load, or its definitions are wrong; the asset of that file shows why."
    return [*red, *(dg.AssetSpec(key, partitions_def=known[key], description=about) for key in missing)]


def _by_path(assets: Iterable[tuple[SourceFile, Partitions]], broken: Iterable[BrokenFile]) -> dict[str, Partitions]:
    """Return the assets of each file that is not broken, by its path."""
    not_good = {"", *(file.path for file in broken)}
    good: dict[str, Partitions] = {}
    for file, partitions in assets:
        if file.path not in not_good:
            good[file.path] = {**good.get(file.path, {}), **partitions}
    return good


def _names(definitions: dg.Definitions) -> set[str]:
    """Return the names of the assets in ``core``."""
    return {key.path[1] for key in _keys(definitions) if key == core_key(key.path[-1])}


def _keys(definitions: dg.Definitions) -> set[dg.AssetKey]:
    return set(partitions_of(definitions.assets or ()))


def _file_of(source: Source, modules: Mapping[SourceFile, ModuleType]) -> SourceFile:
    """Return the file that declares a source; one without a path if no module does."""
    declaring = (file for file, module in modules.items() if getattr(module, "SOURCE", None) is source)
    return next((file for file in declaring if file.name == source.name), SourceFile(source.name, ""))


def _assets_of(source: Source) -> Partitions:
    """Return the assets of a source; without partitions if Dagster has no counterpart, which then fails the source."""
    try:
        partitions = partitions_definition(source.partitions, source.name)
    except TypeError:
        partitions = None
    return dict.fromkeys(asset_keys(source.name), partitions)
