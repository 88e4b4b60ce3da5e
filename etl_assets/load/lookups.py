"""Queries the database about a batch: which parents are missing, and which unique values are taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from psycopg import errors, sql

from etl_assets.errors import LoadError
from etl_assets.postgres.tables.ddl import exists
from etl_assets.postgres.tables.marks import has_marks
from etl_assets.postgres.tables.names import identifier
from etl_assets.schema import DELETED_AT, RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.load.base import Target
    from etl_assets.postgres.connection import Connection
    from etl_assets.schema.rules import Lookup, UniqueClaim

_CACHED_PARENTS = 200_000


class Lookups:
    """Looks up the parents that rows refer to and the unique values that they claim; caches the parents that it finds.

    Args:
        target: The table that the rows are written to, and its schema.
    """

    def __init__(self, target: Target) -> None:
        self._table = target.table
        self._own = target.replaced or target.table
        self._schema = target.schema
        self._types = target.schema.types()
        self._known_parents: dict[str, pl.DataFrame] = {}

    def missing_parents(self, connection: Connection, rows: pl.DataFrame) -> Iterator[tuple[Lookup, list[int]]]:
        """Find the records whose parent is missing.

        Args:
            connection: In the batch's transaction.
            rows: Typed rows.

        Yields:
            Each lookup of the schema, and the numbers of the records whose parent is missing.
        """
        for lookup in self._schema.lookups:
            missing = self._missing_values(connection, lookup, rows)
            orphans = rows.join(missing, on=lookup.columns, how="semi") if len(missing) else rows.clear()
            yield lookup, orphans[RECORD_NO].unique().sort().to_list()

    def taken_values(self, connection: Connection, rows: pl.DataFrame) -> Iterator[tuple[UniqueClaim, list[int]]]:
        """Find the records that claim a unique value that a row of another key already has.

        Args:
            connection: In the batch's transaction.
            rows: Typed rows, no key twice.

        Yields:
            Each claim of the schema, and the numbers of the records whose value is taken.
        """
        for claim in self._schema.claims:
            others = [name for name in self._schema.key if name not in claim.columns]
            claims = rows.select(RECORD_NO, *claim.columns, *others).drop_nulls(claim.columns).sort(RECORD_NO)
            twice = claims.filter(~pl.struct(claim.columns).is_first_distinct())
            taken = self._taken_in_table(connection, claim, claims, others)
            yield claim, sorted({*twice[RECORD_NO], *taken})

    def _missing_values(self, connection: Connection, lookup: Lookup, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the distinct values of the referring columns for which there is no parent."""
        values = rows.select(lookup.columns).drop_nulls().unique(maintain_order=True)
        known = self._known_parents.get(lookup.rule, values.clear())
        values = values.join(known, on=lookup.columns, how="anti")
        if lookup.table == self._own:
            own = rows.select(lookup.parent_columns).rename(
                dict(zip(lookup.parent_columns, lookup.columns, strict=True))
            )
            values = values.join(own, on=lookup.columns, how="anti")
        if values.is_empty():
            return values
        has_parent = self._have_parents(connection, lookup, values)
        if len(known) < _CACHED_PARENTS:
            self._known_parents[lookup.rule] = pl.concat([known, values.filter(has_parent)])
        return values.filter(~has_parent)

    def _have_parents(self, connection: Connection, lookup: Lookup, values: pl.DataFrame) -> pl.Series:
        """Return, for each row of values, whether the parent table has a row with them that is not marked as deleted.

        In its own table, a delivery may have a row that is marked until the delivery is complete.
        """
        table = self._table if lookup.table == self._own else lookup.table
        if not exists(connection, table):
            return pl.repeat(value=False, n=len(values), eager=True)
        same = sql.SQL(" AND ").join(
            sql.SQL("parent.{} = v.{}").format(sql.Identifier(theirs), sql.Identifier(ours))
            for ours, theirs in zip(lookup.columns, lookup.parent_columns, strict=True)
        )
        if lookup.table != self._own and has_marks(connection, lookup.table):
            same += sql.SQL(" AND parent.{} IS NULL").format(sql.Identifier(DELETED_AT))
        query = sql.SQL('SELECT v."#" FROM {} WHERE EXISTS (SELECT FROM {} parent WHERE {})').format(
            self._numbered_rows(lookup.columns), identifier(table), same
        )
        try:
            numbers = connection.execute(query, _lists(values)).fetchall()
        except (errors.UndefinedColumn, errors.UndefinedFunction, errors.DatatypeMismatch) as error:
            raise LoadError(
                f"{' and '.join(lookup.columns)} refer to {' and '.join(lookup.parent_columns)} of {lookup.table}, "
                f"which cannot be compared with them ({error.sqlstate}). Nothing of this batch was written. Correct "
                "the reference, or the types."
            ) from error
        indexes = pl.Series([number - 1 for (number,) in numbers], dtype=pl.UInt32)
        return pl.int_range(len(values), dtype=pl.UInt32, eager=True).is_in(indexes.implode())

    def _taken_in_table(
        self, connection: Connection, claim: UniqueClaim, claims: pl.DataFrame, others: list[str]
    ) -> list[int]:
        """Return the numbers of the records whose values a row of another key in the table has."""
        if claims.is_empty() or not others:
            return []
        names = [*claim.columns, *others]
        same = sql.SQL(" AND ").join(map(_equal, claim.columns))
        other_key = sql.SQL(" OR ").join(sql.SQL("NOT {}").format(_equal(name)) for name in others)
        query = sql.SQL('SELECT v."#" FROM {} WHERE EXISTS (SELECT FROM {} owner WHERE {} AND ({}))').format(
            self._numbered_rows(names), identifier(self._table), same, other_key
        )
        numbers = connection.execute(query, _lists(claims.select(names))).fetchall()
        return claims[RECORD_NO].gather([number - 1 for (number,) in numbers]).to_list()

    def _numbered_rows(self, names: list[str] | tuple[str, ...]) -> sql.Composed:
        """Return SQL for columns of values as rows ``v``, numbered from 1 in ``#``; no column has that name."""
        arrays = sql.SQL(", ").join(sql.SQL("%s::{}[]").format(sql.SQL(self._types[name].postgres)) for name in names)
        columns = sql.SQL(", ").join(map(sql.Identifier, names))
        return sql.SQL('unnest({}) WITH ORDINALITY AS v ({}, "#")').format(arrays, columns)


def _equal(name: str) -> sql.Composed:
    return sql.SQL("owner.{0} = v.{0}").format(sql.Identifier(name))


def _lists(values: pl.DataFrame) -> list[list[object]]:
    return [column.to_list() for column in values]
