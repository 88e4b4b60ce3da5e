"""Recognises Parquet files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from etl_assets.extract.formats.parquet import Parquet
from etl_assets.infer.recognised import Recognised, first_batch

if TYPE_CHECKING:
    from etl_assets.infer.file import File


def is_parquet(head: bytes) -> bool:
    """Return whether a file is a Parquet file, by its first bytes."""
    return Parquet().mismatch(head) is None


def recognise_parquet(file: File) -> Recognised:
    """Return the format; bytes that are no texts are written as digits."""
    if (batch := first_batch(file, Parquet())) is not None and not batch.malformed.is_empty():
        doubt = 'it has bytes that are no texts: binary="hex" writes all bytes as digits'
        return Recognised(replace(Parquet(), binary="hex"), (doubt,))
    return Recognised(Parquet())
