"""JSON documents: the format, the reader, and what it has in common with newline-delimited JSON."""

from etl_assets.extract.formats.json.format import Json

__all__ = ["Json"]
