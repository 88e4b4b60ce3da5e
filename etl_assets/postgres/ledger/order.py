"""Which of two deliveries of a source is newer: the one of the higher rank, and of equal rank the one of the higher id.

Stated here once, for every query that asks; the rest of the order, by ``order_by`` and by record, is the guard of
`TableWriter`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from etl_assets.model.delivery import Delivery

NEWER: Final = "(d.rank, d.id) > (%(rank)s, %(id)s)"
"""The condition that a delivery ``d`` is newer than the one of `order_of`."""
OLDER: Final = "(d.rank, d.id) < (%(rank)s, %(id)s)"
"""The condition that it is older."""
NEWEST_FIRST: Final = "d.rank DESC, d.id DESC"
OLDEST_FIRST: Final = "d.rank, d.id"


def order_of(delivery: Delivery) -> dict[str, str | int]:
    """The parameters of a delivery for the conditions above, and for queries about its source and partition."""
    return {
        "id": delivery.id,
        "rank": delivery.rank,
        "source": delivery.source,
        "partition": delivery.partition,
    }
