"""The definitions that Dagster loads: every declared source, and every asset that is written by hand beside them.

Loading reads neither the database nor any secret. A wrong declaration fails here, and the error says what to write.
"""

from __future__ import annotations

from etl_assets import catalog
from etl_assets.graph.build import definitions
from etl_assets.settings import Settings

_MODULES = tuple(catalog.modules([*catalog.BUNDLED, *Settings.from_environment().sources]))

defs = definitions(catalog.sources(_MODULES), _MODULES)
