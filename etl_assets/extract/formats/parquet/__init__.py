"""Parquet: the format, the reader of row groups, and values as text."""

from etl_assets.extract.formats.parquet.format import Parquet

__all__ = ["Parquet"]
