"""What was recognised of a file: its format, with the settings to declare, and what a person must decide."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.extract.base import Format
    from etl_assets.model.batch import RawBatch


@dataclass(frozen=True)
class Recognised:
    """A recognised format.

    Attributes:
        format: The format as it would be declared.
        doubts: What a person must decide, each as a text.
        others: What else the file has, such as other tables or sheets, each as a text.
    """

    format: Format
    doubts: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def sample_of(format_: Format, sample: bytes) -> Sequence[RawBatch]:
    """Read the first bytes of a file.

    Raises:
        DeliveryError: If they are not of that format.
    """
    return list(format_.read(io.BytesIO(sample), ""))


def frames(batches: Sequence[RawBatch]) -> pl.DataFrame:
    """Return the well-formed records of some batches, without their numbers."""
    return pl.concat([batch.frame for batch in batches], how="diagonal").drop("_record_no")
