"""The definitions that Dagster loads: every declared source, and every asset that is written by hand beside them.

A process that knows what it executes, such as the fork of a run, loads only the files that this needs.

Loading reads neither the database nor any secret. A file that does not load becomes an asset that shows the error.
"""

from __future__ import annotations

import gc

from etl_assets.graph import needed
from etl_assets.graph.wanted import WANTED
from etl_assets.settings import Settings

gc.disable()  # what is loaded here stays, so that the collector would look at it again and again for nothing
_SETTINGS = Settings.from_environment()
_WANTED = WANTED.get()
_PART = None if _WANTED is None else needed.of_wanted(_SETTINGS, _WANTED)
LOCATION = needed.of_everything(_SETTINGS) if _PART is None else _PART
"""What the files define, and which of them are broken."""

defs = LOCATION.definitions
gc.freeze()
gc.enable()
