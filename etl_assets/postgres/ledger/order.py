"""Which of two deliveries of a source is newer: the one of the higher rank, and of equal rank the one of the higher id.

Stated here once, for every query that asks; the rest of the order, by ``order_by`` and by record, is the guard of
`TableWriter`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import LiteralString

    from etl_assets.model.delivery import Delivery

ID: Final = "d.id"
"""How most queries call the id of a delivery; its rank is the column ``rank``."""


def newer(id_: LiteralString = ID) -> LiteralString:
    """The condition that a delivery is newer than the one of `order_of`."""
    return "(rank, " + id_ + ") > (%(rank)s, %(id)s)"


def older(id_: LiteralString = ID) -> LiteralString:
    """The condition that a delivery is older than the one of `order_of`."""
    return "(rank, " + id_ + ") < (%(rank)s, %(id)s)"


def newest_first(id_: LiteralString = ID) -> LiteralString:
    """The order of deliveries, backwards."""
    return "rank DESC, " + id_ + " DESC"


def oldest_first(id_: LiteralString = ID) -> LiteralString:
    """The order of deliveries."""
    return "rank, " + id_


def order_of(delivery: Delivery) -> dict[str, str | int]:
    """The parameters of a delivery for the conditions above, and for queries about its source and partition."""
    return {
        "id": delivery.id,
        "rank": delivery.rank,
        "source": delivery.source,
        "partition": delivery.partition,
    }
