"""Custom rules over a whole record: a Polars expression, or a plain function on a pandas frame."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import polars as pl
import pyarrow as pa
from polars.exceptions import PolarsError

from etl_assets.errors import DeclarationError, RuleError, raised_at
from etl_assets.model.expectation_types import ROWS
from etl_assets.schema import sql
from etl_assets.schema.expression_sql import NotTranslatedError, to_sql
from etl_assets.schema.names import check_identifier
from etl_assets.schema.pandas_frames import to_pandas
from etl_assets.schema.rules.base import NotAudited, RecordRule, check_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from etl_assets.schema.rules.base import Audit
    from etl_assets.schema.types import DataType

    Function: TypeAlias = Callable[[pd.DataFrame], pd.Series[Any]]

_BOOLEAN: Final = "bO"
"""Kinds of pandas types that can hold Booleans: their own, and that of Python objects."""
_OPAQUE: Final = "contains a Python function or a selection of columns"


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Rule(RecordRule):
    """A rule for whole records: an expression over typed columns that is true for each valid record.

    ``Schema(rules=(Rule("lands_later", pl.col("arrived") > pl.col("departed"), "it lands after it takes off"),))``

    Null counts as kept, as for a record without one of the values, unless the expression changes that
    (``.fill_null(False)``). The rule is evaluated before the transformer if the delivery has all of its columns, and
    after it if the table has them.

    If there is no suitable expression, use a function. It gets a frame of its columns, in the form that a transformer
    gets, and returns a Boolean for each row. It must evaluate each row by itself: which rows come together is chance.

    Attributes:
        name: Name of the rule in checks and in the quarantine: letters, digits and single underscores.
        condition: The expression or the function.
        words: What the rule requires, as a sentence without its period.
        columns: Names of the columns that it uses; those of an expression are found automatically.
    """

    name: str
    condition: pl.Expr | Function
    words: str
    columns: tuple[str, ...]

    def __init__(self, name: str, condition: pl.Expr | Function, words: str, *, columns: tuple[str, ...] = ()) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "condition", condition)
        object.__setattr__(self, "words", words)
        object.__setattr__(self, "columns", columns or _roots(condition))

    def __repr__(self) -> str:
        return f"Rule({self.name!r}, {self.words!r}, columns={self.columns!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rule) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def identity(self) -> str:
        """See `RecordRule.identity`. The identity of an expression also changes with the version of Polars."""
        if isinstance(self.condition, pl.Expr):
            return f"{self!r} {_document(self.condition)}"
        return f"{self!r} {inspect.getsource(self.condition)}"

    def check(self, types: dict[str, DataType], where: str) -> None:
        """See `RecordRule.check`."""
        here = f"rule {self.name!r} of {where}"
        check_identifier(self.name, here, "name")
        if "__" in self.name:
            raise DeclarationError(here, "name", "has '__', which separates columns from rules", "Write a single '_'")
        if not re.search(r"\w", self.words):
            raise DeclarationError(here, "words", "are empty", "Write what the rule requires, as a sentence")
        if isinstance(self.condition, pl.Expr):
            self._check_expression(self.condition, types, here)
        elif callable(self.condition):
            self._check_function(self.condition, here)
        else:
            raise DeclarationError(
                here, "condition", "is neither an expression nor a function", "Write pl.col(...) > 0"
            )
        check_columns(self.columns, types, here, least=1)

    def violations(self, rows: pl.DataFrame) -> pl.Series:
        """See `RecordRule.violations`.

        Raises:
            RuleError: If the expression or function fails, or does not return one Boolean for each row.
        """
        answers = (
            self._evaluate(self.condition, rows)
            if isinstance(self.condition, pl.Expr)
            else self._call(self.condition, rows)
        )
        if len(answers) != rows.height:
            raise self._failed(f"returned {len(answers):,} answers for {rows.height:,} rows")
        return ~answers

    def audit(self, types: dict[str, DataType], key: Sequence[str]) -> Audit:
        """See `RecordRule.audit`. It is a query in SQL, if the expression has an equivalent in SQL."""
        if not isinstance(self.condition, pl.Expr):
            return NotAudited("a function has no equivalent in SQL")
        try:
            kept = to_sql(_document(self.condition), types)
        except NotTranslatedError as error:
            return NotAudited(str(error))
        return self.expectation(ROWS, unexpected_rows_query=sql.rows_where(f"NOT ({kept})", key))

    def _check_expression(self, expression: pl.Expr, types: dict[str, DataType], here: str) -> None:
        if (problem := _not_row_by_row(expression)) is not None:
            raise DeclarationError(
                here,
                "condition",
                problem,
                "Use only the values of the record itself, or write a function",
            )
        empty = pl.DataFrame(schema={name: types[name].polars for name in self.columns if name in types})
        if set(self.columns) != set(empty.columns):
            return
        try:
            answer = empty.select(expression.alias(self.name)).to_series()
        except PolarsError as error:
            raise DeclarationError(
                here, "condition", f"cannot be computed ({type(error).__name__}: {error})", "Compare values of one type"
            ) from error
        if answer.dtype != pl.Boolean:
            raise DeclarationError(here, "condition", f"returns {answer.dtype}, not Boolean", "Write a comparison")

    def _check_function(self, function: Function, here: str) -> None:
        try:
            inspect.getsource(function)
        except (OSError, TypeError) as error:
            raise DeclarationError(
                here, "condition", "is a function whose source cannot be read", "Define it with def in a module"
            ) from error

    def _evaluate(self, expression: pl.Expr, rows: pl.DataFrame) -> pl.Series:
        """Evaluate an expression: true, false or null for each row.

        Polars 2.1 returns one answer for all rows if ``coalesce`` finds a column without any value.
        """
        try:
            answers = rows.select(expression.alias(self.name)).to_series()
        except PolarsError as error:
            raise self._failed(f"raised {type(error).__name__}") from None
        return answers.new_from_index(0, rows.height) if len(answers) == 1 else answers

    def _call(self, function: Function, rows: pl.DataFrame) -> pl.Series:
        """Call a function: true, false or null for each row."""
        try:
            returned: Any = function(to_pandas(rows))
        except Exception as error:  # noqa: BLE001 -- the code of a source may raise anything; it is raised again
            place = raised_at(error, function.__code__.co_filename)
            raise self._failed(f"raised {type(error).__name__} at {place}") from None
        try:
            answers = pl.Series(pa.array(returned, type=pa.bool_(), from_pandas=True))
            is_boolean = returned.dtype.kind in _BOOLEAN
        except (AttributeError, pa.ArrowException, TypeError, ValueError):
            is_boolean = False
        if not is_boolean:
            raise self._failed(f"returned a {type(returned).__name__} that is not of Booleans")
        return answers

    def _failed(self, problem: str) -> RuleError:
        return RuleError(
            f"The rule {self.name!r} {problem}. Nothing of the batch was written. Correct it, and try it with "
            "`etl-assets preview`."
        )


def _roots(condition: pl.Expr | Function) -> tuple[str, ...]:
    return tuple(dict.fromkeys(condition.meta.root_names())) if isinstance(condition, pl.Expr) else ()


def _document(expression: pl.Expr) -> str:
    document = StringIO()
    expression.meta.serialize(document, format="json")
    return document.getvalue()


def _not_row_by_row(expression: pl.Expr) -> str | None:
    """Return why an expression does not evaluate each row by itself, as a text; None if it does."""
    meta = expression.meta
    if meta.is_column() or (meta.is_literal() and meta.is_scalar()):
        return None
    try:
        parts = meta.pop()
        by_itself = bool(parts) and meta.is_row_separable() and meta.is_length_preserving()
    except PolarsError:
        return _OPAQUE
    if not by_itself:
        return f"contains {expression}, which does not evaluate each row by itself"
    return next((problem for part in parts if (problem := _not_row_by_row(part)) is not None), None)
