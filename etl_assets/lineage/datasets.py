"""Names of datasets as OpenLineage has them: a namespace, which is a place, and a name in it. No credentials."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

_POSTGRES_PORT = 5432


class Dataset(NamedTuple):
    """A dataset's namespace and name."""

    namespace: str
    name: str


def published(place: str) -> Dataset:
    """Return the dataset at a publisher's place.

    Args:
        place: A URL, or the path of a file. Login, query and fragment are left out.
    """
    parts = urlsplit(place)
    if not parts.scheme or not parts.netloc:
        return Dataset("file", parts.path if parts.scheme == "file" else place)
    return Dataset(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", parts.path.strip("/") or "/")


def table(url: str, name: str) -> Dataset:
    """Return the dataset of a table.

    Args:
        url: Of the warehouse.
        name: ``schema.table``.
    """
    parts = urlsplit(url)
    place = f"postgres://{parts.hostname or 'localhost'}:{parts.port or _POSTGRES_PORT}"
    return Dataset(place, f"{parts.path.removeprefix('/')}.{name}")
