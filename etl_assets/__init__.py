"""Declare a feed once; get a validated, deduplicated, traceable Postgres table inside Dagster.

This is the authoring vocabulary: all that a source's file needs. It imports neither Dagster nor Great Expectations.
"""

from etl_assets.extract.base import Extractor, Fetched, Format
from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.csv import Csv
from etl_assets.model.partitions import Daily, Files, Monthly, Partition, Static, Weekly
from etl_assets.model.schema import Column, References, Schema
from etl_assets.model.trigger import Cron
from etl_assets.source import Source
from etl_assets.transform.transformer import Transformer

__all__ = [
    "Column",
    "Cron",
    "Csv",
    "Daily",
    "Extractor",
    "Fetched",
    "FileExtractor",
    "Files",
    "Format",
    "Monthly",
    "Partition",
    "References",
    "Schema",
    "Source",
    "Static",
    "Transformer",
    "Weekly",
]
