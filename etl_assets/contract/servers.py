"""Reads a server of a contract as an extractor, if it has files that can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from etl_assets.errors import DeclarationError
from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.csv import Csv
from etl_assets.extract.formats.ndjson import Ndjson
from etl_assets.extract.formats.parquet import Parquet

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets.extract.base import Format

_PLACES: Final = frozenset({"local", "s3", "gcs", "azure", "sftp"})
_FORMATS: Final[dict[str, Callable[[], Format]]] = {"csv": Csv, "parquet": Parquet, "jsonl": Ndjson, "ndjson": Ndjson}


def read_server(document: dict[str, Any]) -> FileExtractor | None:
    """Return the extractor of the first server that has files; what is understood is taken out of the document."""
    for server in document.get("servers") or []:
        name = "location" if server.get("location") else "path"
        location, format_ = server.get(name), _FORMATS.get(str(server.get("format")).lower())
        if server.get("type") not in _PLACES or not location or format_ is None:
            continue
        try:
            extractor = FileExtractor(location=str(location), format=format_())
            extractor.check("the contract")
        except DeclarationError:
            continue
        for taken in ("type", "format", name):
            del server[taken]
        return extractor
    return None
