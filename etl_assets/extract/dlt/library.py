"""Loads dlt so that it sends nothing about its use to anybody."""

from __future__ import annotations

import os
from typing import Final

from etl_assets.extract.access.base import required

_TELEMETRY: Final = "RUNTIME__DLTHUB_TELEMETRY"


def load() -> None:
    """Import dlt; its telemetry is off unless the environment says otherwise.

    Raises:
        EnvironmentFaultError: If it is not installed.
    """
    os.environ.setdefault(_TELEMETRY, "false")  # dlt reads it where a pipeline begins, also one of the user's own
    required("dlt", "dlt")
