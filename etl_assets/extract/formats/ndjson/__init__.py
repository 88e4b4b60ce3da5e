"""Newline-delimited JSON: the format, the reader, and the batches."""

from etl_assets.extract.formats.ndjson.format import Ndjson

__all__ = ["Ndjson"]
