"""The library's way to the rows of one table: sessions that cannot write, and what the database raises in them."""

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
from etl_assets.postgres.tables.audit_queries import READ_ONLY, SESSION, rows_view

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_VIEW: Final = "rows_in_question"
_NOT_OF_THE_QUESTION: Final = frozenset({"transient", "environment"})


@dataclass
class Session:
    """What validates expectations against some rows.

    Attributes:
        table: ``schema.table``.
        batch: Great Expectations' batch of the rows.
        faults: What the database raised since the last question was asked.
    """

    table: str
    batch: Any
    faults: list[psycopg.Error] = field(default_factory=list)

    def validate(self, asked: Any, how: Mapping[str, Any]) -> Any:
        """Ask an expectation, or a suite of them.

        Args:
            asked: Great Expectations' own object.
            how: Its result format.

        Returns:
            Its result, or the name of what it raised.

        Raises:
            TransientLoadError: If the database broke off.
            EnvironmentFaultError: If the database cannot answer anything.
        """
        self.faults.clear()
        with library.silence():
            try:
                result = self.batch.validate(asked, result_format=dict(how))
            except Exception as error:  # noqa: BLE001 -- whatever an expectation raises; its text may hold values
                result = type(error).__name__
        for fault in self.faults:
            if fault_of(fault) in _NOT_OF_THE_QUESTION:
                raise translate(fault, f"Holding {self.table} against its expectations") from None
        return result


@contextmanager
def reading(url: str, table: str, deliveries: Sequence[int] | None) -> Iterator[Session]:
    """A way to the rows of a table, or to those that some deliveries brought, for the length of a block.

    Args:
        url: ``postgresql://…`` of the warehouse.
        table: ``schema.table``; it exists.
        deliveries: Their ids; all rows when None.

    Raises:
        TransientLoadError: If the database broke off.
        LoadError: If the table cannot be read.
    """
    faults: list[psycopg.Error] = []
    engines: list[Any] = []
    try:
        with library.silence():
            try:
                source = _source(url)
                engines += [source.get_engine(), source.get_execution_engine().engine]
                for engine in engines:
                    _listen(engine, faults, rows_view(_VIEW, table, deliveries))
                asset = source.add_table_asset(table, table_name=_VIEW)
                batch = asset.add_batch_definition_whole_table("rows").get_batch()
            except Exception as error:  # noqa: BLE001 -- whatever it raises; its text may hold more than is told
                raise _refused(error, table) from None
        yield Session(table, batch, faults)
    finally:
        for engine in engines:
            engine.dispose()


def _source(url: str) -> Any:
    """The library's datasource.

    Not its own one for Postgres, which refuses URLs without a host or a user; of that it warns.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are using a generic SQLDatasource")
        source = library.context().data_sources.add_sql(
            "warehouse", connection_string=_sqlalchemy_url(url), kwargs={"connect_args": dict(SESSION)}
        )
        source.get_engine()
    return source


def _sqlalchemy_url(url: str) -> str:
    """The URL with its driver, and without the sign that Great Expectations takes for a variable's name."""
    return "postgresql+psycopg://" + url.partition("://")[2].replace("$", "%24")


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


def _refused(error: Exception, table: str) -> LoadError:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, psycopg.Error):
        cause = cause.__cause__
    if isinstance(cause, psycopg.Error):
        return translate(cause, f"Reading {table}")
    return LoadError(f"Great Expectations cannot read {table}: it raised {type(error).__name__}. Nothing was written.")
