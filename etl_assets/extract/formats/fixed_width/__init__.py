"""Columns by position: what is declared of a record, and the format."""

from etl_assets.extract.formats.fixed_width.fields import Field, Filler, HeaderRecord, RecordCode, TrailerRecord
from etl_assets.extract.formats.fixed_width.format import FixedWidth

__all__ = ["Field", "Filler", "FixedWidth", "HeaderRecord", "RecordCode", "TrailerRecord"]
