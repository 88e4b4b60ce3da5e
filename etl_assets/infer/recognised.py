"""What was recognised of a file: its format, with the settings to declare, and what a person must decide."""

from __future__ import annotations

import io
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

import polars as pl

from etl_assets.errors import DeliveryError
from etl_assets.model.text import names_text, quoted

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from etl_assets.extract.base import Format
    from etl_assets.infer.file import File
    from etl_assets.model.batch import RawBatch

_MOST_SHOWN: Final = 20


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


def as_sentence(doubt: str) -> str:
    """Return what a person must decide with a capital letter and a full stop."""
    return f"{doubt[:1].upper()}{doubt[1:]}{'' if doubt.endswith('?') else '.'}"


def sample_of(format_: Format, sample: bytes) -> Sequence[RawBatch]:
    """Read the first bytes of a file.

    Raises:
        DeliveryError: If they are not of that format.
    """
    return list(format_.read(io.BytesIO(sample), ""))


def first_batch(file: File, format_: Format) -> RawBatch | None:
    """Return the first batch of a file with records; None if it has none.

    Raises:
        DeliveryError: If the file is not of that format.
    """
    file.stream.seek(0)
    with closing(cast("Generator[RawBatch]", format_.read(file.stream, ""))) as batches:
        batch = next((batch for batch in batches if batch.span.records), None)
        if batch is not None:
            batch.frame.height  # noqa: B018 -- it is parsed now, while its file is open
        return batch


def frames(batches: Sequence[RawBatch]) -> pl.DataFrame:
    """Return the well-formed records of some batches, without their numbers."""
    return pl.concat([batch.frame for batch in batches], how="diagonal").drop("_record_no")


def chosen_part(file: File, sizes: Mapping[str, int], part: str | None) -> str:
    """Return the part of a file that was asked for, or else the largest one, the first of several that are as large.

    Args:
        file: The file.
        sizes: Its parts, each with its size.
        part: Name of the part, whose case does not matter.

    Raises:
        DeliveryError: If there is none.
    """
    found = [name for name in sizes if part is None or name.lower() == part.lower()]
    if not found:
        listed = names_text(list(sizes)) if sizes else "nothing"
        wanted = "no records" if part is None else f"no {quoted(part)}"
        raise DeliveryError(f"{file.shown} has {wanted}. It has {listed}. Nothing was inferred. Correct --part.")
    return part if part in found else max(found, key=lambda name: sizes[name])


def other_parts(sizes: Mapping[str, int], chosen: str, text: str) -> tuple[str, ...]:
    """Return a text for each part of a file that was not chosen.

    Args:
        sizes: The parts, each with its size.
        chosen: Name of the part that was chosen.
        text: With places for name and size.
    """
    others = [text.format(quoted(name), f"{size:,}") for name, size in sizes.items() if name != chosen]
    more = len(others) - _MOST_SHOWN
    return (*others[:_MOST_SHOWN], *([f"{more:,} others"] if more > 0 else []))
