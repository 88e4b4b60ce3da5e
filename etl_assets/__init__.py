"""Declare a feed once; get a validated, deduplicated, traceable Postgres table inside Dagster.

This is the authoring vocabulary: all that a source's file needs. It imports neither Dagster nor Great Expectations, and
what it names is imported when it is asked for, so that the command line answers at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etl_assets.extract.base import Extractor, Fetched, Format
    from etl_assets.extract.file import FileExtractor
    from etl_assets.extract.formats.csv import Csv
    from etl_assets.model.alert import (
        CheckFailed,
        DriftOpened,
        NoDelivery,
        QuarantineAgeing,
        QuarantineGrowing,
        Quiet,
        RejectedCount,
        RejectedShare,
        RunFailed,
        SlowRun,
        VolumeDrop,
    )
    from etl_assets.model.expectation import Expectation
    from etl_assets.model.monitors import Distribution, Monitors, Volume
    from etl_assets.model.partitions import Daily, Files, Monthly, Partition, Static, Weekly
    from etl_assets.model.trigger import After, Cron, OnChange
    from etl_assets.schema import Column, References, Schema
    from etl_assets.source import Source
    from etl_assets.transform.transformer import Transformer

__all__ = [
    "After",
    "CheckFailed",
    "Column",
    "Cron",
    "Csv",
    "Daily",
    "Distribution",
    "DriftOpened",
    "Expectation",
    "Extractor",
    "Fetched",
    "FileExtractor",
    "Files",
    "Format",
    "Monitors",
    "Monthly",
    "NoDelivery",
    "OnChange",
    "Partition",
    "QuarantineAgeing",
    "QuarantineGrowing",
    "Quiet",
    "References",
    "RejectedCount",
    "RejectedShare",
    "RunFailed",
    "Schema",
    "SlowRun",
    "Source",
    "Static",
    "Transformer",
    "Volume",
    "VolumeDrop",
    "Weekly",
]

_HOMES = {
    "extract.base": ("Extractor", "Fetched", "Format"),
    "extract.file": ("FileExtractor",),
    "extract.formats.csv": ("Csv",),
    "model.alert": (
        "CheckFailed",
        "DriftOpened",
        "NoDelivery",
        "QuarantineAgeing",
        "QuarantineGrowing",
        "Quiet",
        "RejectedCount",
        "RejectedShare",
        "RunFailed",
        "SlowRun",
        "VolumeDrop",
    ),
    "model.expectation": ("Expectation",),
    "model.monitors": ("Distribution", "Monitors", "Volume"),
    "model.partitions": ("Daily", "Files", "Monthly", "Partition", "Static", "Weekly"),
    "schema": ("Column", "ForeignKey", "References", "Rule", "Schema", "UniqueTogether"),
    "model.trigger": ("After", "Cron", "OnChange"),
    "source": ("Source",),
    "transform.transformer": ("Transformer",),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"etl_assets.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
