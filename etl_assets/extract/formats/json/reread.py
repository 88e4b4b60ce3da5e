"""Parses single records again, from the bytes in the quarantine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.extract.formats.json.batch import JsonBatch
from etl_assets.extract.formats.reread import span_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.extract.formats.json.options import ObjectOptions


def reread(
    options: ObjectOptions, names: Sequence[str], records: Mapping[int, bytes], key_name: str | None = None
) -> JsonBatch:
    """Return a batch of single records; see `Format.reread`.

    Args:
        options: How objects become records.
        names: The published names of their delivery.
        records: Record number to the bytes that `JsonBatch.raw` returned.
        key_name: The name under which the key of a member is published.
    """
    batch = JsonBatch(span_of(records), list(records.values()), options, key_name=key_name, numbers=list(records))
    batch.names = tuple(dict.fromkeys((*names, *batch.names)))
    return batch
