"""Remembers the assets of each file, so that a file that breaks loses neither their keys nor their partitions.

The memory is a file in the home. It may be lost: then a broken file has one asset without partitions.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
from dagster._core.definitions.partitions.snap.snap import PartitionsSnap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets.graph.partitions import Partitions

_FILE: Final = "assets_of_files.json"


def read(home: Path) -> dict[str, Partitions]:
    """Return the remembered assets of each file, with their partitions, by path of the file."""
    return {
        path: {dg.AssetKey(json.loads(key)): _partitions(text) for key, text in assets.items()}
        for path, assets in _read(home).items()
    }


def write(home: Path, assets: Mapping[str, Partitions]) -> None:
    """Remember the assets of files.

    Args:
        home: The folder of all local files.
        assets: By path of the file. Other files keep what is remembered of them, as long as they exist.
    """
    before = _read(home)
    kept = {path: known for path, known in before.items() if Path(path).exists()}
    after = kept | {
        path: {json.dumps(list(key.path)): _text(partitions) for key, partitions in known.items()}
        for path, known in assets.items()
    }
    if after == before:
        return
    with suppress(OSError):  # a home that cannot be written costs the memory and nothing else
        home.mkdir(parents=True, exist_ok=True)
        written = home / f"{_FILE}.{os.getpid()}"
        written.write_text(json.dumps(after), "utf-8")
        written.replace(home / _FILE)


def _read(home: Path) -> dict[str, dict[str, str | None]]:
    try:
        assets: dict[str, dict[str, str | None]] = json.loads((home / _FILE).read_text("utf-8"))
    except (FileNotFoundError, ValueError):  # never written, or cut short when the machine stopped
        return {}
    return assets


def _text(partitions: dg.PartitionsDefinition[str] | None) -> str | None:
    snapshot: Any = None if partitions is None else PartitionsSnap.from_def(partitions)
    return None if snapshot is None else dg.serialize_value(snapshot)


def _partitions(text: str | None) -> dg.PartitionsDefinition[str] | None:
    snapshot: Any = None if text is None else dg.deserialize_value(text)
    return None if snapshot is None else snapshot.get_partitions_definition()
