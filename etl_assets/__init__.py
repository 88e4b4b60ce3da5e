"""Declare a feed once; get a validated, deduplicated, traceable Postgres table inside Dagster.

This module has every name that the file of a source needs. It imports neither Dagster nor Great Expectations. Each name
is imported on its first use, so that the command line starts quickly.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etl_assets.extract.base import Extractor, Fetched, Format
    from etl_assets.extract.file import FileExtractor
    from etl_assets.extract.formats.csv import Csv
    from etl_assets.extract.formats.excel.format import Excel
    from etl_assets.extract.formats.ndjson import Ndjson
    from etl_assets.load.base import Loader
    from etl_assets.load.loader import PostgresLoader
    from etl_assets.model.alert import (
        CheckFailed,
        DriftOpened,
        FilesSetAside,
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
    from etl_assets.model.batch import RawBatch, Verdict
    from etl_assets.model.delivery import Delivery
    from etl_assets.model.expectation import Expectation
    from etl_assets.model.monitors import Distribution, Monitors, Volume
    from etl_assets.model.partitions import Daily, Files, Monthly, Partition, Static, Weekly
    from etl_assets.model.rule import RuleInfo
    from etl_assets.model.secret import Secret
    from etl_assets.model.trigger import After, Cron, OnChange
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.entries import Entry
    from etl_assets.schema import Column, ForeignKey, References, Rule, Schema, UniqueTogether
    from etl_assets.source import Source
    from etl_assets.transform.transformer import Transformer
    from etl_assets.validate.base import Validator
    from etl_assets.validate.rule_validator import RuleValidator

__all__ = [
    "After",
    "CheckFailed",
    "Column",
    "Connection",
    "Cron",
    "Csv",
    "Daily",
    "Delivery",
    "Distribution",
    "DriftOpened",
    "Entry",
    "Excel",
    "Expectation",
    "Extractor",
    "Fetched",
    "FileExtractor",
    "Files",
    "FilesSetAside",
    "ForeignKey",
    "Format",
    "Loader",
    "Monitors",
    "Monthly",
    "Ndjson",
    "NoDelivery",
    "OnChange",
    "Partition",
    "PostgresLoader",
    "QuarantineAgeing",
    "QuarantineGrowing",
    "Quiet",
    "RawBatch",
    "References",
    "RejectedCount",
    "RejectedShare",
    "Rule",
    "RuleInfo",
    "RuleValidator",
    "RunFailed",
    "Schema",
    "Secret",
    "SlowRun",
    "Source",
    "Static",
    "Transformer",
    "UniqueTogether",
    "Validator",
    "Verdict",
    "Volume",
    "VolumeDrop",
    "Weekly",
]

_NAMES_BY_MODULE = {
    "extract.base": ("Extractor", "Fetched", "Format"),
    "extract.file": ("FileExtractor",),
    "extract.formats.csv": ("Csv",),
    "extract.formats.excel.format": ("Excel",),
    "extract.formats.ndjson": ("Ndjson",),
    "load.base": ("Loader",),
    "load.loader": ("PostgresLoader",),
    "model.alert": (
        "CheckFailed",
        "DriftOpened",
        "FilesSetAside",
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
    "model.batch": ("RawBatch", "Verdict"),
    "model.delivery": ("Delivery",),
    "model.expectation": ("Expectation",),
    "model.monitors": ("Distribution", "Monitors", "Volume"),
    "model.partitions": ("Daily", "Files", "Monthly", "Partition", "Static", "Weekly"),
    "model.rule": ("RuleInfo",),
    "model.secret": ("Secret",),
    "model.trigger": ("After", "Cron", "OnChange"),
    "postgres.connection": ("Connection",),
    "postgres.ledger.entries": ("Entry",),
    "schema": ("Column", "ForeignKey", "References", "Rule", "Schema", "UniqueTogether"),
    "source": ("Source",),
    "transform.transformer": ("Transformer",),
    "validate.base": ("Validator",),
    "validate.rule_validator": ("RuleValidator",),
}


def __getattr__(name: str) -> Any:
    for module, names in _NAMES_BY_MODULE.items():
        if name in names:
            return getattr(import_module(f"etl_assets.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
