"""The definitions that Dagster loads: every declared source, and every asset that is written by hand beside them.

Loading reads neither the database nor any secret. A file that does not load becomes an asset that shows the error.
"""

from __future__ import annotations

import gc

from etl_assets import catalog
from etl_assets.graph import last_good
from etl_assets.graph.build import location
from etl_assets.settings import Settings

gc.disable()  # what is loaded here stays, so that the collector would look at it again and again for nothing
_SETTINGS = Settings.from_environment()
_CATALOG = catalog.load(_SETTINGS.sources)
_REMEMBERED = last_good.read(_SETTINGS.home) if _CATALOG.broken else {}
LOCATION = location(_CATALOG.sources, _CATALOG.modules, _CATALOG.broken.values(), _REMEMBERED)

"""What the files define, and which of them are broken."""

defs = LOCATION.definitions
gc.freeze()
gc.enable()
