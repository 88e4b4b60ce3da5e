"""What happens to records of one delivery that have the same key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from etl_assets.model.declaration import Declaration


@dataclass(frozen=True)
class Greatest(Declaration):
    """Of the records of a delivery with the same key, the one with the greatest value of a column stays.

    Of equal values the last record stays. In contrast to ``order_by``, it says nothing about other deliveries.

    Attributes:
        column: A required column of the table, other than json and boolean.
    """

    column: str


RepeatedKeys: TypeAlias = Literal["report", "reject", "last", "first", "reject_all"] | Greatest
FOUND_BY_LOADER: Final = ("report", "reject", "last")
"""Those that the loader decides batch by batch; for the others the whole delivery is read before."""
