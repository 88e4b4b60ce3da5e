"""What Dagster loads: every source that is found, and every asset written by hand beside them.

Loading reads neither the database nor any secret. A declaration that is wrong fails here, with what to write instead.
"""

from __future__ import annotations

from etl_assets import catalog
from etl_assets.graph.build import definitions
from etl_assets.settings import Settings

_MODULES = tuple(catalog.modules([*catalog.BUNDLED, *Settings.from_environment().sources]))

defs = definitions(catalog.sources(_MODULES), _MODULES)
