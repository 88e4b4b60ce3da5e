"""What only the database can tell of a batch: which parents are missing, which unique values are taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from psycopg import errors, sql

from etl_assets.errors import LoadError
from etl_assets.model.schema import RECORD_NO
from etl_assets.postgres.tables.ddl import exists, identifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.load.base import Target
    from etl_assets.model.schema import Column, References
    from etl_assets.postgres.connection import Connection

_REMEMBERED = 200_000


class Lookups:
    """Looks up what rows refer to and what they claim for themselves; remembers the parents it has found.

    Args:
        target: The table the rows go to, and its schema.
    """

    def __init__(self, target: Target) -> None:
        self._table = target.table
        self._key = target.schema.key
        self._columns = target.schema.columns
        self._found: dict[str, pl.Series] = {}

    def missing_parents(self, connection: Connection, rows: pl.DataFrame) -> Iterator[tuple[Column, list[int]]]:
        """Find the records that refer to a parent that is not there.

        Args:
            connection: In the batch's transaction.
            rows: Typed rows.

        Yields:
            Each column with a reference, and the numbers of the records whose parent is missing.
        """
        for column in self._columns:
            if column.parent is not None:
                absent = self._absent(connection, column, column.parent, rows)
                hit = rows.filter(pl.col(column.name).is_in(absent.implode())) if len(absent) else rows.clear()
                yield column, hit[RECORD_NO].unique().sort().to_list()

    def taken_values(self, connection: Connection, rows: pl.DataFrame) -> Iterator[tuple[Column, list[int]]]:
        """Find the records that claim a unique value which a row of another key has.

        Args:
            connection: In the batch's transaction.
            rows: Typed rows, no key twice.

        Yields:
            Each unique column, and the numbers of the records that come too late.
        """
        for column in self._columns:
            if column.unique:
                claims = rows.select(RECORD_NO, column.name, *self._others(column)).drop_nulls(column.name)
                twice = claims.sort(RECORD_NO).filter(~pl.col(column.name).is_first_distinct())
                owned = self._owned_by_others(connection, column, claims)
                yield column, sorted({*twice[RECORD_NO], *owned[RECORD_NO]})

    def _others(self, column: Column) -> list[str]:
        return [name for name in self._key if name != column.name]

    def _absent(self, connection: Connection, column: Column, parent: References, rows: pl.DataFrame) -> pl.Series:
        values = rows[column.name].drop_nulls().unique()
        known = self._found.get(column.name, values.clear())
        values = values.filter(~values.is_in(known.implode()))
        if parent.table == self._table:
            values = values.filter(~values.is_in(rows[parent.parts[2]].unique().implode()))
        if values.is_empty():
            return values
        there = self._present(connection, column, parent, values)
        if len(known) < _REMEMBERED:
            self._found[column.name] = pl.concat([known, there])
        return values.filter(~values.is_in(there.implode()))

    @staticmethod
    def _present(connection: Connection, column: Column, parent: References, values: pl.Series) -> pl.Series:
        if not exists(connection, parent.table):
            return values.clear()
        question = sql.SQL("SELECT DISTINCT {0} FROM {1} WHERE {0} = ANY (%s)").format(
            sql.Identifier(parent.parts[2]), identifier(parent.table)
        )
        try:
            rows = connection.execute(question, (values.to_list(),)).fetchall()
        except (errors.UndefinedColumn, errors.UndefinedFunction, errors.DatatypeMismatch) as error:
            raise LoadError(
                f"Column {column.name} refers to {parent.column}, which cannot be compared with it "
                f"({error.sqlstate}). Nothing of this batch was written. Correct `references`, or the type."
            ) from error
        return pl.Series(column.name, [value for (value,) in rows], dtype=values.dtype)

    def _owned_by_others(self, connection: Connection, column: Column, claims: pl.DataFrame) -> pl.DataFrame:
        if claims.is_empty() or not self._others(column):
            return claims.clear()
        names = [column.name, *self._others(column)]
        question = sql.SQL("SELECT {} FROM {} WHERE {} = ANY (%s)").format(
            sql.SQL(", ").join(map(sql.Identifier, names)), identifier(self._table), sql.Identifier(column.name)
        )
        rows = connection.execute(question, (claims[column.name].unique().to_list(),)).fetchall()
        owners = pl.DataFrame(rows, schema={name: claims.schema[name] for name in names}, orient="row")
        conflicts = claims.join(owners, on=column.name, how="semi")
        return conflicts.join(owners, on=names, how="anti")
