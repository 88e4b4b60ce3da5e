"""Give Great Expectations read-only sessions on the rows of one table, and collect the database errors in them."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import psycopg
from sqlalchemy import event

from etl_assets.audit import library
from etl_assets.errors import LoadError
from etl_assets.postgres.faults import fault_of, translate
from etl_assets.postgres.tables.audit_queries import BY_INDEX, READ_ONLY, SESSION, rows_view

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_VIEW: Final = "rows_in_question"
_NOT_CAUSED_BY_QUERY: Final = frozenset({"transient", "environment"})


@dataclass
class Session:
    """Validates expectations against some rows.

    Attributes:
        table: ``schema.table``.
        batch: Great Expectations' batch of the rows.
        faults: Errors that the database raised during the last validation.
    """

    table: str
    batch: Any
    faults: list[psycopg.Error] = field(default_factory=list)

    def validate(self, expectation: Any, result_format: Mapping[str, Any]) -> Any:
        """Validate an expectation, or a suite of them.

        Args:
            expectation: Great Expectations' own object.
            result_format: Its result format.

        Returns:
            Its result, or the name of the exception that it raised.

        Raises:
            TransientLoadError: If the database broke off.
            EnvironmentFaultError: If the database cannot answer any query.
        """
        self.faults.clear()
        with library.silence():
            try:
                result = self.batch.validate(expectation, result_format=dict(result_format))
            except Exception as error:  # noqa: BLE001 -- expectations raise anything; texts may contain values
                result = type(error).__name__
        for fault in self.faults:
            if fault_of(fault).kind in _NOT_CAUSED_BY_QUERY:
                raise translate(fault, f"Checking {self.table} against its expectations") from None
        return result


@contextmanager
def open_session(url: str, table: str, deliveries: Sequence[int] | None, *, marked: bool) -> Iterator[Session]:
    """Open a session on the rows of a table, or on the rows of some deliveries, for the length of a block.

    The rows of deliveries are found by their index.

    Args:
        url: ``postgresql://…`` of the warehouse.
        table: ``schema.table``; it exists.
        deliveries: Ids of the deliveries; all rows when None.
        marked: Whether the table has rows that are marked as deleted; they are left out.

    Raises:
        TransientLoadError: If the database broke off.
        LoadError: If the table cannot be read.
    """
    faults: list[psycopg.Error] = []
    engines: list[Any] = []
    settings = (READ_ONLY,) if deliveries is None else (READ_ONLY, BY_INDEX)
    try:
        with library.silence():
            try:
                source = _source(url)
                engines += [source.get_engine(), source.get_execution_engine().engine]
                for engine in engines:
                    _listen(engine, faults, (rows_view(_VIEW, table, deliveries, marked=marked), *settings))
                asset = source.add_table_asset(table, table_name=_VIEW)
                batch = asset.add_batch_definition_whole_table("rows").get_batch()
            except Exception as error:  # noqa: BLE001 -- it raises anything; texts may contain secrets
                raise _load_error(error, table) from None
        yield Session(table, batch, faults)
    finally:
        for engine in engines:
            engine.dispose()


def _source(url: str) -> Any:
    """Make Great Expectations' generic SQL datasource; the library warns about that choice.

    Its datasource for Postgres is not used, because it refuses URLs without a host or a user.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are using a generic SQLDatasource")
        source = library.context().data_sources.add_sql(
            "warehouse", connection_string=_sqlalchemy_url(url), kwargs={"connect_args": dict(SESSION)}
        )
        source.get_engine()
    return source


def _sqlalchemy_url(url: str) -> str:
    """Add the driver to a URL, and escape the dollar signs that Great Expectations would read as variables."""
    return "postgresql+psycopg://" + url.partition("://")[2].replace("$", "%24")


def _listen(engine: Any, faults: list[psycopg.Error], statements: Sequence[str]) -> None:
    """Collect the database's exceptions, of which the library keeps only texts, and prepare each session.

    The rows are a temporary view in the session. With a query instead, the library would fetch every row to find the
    names of the columns.
    """

    def prepare(session: psycopg.Connection[Any], _record: object) -> None:
        for statement in statements:
            session.execute(statement.encode())
        session.commit()

    def keep(context: Any) -> None:
        if isinstance(context.original_exception, psycopg.Error):
            faults.append(context.original_exception)

    engine.dispose()
    event.listen(engine, "connect", prepare)
    event.listen(engine, "handle_error", keep)


def _load_error(error: Exception, table: str) -> LoadError:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, psycopg.Error):
        cause = cause.__cause__
    if isinstance(cause, psycopg.Error):
        return translate(cause, f"Reading {table}")
    return LoadError(f"Great Expectations cannot read {table}: it raised {type(error).__name__}. Nothing was written.")
