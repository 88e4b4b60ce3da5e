"""The definitions that Dagster loads: every declared source, and every asset that is written by hand beside them.

Loading reads neither the database nor any secret. A file that does not load becomes an asset that shows the error.
"""

from __future__ import annotations

from etl_assets import catalog
from etl_assets.graph.build import location
from etl_assets.settings import Settings

_CATALOG = catalog.load(Settings.from_environment().sources)
LOCATION = location(_CATALOG.sources, _CATALOG.modules, _CATALOG.broken.values())

"""What the files define, and which of them are broken."""

defs = LOCATION.definitions
