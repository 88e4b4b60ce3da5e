"""Which row of a key stands: the conditions under which a new row is written over the row of the table.

In the conditions, ``t`` is the row of the table. The order is that of `ledger.order`, then by record; a column
``order_by`` comes before both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import sql

from etl_assets.schema import DELIVERY_ID, RECORD_NO, ROW_HASH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.schema import Schema


def same_key(schema: Schema, one: str, other: str) -> sql.Composable:
    """The condition that the rows of two tables with these aliases have the same key."""
    return sql.SQL(" AND ").join(
        sql.SQL("{} = {}").format(sql.Identifier(one, name), sql.Identifier(other, name)) for name in schema.key
    )


def differs(other: str) -> sql.Composable:
    """The condition that a row of the table is missing or has another hash than the other row."""
    return sql.SQL("t.{0} IS DISTINCT FROM {1}.{0}").format(sql.Identifier(ROW_HASH), sql.SQL(other))


@dataclass
class Guard:
    """Keeps rows of one delivery from replacing newer ones.

    Attributes:
        schema: Of the table.
        delivery_id: Id of the delivery that is written.
        outranked_by: Ids of the deliveries whose rows this one must not overwrite; to be set in each transaction.
        pending_reload: If the delivery is reloaded: the last record of the batch. Rows of the delivery from later
            records may be overwritten: later batches write them again if the records still yield them. None otherwise.
        earlier_than: Rows of the delivery from records before this one are of earlier batches; None for the first.
        first_stays: Whether the oldest record of a key stays, and not the newest one.
    """

    schema: Schema
    delivery_id: int
    outranked_by: Sequence[int] = ()
    pending_reload: int | None = None
    earlier_than: int | None = None
    first_stays: bool = False

    def values(self) -> dict[str, object]:
        """The parameters of the conditions."""
        return {
            "outranked_by": list(self.outranked_by),
            "delivery_id": self.delivery_id,
            "last": self.pending_reload,
            "earlier_than": self.earlier_than,
        }

    def changes(self, new: str) -> sql.Composable:
        """The condition under which a new row is written over the row of the table that has its key."""
        if self.first_stays:  # equal rows of two records as well, so that the row has the mark of the first record
            same_record = sql.SQL("(t.{delivery} = %(delivery_id)s AND t.{record} = {new}.{record})").format(
                delivery=sql.Identifier(DELIVERY_ID), record=sql.Identifier(RECORD_NO), new=sql.SQL(new)
            )
            return sql.SQL("{} AND ({} OR NOT {})").format(self.is_later(new), differs(new), same_record)
        return sql.SQL("{} AND {}").format(differs(new), self.is_older(new))

    def is_older(self, new: str) -> sql.Composable:
        """The condition under which a row of the table is older than a new one."""
        sequence = sql.SQL(
            "t.{delivery} <> ALL (%(outranked_by)s::bigint[]) "
            "AND (t.{delivery} <> %(delivery_id)s OR t.{record} <= {new}.{record})"
        ).format(delivery=sql.Identifier(DELIVERY_ID), record=sql.Identifier(RECORD_NO), new=sql.SQL(new))
        if self.schema.order_by is not None:
            sequence = sql.SQL("(t.{order} < {new}.{order} OR (t.{order} = {new}.{order} AND {sequence}))").format(
                order=sql.Identifier(self.schema.order_by), new=sql.SQL(new), sequence=sequence
            )
        if self.pending_reload is None:
            return sequence
        return sql.SQL("({sequence} OR (t.{delivery} = %(delivery_id)s AND t.{record} > %(last)s))").format(
            sequence=sequence, delivery=sql.Identifier(DELIVERY_ID), record=sql.Identifier(RECORD_NO)
        )

    def is_later(self, new: str) -> sql.Composable:
        """The condition under which a row of the table is of a later record than a new one, or of the same one."""
        return sql.SQL(
            "(t.{delivery} = ANY (%(outranked_by)s::bigint[]) "
            "OR (t.{delivery} = %(delivery_id)s AND t.{record} >= {new}.{record}))"
        ).format(delivery=sql.Identifier(DELIVERY_ID), record=sql.Identifier(RECORD_NO), new=sql.SQL(new))

    @property
    def looks_for_repeated(self) -> bool:
        """Whether the writer reports records that repeat the key of an earlier batch."""
        return self.earlier_than is not None and self.schema.repeated_keys == "report"

    def is_repeated(self, old: str, new: str) -> sql.Composable:
        """The condition that a new row repeats the key of one that stays.

        That is a row of an earlier batch of the delivery, and not of an older order; if the first row stays, any row of
        an earlier record.
        """
        if self.first_stays:
            return sql.SQL("NOT {}").format(self.is_later(new))
        condition = sql.SQL(
            "{old}.{delivery} = %(delivery_id)s AND {old}.{record} < least(%(earlier_than)s, {new}.{record})"
        ).format(
            old=sql.SQL(old),
            new=sql.SQL(new),
            delivery=sql.Identifier(DELIVERY_ID),
            record=sql.Identifier(RECORD_NO),
        )
        if self.schema.order_by is None:
            return condition
        same_order = sql.SQL("{0}.{2} = {1}.{2}")
        order = sql.Identifier(self.schema.order_by)
        return sql.SQL(" AND ").join([condition, same_order.format(sql.SQL(old), sql.SQL(new), order)])
