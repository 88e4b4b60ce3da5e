"""Evaluate expectations by SQL of our own, without Great Expectations, whose import takes seconds.

All of them are answered together in one query over the rows. What has no translation, or what the database refuses, is
left to Great Expectations, which also explains what is wrong with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg import sql

from etl_assets.audit.results import SAMPLE, describe_unmet, is_shown, plain
from etl_assets.model.check_result import CheckResult
from etl_assets.model.expectation_types import OF_ALL_ROWS, ROWS
from etl_assets.postgres.connection import planned_without
from etl_assets.postgres.faults import fault_of
from etl_assets.postgres.tables.audit_queries import READ_ONLY_NOW, has_index, rows_query
from etl_assets.postgres.tables.expectation_queries import Aggregate, Uniqueness, translate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.audit.scope import Scope
    from etl_assets.model.expectation import Expectation
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.tables.expectation_queries import RowTest, Translation
    from etl_assets.schema import Schema

_BATCH: Final = "rows_in_question"
_ROWS_COUNTED: Final = frozenset({"expect_table_row_count_to_be_between", "expect_table_row_count_to_equal"})
_MOST_PER_QUERY: Final = 400
"""Maximum number of expectations in one query: each takes up to three of the 1,664 columns that a result may have."""


def evaluate(
    connection: Connection, schema: Schema, scope: Scope, expectations: Sequence[Expectation]
) -> dict[str, CheckResult]:
    """Evaluate the expectations that have a translation.

    Args:
        connection: In autocommit; it is only read.
        schema: Schema of the table.
        scope: The rows.
        expectations: Each must have a different name.

    Returns:
        The results by the names of the expectations. What is not among them is for Great Expectations, or needs the
        whole table.
    """
    answers = _Answers(connection, schema, scope)
    types = {column.name: column.type.name for column in schema.columns}
    required = frozenset((*schema.key, *(column.name for column in schema.columns if column.required)))
    together: list[tuple[Expectation, RowTest | Aggregate]] = []
    results: dict[str, CheckResult | None] = {}
    for expectation in expectations:
        translation = translate(expectation, types, required)
        if scope.is_part and expectation.type in OF_ALL_ROWS:
            results[expectation.name] = answers.of_part(expectation, translation)
        elif expectation.type == ROWS:
            results[expectation.name] = answers.of_query(expectation)
        elif isinstance(translation, Uniqueness):
            results[expectation.name] = answers.of_uniqueness(expectation, translation)
        elif translation is not None:
            together.append((expectation, translation))
    for start in range(0, len(together), _MOST_PER_QUERY):
        results |= answers.of_rows(together[start : start + _MOST_PER_QUERY])
    return {name: result for name, result in results.items() if result is not None}


@dataclass(frozen=True)
class _Answers:
    """Asks the database about some rows; an answer is None if the database refuses the question."""

    connection: Connection
    schema: Schema
    scope: Scope

    def of_rows(self, asked: Sequence[tuple[Expectation, RowTest | Aggregate]]) -> dict[str, CheckResult | None]:
        """Answer several expectations in one query; one by one if the database refuses any of them."""
        numbers: list[sql.Composable] = []
        for _, translation in asked:
            numbers += _numbers(translation)
        rows = self._ask(sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(numbers), sql.Identifier(_BATCH)))
        if rows is None:
            if len(asked) == 1:
                return {}
            return {name: result for each in asked for name, result in self.of_rows([each]).items()}
        answers = iter(rows[0])
        return {
            expectation.name: self._observed(expectation, translation, next(answers))
            if isinstance(translation, Aggregate)
            else self._tested(expectation, translation, [next(answers) for _ in range(3)])
            for expectation, translation in asked
        }

    def of_query(self, expectation: Expectation) -> CheckResult | None:
        """Answer an expectation that takes a query for the rows that do not meet it."""
        query = str(expectation.arguments["unexpected_rows_query"]).replace("{batch}", _BATCH)
        if expectation.arguments.keys() != {"unexpected_rows_query"} or "{" in query or "}" in query:
            return None
        found = sql.SQL("({}\n) AS found").format(sql.SQL(query))
        rows = self._ask(sql.SQL("SELECT count(*) FROM {}").format(found))
        return None if rows is None else self._result(expectation, 0, rows[0][0], found)

    def of_uniqueness(self, expectation: Expectation, translation: Uniqueness) -> CheckResult | None:
        """Answer whether rows have values that no other row has."""
        columns = sql.SQL(", ").join(map(sql.Identifier, translation.columns))
        there = sql.SQL(" AND ").join(
            sql.SQL("{} IS NOT NULL").format(sql.Identifier(name)) for name in translation.columns
        )
        rows = self._ask(
            sql.SQL(
                "SELECT (SELECT count(*) FROM {batch}), coalesce(sum(n), 0)::bigint, "
                "coalesce(sum(n) FILTER (WHERE n > 1), 0)::bigint "
                "FROM (SELECT count(*) AS n FROM {batch} WHERE {there} GROUP BY {columns}) groups"
            ).format(batch=sql.Identifier(_BATCH), there=there, columns=columns)
        )
        if rows is None:
            return None
        repeated = sql.SQL(
            "{batch} WHERE ({columns}) IN (SELECT {columns} FROM {batch} GROUP BY {columns} HAVING count(*) > 1)"
        ).format(batch=sql.Identifier(_BATCH), columns=columns)
        return self._shared(expectation, rows[0], translation.mostly, repeated)

    def of_part(self, expectation: Expectation, translation: Translation | None) -> CheckResult | None:
        """Answer an expectation about a whole table of which only some rows are read: by the ledger, or by an index.

        Otherwise it is left to the audit, unless it blocks: then the answer is None, and the table has to be read.
        """
        if expectation.type in _ROWS_COUNTED and isinstance(translation, Aggregate):
            return self._observed(expectation, translation, self.scope.rows)
        table = self.scope.table
        if isinstance(translation, Uniqueness) and has_index(self.connection, self.scope.stored, translation.columns):
            return self._unique_in_table(expectation, translation)
        if expectation.blocking:
            return None
        return CheckResult(
            expectation.name,
            passed=True,
            blocking=expectation.blocking,
            description=f"It is about all rows of {table}, of which the run reads only those that it wrote. "
            "The audit checks it.",
        )

    def _unique_in_table(self, expectation: Expectation, translation: Uniqueness) -> CheckResult | None:
        """Answer whether rows have values that no other row of the table has, by an index of the table."""
        own, others = ([sql.Identifier(alias, name) for name in translation.columns] for alias in (_BATCH, "other"))
        same = sql.SQL(" AND ").join(sql.SQL("{} = {}").format(*pair) for pair in zip(own, others, strict=True))
        there = sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(name) for name in own)
        shared = sql.SQL(
            "{there} AND (SELECT count(*) FROM (SELECT FROM {table} AS other WHERE {same} LIMIT 2) found) > 1"
        ).format(there=there, table=_aliased(rows_query(self.scope.table, None, marked=self.scope.marked)), same=same)
        batch = sql.Identifier(_BATCH)
        query = sql.SQL("SELECT count(*), count(*) FILTER (WHERE {}), count(*) FILTER (WHERE {}) FROM {}")
        rows = self._ask(query.format(there, shared, batch))
        if rows is None:
            return None
        return self._shared(expectation, rows[0], translation.mostly, sql.SQL("{} WHERE {}").format(batch, shared))

    def _tested(self, expectation: Expectation, translation: RowTest, numbers: Sequence[int]) -> CheckResult:
        conditions = (translation.among, translation.considered, translation.unexpected)
        unexpected = sql.SQL("{} WHERE {}").format(sql.Identifier(_BATCH), _all(*conditions))
        return self._shared(expectation, numbers, translation.mostly, unexpected)

    def _shared(
        self, expectation: Expectation, numbers: Sequence[int], mostly: float, unexpected: sql.Composable
    ) -> CheckResult:
        """Return a result by the numbers of rows, of those that can break an expectation, and of those that do."""
        rows, considered, failed = numbers
        passed = not considered or (float(considered) - float(failed)) / float(considered) >= mostly
        return self._result(expectation, rows, failed, unexpected, passed=passed)

    def _result(
        self,
        expectation: Expectation,
        rows: int,
        failed: int,
        unexpected: sql.Composable,
        *,
        passed: bool | None = None,
    ) -> CheckResult:
        passed = not failed if passed is None else passed
        return CheckResult(
            expectation.name,
            passed=passed,
            blocking=expectation.blocking,
            description="" if passed else describe_unmet(failed, rows, None),
            failed_records=failed,
            records=rows,
            keys=self._keys(unexpected) if failed and not passed else (),
        )

    def _observed(self, expectation: Expectation, translation: Aggregate, observed: Any) -> CheckResult:
        """Return a result by one number, which is shown unless it is a value of a cell, or of a sensitive column."""
        passed = translation.is_met(observed)
        hidden = translation.is_value or not is_shown(self.schema, expectation.columns)
        shown = None if hidden else observed
        return CheckResult(
            expectation.name,
            passed=passed,
            blocking=expectation.blocking,
            description="" if passed else describe_unmet(0, 0, shown),
            observed=shown,
        )

    def _keys(self, unexpected: sql.Composable) -> tuple[Mapping[str, Any], ...]:
        """Return the keys of a few rows; none if a key column is sensitive, or if the rows have no key."""
        key = self.schema.key
        if not key or not is_shown(self.schema, key):
            return ()
        names = sql.SQL(", ").join(map(sql.Identifier, key))
        query = sql.SQL("SELECT {names} FROM {rows} ORDER BY {names} LIMIT {most}")
        rows = self._ask(query.format(names=names, rows=unexpected, most=sql.Literal(SAMPLE))) or []
        return tuple({name: plain(value) for name, value in zip(key, row, strict=True)} for row in rows)

    def _ask(self, query: sql.Composable) -> list[tuple[Any, ...]] | None:
        """Return the rows of a query that reads the rows in question; None if the database refuses it."""
        batch = rows_query(self.scope.table, self.scope.deliveries, marked=self.scope.marked)
        whole = sql.SQL("WITH {} AS NOT MATERIALIZED ({}) {}").format(sql.Identifier(_BATCH), batch, query)
        try:
            with self.connection.transaction():
                self.connection.execute(READ_ONLY_NOW)
                if self.scope.deliveries is None:
                    return self.connection.execute(whole).fetchall()
                with planned_without(self.connection, "seqscan", "hashjoin", "mergejoin"):
                    return self.connection.execute(whole).fetchall()
        except psycopg.Error as error:
            if fault_of(error).kind in {"transient", "environment"} or self.connection.broken:
                raise
            return None


def _numbers(translation: RowTest | Aggregate) -> list[sql.Composable]:
    """Return what to select for an expectation."""
    if isinstance(translation, Aggregate):
        return [translation.observed]
    conditions = (translation.among, translation.considered, translation.unexpected)
    return [
        sql.SQL("count(*) FILTER (WHERE {})").format(_all(*conditions[:number]))
        for number in range(1, len(conditions) + 1)
    ]


def _aliased(query: sql.Composable) -> sql.Composable:
    return sql.SQL("({})").format(query)


def _all(*conditions: sql.Composable) -> sql.Composable:
    return sql.SQL(" AND ").join(sql.SQL("({})").format(condition) for condition in conditions)
