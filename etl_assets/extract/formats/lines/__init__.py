"""Formats with one record a line: the base class, and how a file is cut into lines and batches."""

from etl_assets.extract.formats.lines.format import LineFormat
from etl_assets.extract.formats.lines.lines import LineKind, Lines
from etl_assets.extract.formats.lines.parsed import ParsedLines

__all__ = ["LineFormat", "LineKind", "Lines", "ParsedLines"]
