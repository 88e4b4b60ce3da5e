"""Limits of published names, the same for every format.

The database keeps every name: in the observation of its delivery and, when it changes, in the key of a drift event. So
their number and their length are limited, and names that it cannot keep are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from etl_assets.errors import DeliveryError
from etl_assets.model.text import names_text
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Collection

MOST_NAMES: Final = 10_000
"""The largest number of names that a delivery may publish, mapped or not."""
LONGEST_NAME: Final = 1_000
"""The largest length of a published name, in bytes of UTF-8."""


def check_names(names: Collection[str], where: str, remedy: str, *, most: int = MOST_NAMES) -> None:
    """Refuse published names that cannot be kept.

    Args:
        names: The names of a file.
        where: How the error names the file.
        remedy: What to do about a single name, as a sentence without the final period.
        most: The largest number of names.

    Raises:
        DeliveryError: If there are too many names, or one of them is too long, contains NUL or is reserved.
    """
    if len(names) > most:
        raise DeliveryError(
            f"{where} publishes {len(names):,} different names; at most {most:,} can be read. Nothing was written. "
            "Check how the format is declared; if the names are data, ask the publisher to write them as values."
        )
    if RECORD_NO in names:
        raise _refused(where, f"publishes the name {RECORD_NO!r}, which is reserved for bookkeeping", remedy)
    if too_long := [name for name in names if len(name.encode()) > LONGEST_NAME]:
        raise _refused(where, f"publishes names longer than {LONGEST_NAME:,} bytes: {names_text(too_long)}", remedy)
    if with_nul := [name for name in names if "\0" in name]:
        raise _refused(where, f"publishes names with a NUL character: {names_text(with_nul)}", remedy)


def _refused(where: str, problem: str, remedy: str) -> DeliveryError:
    return DeliveryError(f"{where} {problem}. Nothing was written. {remedy}.")
