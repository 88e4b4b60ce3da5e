"""Newline-delimited JSON: the declaration, the reader, and its records."""

from etl_assets.extract.formats.ndjson.format import Ndjson

__all__ = ["Ndjson"]
