"""The order of a source's deliveries, in SQL: the delivery of the higher rank is newer; of equal rank, the higher id.

Every query takes the order from here. `Guard` adds the order by ``order_by`` and by record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import LiteralString

    from etl_assets.model.delivery import Delivery

ID: Final = "d.id"
"""The name of a delivery's id in most queries; its rank is the column ``rank``."""


def newer(id_: LiteralString = ID) -> LiteralString:
    """Return the condition that a delivery is newer than the one of `order_of`."""
    return "(rank, " + id_ + ") > (%(rank)s, %(id)s)"


def older(id_: LiteralString = ID) -> LiteralString:
    """Return the condition that a delivery is older than the one of `order_of`."""
    return "(rank, " + id_ + ") < (%(rank)s, %(id)s)"


def newest_first(id_: LiteralString = ID) -> LiteralString:
    """Return the sort expression for deliveries, newest first."""
    return "rank DESC, " + id_ + " DESC"


def oldest_first(id_: LiteralString = ID) -> LiteralString:
    """Return the sort expression for deliveries, oldest first."""
    return "rank, " + id_


def order_of(delivery: Delivery) -> dict[str, str | int]:
    """Return the parameters of a delivery for the conditions above, and for queries on its source and partition."""
    return {
        "id": delivery.id,
        "rank": delivery.rank,
        "source": delivery.source,
        "partition": delivery.partition,
    }
