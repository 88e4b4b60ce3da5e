"""Collects the assets and asset checks that were written by hand, file by file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from etl_assets.errors import DeclarationError
from etl_assets.graph.triggers.conditions import partitions_of
from etl_assets.source_files import set_aside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

    from etl_assets.graph.partitions import Partitions
    from etl_assets.source_files import BrokenFile, SourceFile


@dataclass(frozen=True)
class OwnAssets:
    """The assets and asset checks of a file that were written by hand.

    Attributes:
        assets: The assets.
        checks: The asset checks.
    """

    assets: list[dg.AssetsDefinition | dg.AssetSpec | dg.SourceAsset]
    checks: list[dg.AssetChecksDefinition]

    @property
    def partitions(self) -> Partitions:
        """The keys of the assets, each with its partitions."""
        return partitions_of(self.assets)

    def validate(self, known: Partitions, resources: Mapping[str, Any]) -> None:
        """Raise the error that Dagster raises for these definitions, if any.

        Args:
            known: Every asset of the location.
            resources: The resources of the location, by key.
        """
        items = [item for item in (*self.assets, *self.checks) if isinstance(item, dg.AssetsDefinition)]
        above = {key for item in items for key in item.dependency_keys} - self.partitions.keys()
        stubs = [dg.AssetSpec(key, partitions_def=known[key]) for key in sorted(above) if key in known]
        dg.Definitions(
            assets=[*self.assets, *stubs], asset_checks=self.checks, resources=resources
        ).get_repository_def()


def own_assets(
    modules: Mapping[SourceFile, ModuleType], taken: Mapping[dg.AssetKey, str], broken: list[BrokenFile]
) -> dict[SourceFile, OwnAssets]:
    """Return the assets and checks that were written by hand, by file; each once, whichever files import it.

    Args:
        modules: The modules of the files.
        taken: The keys of the assets of sources, each with its owner.
        broken: A file with an asset whose key is taken is added to it, and left out of the result.
    """
    owners = dict(taken)
    collected: dict[SourceFile, OwnAssets] = {}
    known: set[int] = set()
    for file, module in modules.items():
        items = [item for item in definitions_of(module) if id(item) not in known]
        known.update(map(id, items))
        checks = [item for item in items if isinstance(item, dg.AssetChecksDefinition)]
        own = OwnAssets([item for item in items if not isinstance(item, dg.AssetChecksDefinition)], checks)
        with set_aside(file, broken):
            _require_free(own, owners)
            owners.update(dict.fromkeys(own.partitions, f"file {file.path}"))
            if items:
                collected[file] = own
    return collected


def definitions_of(module: ModuleType) -> Iterator[Any]:
    """Yield the definitions of assets and checks among the values of a module, and in its lists of them."""
    kinds = (dg.AssetsDefinition, dg.AssetSpec, dg.SourceAsset)
    for value in list(vars(module).values()):
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, kinds):
                yield item


def upstream_of(module: ModuleType) -> set[dg.AssetKey]:
    """Return the assets that the assets of a module come after, and those that its checks are about or come after."""
    above: set[dg.AssetKey] = set()
    for item in definitions_of(module):
        if isinstance(item, dg.AssetsDefinition):
            above |= {*item.dependency_keys, *(check.asset_key for check in item.check_keys)}
        elif isinstance(item, dg.AssetSpec):
            above |= {dep.asset_key for dep in item.deps}
    return above


def _require_free(own: OwnAssets, owners: Mapping[dg.AssetKey, str]) -> None:
    for key in own.partitions:
        if key in owners:
            asset = f"asset {key.to_user_string()}"
            raise DeclarationError(asset, "key", f"is also in {owners[key]}", "Give each asset its own key")
