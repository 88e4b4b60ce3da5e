"""What only the database can tell of a batch: which parents are missing, which unique values are taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from psycopg import errors, sql

from etl_assets.errors import LoadError
from etl_assets.postgres.tables.ddl import exists, identifier
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.load.base import Target
    from etl_assets.postgres.connection import Connection
    from etl_assets.schema.rules import Lookup, UniqueClaim

_REMEMBERED = 200_000


class Lookups:
    """Looks up what rows refer to and what they claim for themselves; remembers the parents it has found.

    Args:
        target: The table the rows go to, and its schema.
    """

    def __init__(self, target: Target) -> None:
        self._table = target.table
        self._schema = target.schema
        self._types = target.schema.types()
        self._found: dict[str, pl.DataFrame] = {}

    def missing_parents(self, connection: Connection, rows: pl.DataFrame) -> Iterator[tuple[Lookup, list[int]]]:
        """Find the records that refer to a parent that is not there.

        Args:
            connection: In the batch's transaction.
            rows: Typed rows.

        Yields:
            Each lookup of the schema, and the numbers of the records whose parent is missing.
        """
        for lookup in self._schema.lookups:
            absent = self._absent(connection, lookup, rows)
            hit = rows.join(absent, on=lookup.columns, how="semi") if len(absent) else rows.clear()
            yield lookup, hit[RECORD_NO].unique().sort().to_list()

    def taken_values(self, connection: Connection, rows: pl.DataFrame) -> Iterator[tuple[UniqueClaim, list[int]]]:
        """Find the records that claim unique values which a row of another key has.

        Args:
            connection: In the batch's transaction.
            rows: Typed rows, no key twice.

        Yields:
            Each claim of the schema, and the numbers of the records that come too late.
        """
        for claim in self._schema.claims:
            others = [name for name in self._schema.key if name not in claim.columns]
            claims = rows.select(RECORD_NO, *claim.columns, *others).drop_nulls(claim.columns).sort(RECORD_NO)
            twice = claims.filter(~pl.struct(claim.columns).is_first_distinct())
            owned = self._owned_by_others(connection, claim, claims, others)
            yield claim, sorted({*twice[RECORD_NO], *owned})

    def _absent(self, connection: Connection, lookup: Lookup, rows: pl.DataFrame) -> pl.DataFrame:
        """The values that refer to nothing, each once."""
        values = rows.select(lookup.columns).drop_nulls().unique(maintain_order=True)
        known = self._found.get(lookup.rule, values.clear())
        values = values.join(known, on=lookup.columns, how="anti")
        if lookup.table == self._table:
            own = rows.select(lookup.parent_columns).rename(
                dict(zip(lookup.parent_columns, lookup.columns, strict=True))
            )
            values = values.join(own, on=lookup.columns, how="anti")
        if values.is_empty():
            return values
        there = self._present(connection, lookup, values)
        if len(known) < _REMEMBERED:
            self._found[lookup.rule] = pl.concat([known, values.filter(there)])
        return values.filter(~there)

    def _present(self, connection: Connection, lookup: Lookup, values: pl.DataFrame) -> pl.Series:
        """Which values are in a row of the parent."""
        if not exists(connection, lookup.table):
            return pl.repeat(value=False, n=len(values), eager=True)
        met = sql.SQL(" AND ").join(
            sql.SQL("parent.{} = v.{}").format(sql.Identifier(theirs), sql.Identifier(ours))
            for ours, theirs in zip(lookup.columns, lookup.parent_columns, strict=True)
        )
        question = sql.SQL('SELECT v."#" FROM {} WHERE EXISTS (SELECT FROM {} parent WHERE {})').format(
            self._listed(lookup.columns), identifier(lookup.table), met
        )
        try:
            found = connection.execute(question, _lists(values)).fetchall()
        except (errors.UndefinedColumn, errors.UndefinedFunction, errors.DatatypeMismatch) as error:
            raise LoadError(
                f"{' and '.join(lookup.columns)} refer to {' and '.join(lookup.parent_columns)} of {lookup.table}, "
                f"which cannot be compared with them ({error.sqlstate}). Nothing of this batch was written. Correct "
                "the reference, or the types."
            ) from error
        places = pl.Series([place - 1 for (place,) in found], dtype=pl.UInt32)
        return pl.int_range(len(values), dtype=pl.UInt32, eager=True).is_in(places.implode())

    def _owned_by_others(
        self, connection: Connection, claim: UniqueClaim, claims: pl.DataFrame, others: list[str]
    ) -> list[int]:
        """Numbers of the records whose values a row of another key has."""
        if claims.is_empty() or not others:
            return []
        names = [*claim.columns, *others]
        same = sql.SQL(" AND ").join(map(_equal, claim.columns))
        other_key = sql.SQL(" OR ").join(sql.SQL("NOT {}").format(_equal(name)) for name in others)
        question = sql.SQL('SELECT v."#" FROM {} WHERE EXISTS (SELECT FROM {} owner WHERE {} AND ({}))').format(
            self._listed(names), identifier(self._table), same, other_key
        )
        found = connection.execute(question, _lists(claims.select(names))).fetchall()
        return claims[RECORD_NO].gather([place - 1 for (place,) in found]).to_list()

    def _listed(self, names: list[str] | tuple[str, ...]) -> sql.Composed:
        """The values of some columns as rows ``v``, numbered from 1 by ``#``, which no column is called."""
        arrays = sql.SQL(", ").join(sql.SQL("%s::{}[]").format(sql.SQL(self._types[name].postgres)) for name in names)
        columns = sql.SQL(", ").join(map(sql.Identifier, names))
        return sql.SQL('unnest({}) WITH ORDINALITY AS v ({}, "#")').format(arrays, columns)


def _equal(name: str) -> sql.Composed:
    return sql.SQL("owner.{0} = v.{0}").format(sql.Identifier(name))


def _lists(values: pl.DataFrame) -> list[list[object]]:
    return [column.to_list() for column in values]
