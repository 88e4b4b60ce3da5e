"""Copies the table by this package: ``python -m benchmarks.copying.by_etl_assets SOURCE TARGET FOLDER``."""

from __future__ import annotations

import sys

from benchmarks.copying.things import source
from etl_assets.ingest import land, load
from etl_assets.landing import LandingStore, Warehouse


def main(of: str, to: str, folder: str) -> None:
    """Land the table and load it; the target is migrated."""
    declared = source(of)
    warehouse = Warehouse(to, LandingStore(folder))
    load(declared, land(declared, declared.partition(None), warehouse).delivery, warehouse, "benchmark")


if __name__ == "__main__":
    main(*sys.argv[1:])
