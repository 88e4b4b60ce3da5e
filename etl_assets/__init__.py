"""Declare a feed once; get a validated, deduplicated, traceable Postgres table inside Dagster.

This module has every name that the file of a source needs. It imports neither Dagster nor Great Expectations. Each name
is imported on its first use, so that the command line starts quickly.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etl_assets.extract.access.azure import Azure
    from etl_assets.extract.access.database import Database
    from etl_assets.extract.access.ftp import Ftp
    from etl_assets.extract.access.gcs import Gcs
    from etl_assets.extract.access.http import Http
    from etl_assets.extract.access.oauth2 import OAuth2
    from etl_assets.extract.access.s3 import S3
    from etl_assets.extract.access.sftp import Sftp
    from etl_assets.extract.base import Extractor, Fetched, Format
    from etl_assets.extract.database import DatabaseExtractor
    from etl_assets.extract.dlt.extractor import DltExtractor
    from etl_assets.extract.file import FileExtractor
    from etl_assets.extract.formats.csv import Csv
    from etl_assets.extract.formats.excel.format import Excel
    from etl_assets.extract.formats.fixed_width import (
        Field,
        Filler,
        FixedWidth,
        HeaderRecord,
        RecordCode,
        TrailerRecord,
    )
    from etl_assets.extract.formats.json import Json
    from etl_assets.extract.formats.lines import LineFormat
    from etl_assets.extract.formats.ndjson import Ndjson
    from etl_assets.extract.formats.one_of import Layout, OneOf
    from etl_assets.extract.formats.parquet import Parquet
    from etl_assets.extract.formats.sql_dump import SqlDump
    from etl_assets.extract.formats.sqlite import Sqlite
    from etl_assets.extract.formats.xml import Xml
    from etl_assets.extract.inbox import Events, Inbox, Signature
    from etl_assets.extract.incremental import Incremental
    from etl_assets.extract.key_comparison import KeyComparison
    from etl_assets.extract.rest.answer import Answer
    from etl_assets.extract.rest.extractor import RestExtractor
    from etl_assets.extract.rest.pagination import (
        Cursor,
        LinkHeader,
        NextUrl,
        Offset,
        PageNumber,
        Pagination,
        SinglePage,
    )
    from etl_assets.extract.rest.parent import Parent
    from etl_assets.extract.rest.request import Request
    from etl_assets.load.base import Loader
    from etl_assets.load.loader import PostgresLoader
    from etl_assets.load.writers.append import Append
    from etl_assets.load.writers.history import History
    from etl_assets.load.writers.replace import Replace
    from etl_assets.load.writers.snapshot import Snapshot
    from etl_assets.load.writers.upsert import Upsert
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
    from etl_assets.model.limits import Limits
    from etl_assets.model.monitors import Distribution, Monitors, Volume
    from etl_assets.model.partitions import Daily, Files, Monthly, Partition, Static, Weekly
    from etl_assets.model.rule import RuleInfo
    from etl_assets.model.secret import Secret
    from etl_assets.model.trigger import After, Cron, OnChange
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.entries import Entry
    from etl_assets.schema import (
        Column,
        ForeignKey,
        Greatest,
        PartitionBy,
        References,
        Rule,
        Schema,
        UniqueTogether,
    )
    from etl_assets.source import Source
    from etl_assets.transform.transformer import Transformer
    from etl_assets.validate.base import Validator
    from etl_assets.validate.rule_validator import RuleValidator

__all__ = [
    "S3",
    "After",
    "Answer",
    "Append",
    "Azure",
    "CheckFailed",
    "Column",
    "Connection",
    "Cron",
    "Csv",
    "Cursor",
    "Daily",
    "Database",
    "DatabaseExtractor",
    "Delivery",
    "Distribution",
    "DltExtractor",
    "DriftOpened",
    "Entry",
    "Events",
    "Excel",
    "Expectation",
    "Extractor",
    "Fetched",
    "Field",
    "FileExtractor",
    "Files",
    "FilesSetAside",
    "Filler",
    "FixedWidth",
    "ForeignKey",
    "Format",
    "Ftp",
    "Gcs",
    "Greatest",
    "HeaderRecord",
    "History",
    "Http",
    "Inbox",
    "Incremental",
    "Json",
    "KeyComparison",
    "Layout",
    "Limits",
    "LineFormat",
    "LinkHeader",
    "Loader",
    "Monitors",
    "Monthly",
    "Ndjson",
    "NextUrl",
    "NoDelivery",
    "OAuth2",
    "Offset",
    "OnChange",
    "OneOf",
    "PageNumber",
    "Pagination",
    "Parent",
    "Parquet",
    "Partition",
    "PartitionBy",
    "PostgresLoader",
    "QuarantineAgeing",
    "QuarantineGrowing",
    "Quiet",
    "RawBatch",
    "RecordCode",
    "References",
    "RejectedCount",
    "RejectedShare",
    "Replace",
    "Request",
    "RestExtractor",
    "Rule",
    "RuleInfo",
    "RuleValidator",
    "RunFailed",
    "Schema",
    "Secret",
    "Sftp",
    "Signature",
    "SinglePage",
    "SlowRun",
    "Snapshot",
    "Source",
    "SqlDump",
    "Sqlite",
    "Static",
    "TrailerRecord",
    "Transformer",
    "UniqueTogether",
    "Upsert",
    "Validator",
    "Verdict",
    "Volume",
    "VolumeDrop",
    "Weekly",
    "Xml",
]

_NAMES_BY_MODULE = {
    "extract.access.azure": ("Azure",),
    "extract.access.database": ("Database",),
    "extract.access.ftp": ("Ftp",),
    "extract.access.gcs": ("Gcs",),
    "extract.access.http": ("Http",),
    "extract.access.oauth2": ("OAuth2",),
    "extract.access.s3": ("S3",),
    "extract.access.sftp": ("Sftp",),
    "extract.base": ("Extractor", "Fetched", "Format"),
    "extract.database": ("DatabaseExtractor",),
    "extract.dlt.extractor": ("DltExtractor",),
    "extract.file": ("FileExtractor",),
    "extract.formats.csv": ("Csv",),
    "extract.formats.excel.format": ("Excel",),
    "extract.formats.fixed_width": ("Field", "Filler", "FixedWidth", "HeaderRecord", "RecordCode", "TrailerRecord"),
    "extract.formats.json": ("Json",),
    "extract.formats.lines": ("LineFormat",),
    "extract.formats.ndjson": ("Ndjson",),
    "extract.formats.one_of": ("Layout", "OneOf"),
    "extract.formats.parquet": ("Parquet",),
    "extract.formats.sql_dump": ("SqlDump",),
    "extract.formats.sqlite": ("Sqlite",),
    "extract.formats.xml": ("Xml",),
    "extract.inbox": ("Events", "Inbox", "Signature"),
    "extract.incremental": ("Incremental",),
    "extract.key_comparison": ("KeyComparison",),
    "extract.rest.extractor": ("RestExtractor",),
    "extract.rest.pagination": ("Cursor", "LinkHeader", "NextUrl", "Offset", "PageNumber", "Pagination", "SinglePage"),
    "extract.rest.parent": ("Parent",),
    "extract.rest.answer": ("Answer",),
    "extract.rest.request": ("Request",),
    "load.base": ("Loader",),
    "load.loader": ("PostgresLoader",),
    "load.writers.append": ("Append",),
    "load.writers.history": ("History",),
    "load.writers.replace": ("Replace",),
    "load.writers.snapshot": ("Snapshot",),
    "load.writers.upsert": ("Upsert",),
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
    "model.limits": ("Limits",),
    "model.monitors": ("Distribution", "Monitors", "Volume"),
    "model.partitions": ("Daily", "Files", "Monthly", "Partition", "Static", "Weekly"),
    "model.rule": ("RuleInfo",),
    "model.secret": ("Secret",),
    "model.trigger": ("After", "Cron", "OnChange"),
    "postgres.connection": ("Connection",),
    "postgres.ledger.entries": ("Entry",),
    "schema": ("Column", "ForeignKey", "Greatest", "PartitionBy", "References", "Rule", "Schema", "UniqueTogether"),
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
