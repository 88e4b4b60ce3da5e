"""The witness: asks Postgres, through Great Expectations, whether rows are as they are expected to be.

Rows do not leave the database: expectations are asked by aggregate queries. What comes back is counts, and, where
expectations fail, the keys of a few rows; no other value is kept of what the library reports.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import psycopg
from sqlalchemy import event

from etl_assets.audit import library
from etl_assets.errors import LoadError
from etl_assets.model.expectation_types import ROWS
from etl_assets.postgres.faults import describe, fault_of, translate
from etl_assets.postgres.witness import READ_ONLY, SESSION, rows_view

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.model.expectation import Expectation
    from etl_assets.model.schema import Schema

SAMPLE: Final = 10
"""The keys of so many rows are shown."""
_AT_ONCE: Final = 100
"""So many expectations are asked in one query: each takes two of the 1,664 columns that a result may have."""
_COUNTED: Final = {"result_format": "BASIC", "partial_unexpected_count": 0}
_VIEW: Final = "rows_of_partition"
_OF_TYPE: Final = frozenset({"expect_column_type_to_be", "expect_column_values_to_be_of_type"})
_OF_MANY_RECORDS: Final = frozenset(
    {
        "expect_column_kl_divergence_to_be_less_than",
        "expect_column_mean_to_be_between",
        "expect_column_proportion_of_non_null_values_to_be_between",
        "expect_column_proportion_of_unique_values_to_be_between",
        "expect_column_stdev_to_be_between",
        "expect_column_sum_to_be_between",
        "expect_column_unique_value_count_to_be_between",
        "expect_table_column_count_to_be_between",
        "expect_table_column_count_to_equal",
        "expect_table_row_count_to_be_between",
        "expect_table_row_count_to_equal",
        "expect_table_row_count_to_equal_other_table",
    }
)
"""What these observe is a number that is not the contents of any cell."""


@dataclass(frozen=True)
class Answer:
    """What the witness says of one expectation.

    Attributes:
        name: Of the expectation.
        met: Whether the rows are as expected.
        failed: How many rows are not; 0 for an expectation about the table as a whole.
        rows: How many there are; 0 when that was not asked.
        observed: The number, or the type, that was found; None when there is none, or when it would show a cell.
        keys: Of some rows that are not as expected: key columns by name.
        trouble: Why it could not be asked; empty when it could.
    """

    name: str
    met: bool
    failed: int = 0
    rows: int = 0
    observed: float | str | None = None
    keys: tuple[Mapping[str, Any], ...] = ()
    trouble: str = ""

    @property
    def told(self) -> str:
        """In words, without record contents."""
        if self.trouble:
            return self.trouble
        if self.met:
            return ""
        if self.failed:
            if self.rows:
                return f"{self.failed} of {self.rows} rows do not meet it."
            return "1 row does not meet it." if self.failed == 1 else f"{self.failed} rows do not meet it."
        return "The table does not meet it." if self.observed is None else f"Found was {self.observed}."


@dataclass
class Witness:
    """Stands before the rows of one table, or before those of one partition of it.

    Attributes:
        about: What it stands before, for errors.
        schema: Of the table.
        batch: Great Expectations' batch of the rows.
        faults: What the database raised since it was last looked at.
    """

    about: str
    schema: Schema
    batch: Any
    faults: list[psycopg.Error] = field(default_factory=list)

    def ask(self, expectations: Sequence[Expectation]) -> list[Answer]:
        """Ask whether expectations are met.

        Args:
            expectations: Each with a name of its own.

        Returns:
            What is found of each, in the same order. An expectation that cannot be asked is not met.

        Raises:
            TransientLoadError: If the database broke off.
            LoadError: If the database cannot answer anything.
        """
        said: list[Answer] = []
        for start in range(0, len(expectations), _AT_ONCE):
            said += self._together(expectations[start : start + _AT_ONCE])
        return said

    def _together(self, expectations: Sequence[Expectation]) -> list[Answer]:
        """Ask several in one query; those that raise, and so spoil it, are asked again by themselves."""
        made = {each.name: _made(each) for each in expectations}
        sound = [each for each in made.values() if not isinstance(each, str)]
        suite = library.load().ExpectationSuite(name=self.about, expectations=sound)
        counted = self._validated(suite, _COUNTED) if sound else None
        answered = {
            result.expectation_config.meta["name"]: result
            for result in getattr(counted, "results", ())
            if not _raised(result)
        }
        return [
            self._answer(each, made[each.name], answered[each.name])
            if each.name in answered
            else self._alone(each, made[each.name])
            for each in expectations
        ]

    def _alone(self, expectation: Expectation, made: Any) -> Answer:
        if isinstance(made, str):
            return Answer(expectation.name, met=False, trouble=made)
        result = self._validated(made, _COUNTED)
        if isinstance(result, str):
            trouble = f"It cannot be asked: Great Expectations raised {result}."
        elif self.faults:
            trouble = f"It cannot be asked: the database refused with {describe(self.faults[0])}."
        elif _raised(result):
            trouble = "It cannot be asked of these columns: look at its arguments and at their types."
        else:
            return self._answer(expectation, made, result)
        return Answer(expectation.name, met=False, trouble=trouble)

    def _answer(self, expectation: Expectation, made: Any, result: Any) -> Answer:
        found = result.result
        observed = found.get("observed_value")
        by_query = expectation.type == ROWS
        failed = int(observed or 0) if by_query else int(found.get("unexpected_count") or 0)
        rows = int(found.get("element_count") or 0)
        if not by_query and not rows:
            failed = 0
        return Answer(
            expectation.name,
            met=bool(result.success),
            failed=failed,
            rows=rows,
            observed=None if by_query else self._shown(expectation, observed),
            keys=self._keys(made, by_query=by_query) if failed and not result.success else (),
        )

    def _shown(self, expectation: Expectation, observed: object) -> float | str | None:
        """What was observed, if it tells of no single record."""
        if expectation.type in _OF_TYPE:
            return str(observed)
        if expectation.type not in _OF_MANY_RECORDS or any(name in self._hidden for name in expectation.columns):
            return None
        try:
            number = float(observed)  # type: ignore[arg-type]  # the library's numbers are of many kinds
        except (TypeError, ValueError):
            return None
        return None if not math.isfinite(number) else int(number) if number.is_integer() else number

    def _keys(self, made: Any, *, by_query: bool) -> tuple[Mapping[str, Any], ...]:
        """The keys of a few rows that are not as expected; none when a key is sensitive."""
        key = self.schema.key
        if any(name in self._hidden for name in key):
            return ()
        asked = {"partial_unexpected_count": SAMPLE, "unexpected_index_column_names": list(key)}
        result = self._validated(made, {"result_format": "COMPLETE" if by_query else "SUMMARY", **asked})
        found = getattr(result, "result", {})
        rows = (
            found.get("details", {}).get("unexpected_rows") if by_query else found.get("partial_unexpected_index_list")
        )
        whole = [row for row in rows or () if row.keys() >= set(key)]
        return tuple({name: _plain(row[name]) for name in key} for row in whole[:SAMPLE])

    @property
    def _hidden(self) -> frozenset[str]:
        return frozenset(column.name for column in self.schema.columns if column.sensitive)

    def _validated(self, asked: Any, how: Mapping[str, Any]) -> Any:
        """The library's result, or the name of what it raised."""
        self.faults.clear()
        with library.silence():
            try:
                result = self.batch.validate(asked, result_format=dict(how))
            except Exception as error:  # noqa: BLE001 -- whatever an expectation raises; its text may hold values
                result = type(error).__name__
        for fault in self.faults:
            if fault_of(fault) in {"transient", "environment"}:
                raise translate(fault, f"Holding {self.about} against its expectations") from None
        return result


@contextmanager
def witness(url: str, schema: Schema, table: str, deliveries: Sequence[int] | None = None) -> Iterator[Witness]:
    """A witness for the length of a block. It reads in sessions of its own that cannot write.

    Args:
        url: ``postgresql://…`` of the warehouse.
        schema: Of the table.
        table: ``schema.table``; it exists.
        deliveries: Only the rows that these brought; all rows when None.

    Raises:
        TransientLoadError: If the database broke off.
        LoadError: If the table cannot be read.
    """
    faults: list[psycopg.Error] = []
    engines: list[Any] = []
    try:
        with library.silence():
            try:
                source = library.context().data_sources.add_postgres(
                    "warehouse", connection_string=_sqlalchemy_url(url), kwargs={"connect_args": dict(SESSION)}
                )
                engines += [source.get_engine(), source.get_execution_engine().engine]
                for engine in engines:
                    _listen(engine, faults, rows_view(_VIEW, table, deliveries))
                asset = source.add_table_asset(table, table_name=_VIEW)
                batch = asset.add_batch_definition_whole_table("rows").get_batch()
            except Exception as error:  # noqa: BLE001 -- whatever it raises; its text may hold more than is told
                raise _refused(error, faults, table) from None
        yield Witness(table, schema, batch, faults)
    finally:
        for engine in engines:
            engine.dispose()


def _listen(engine: Any, faults: list[psycopg.Error], view: str) -> None:
    """Keep what the database raises, which the library keeps as text alone, and prepare each session.

    The rows are a view of the session: were they a query, the library would fetch every row to learn the names of its
    columns.
    """

    def prepare(session: psycopg.Connection[Any], _record: object) -> None:
        session.execute(view.encode())
        session.execute(READ_ONLY)
        session.commit()

    def keep(context: Any) -> None:
        if isinstance(context.original_exception, psycopg.Error):
            faults.append(context.original_exception)

    engine.dispose()
    event.listen(engine, "connect", prepare)
    event.listen(engine, "handle_error", keep)


def _refused(error: Exception, faults: Sequence[psycopg.Error], table: str) -> LoadError:
    cause: BaseException | None = error
    found = list(faults)
    while cause is not None:
        if isinstance(cause, psycopg.Error):
            found.append(cause)
        cause = cause.__cause__ or getattr(cause, "cause", None)
    if found:
        return translate(found[-1], f"Reading {table}")
    return LoadError(f"Great Expectations cannot read {table}: it raised {type(error).__name__}. Nothing was written.")


def _sqlalchemy_url(url: str) -> str:
    """The URL with its driver, and without the sign that Great Expectations takes for a variable's name."""
    return "postgresql+psycopg://" + url.partition("://")[2].replace("$", "%24")


def _made(expectation: Expectation) -> Any:
    """Great Expectations' own object, or a text that says what is wrong with its arguments."""
    try:
        return _class_of(expectation.type)(**expectation.arguments, meta={"name": expectation.name})
    except (TypeError, ValueError, LookupError, ImportError, AttributeError) as error:
        return f"It cannot be asked with these arguments: {' '.join(str(error).split())}"


def _class_of(type_: str) -> Any:
    module, _, name = type_.partition(":")
    if name:
        return getattr(import_module(module), name)
    return library.part("expectations.registry").get_expectation_impl(type_)


def _raised(result: Any) -> bool:
    """Whether a result is one of an exception: of the whole expectation, or of some of its metrics by name."""
    told = result.exception_info or {}
    return bool(told.get("raised_exception", any(isinstance(each, dict) for each in told.values())))


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
