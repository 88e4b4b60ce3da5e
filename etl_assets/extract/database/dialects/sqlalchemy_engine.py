"""Any database that SQLAlchemy has a dialect of: its driver returns objects of Python, which are written as texts."""

from __future__ import annotations

import warnings
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from sqlalchemy import Date, DateTime, String, exc, inspect, literal
from sqlalchemy.sql import quoted_name

from etl_assets.errors import DeliveryError, EtlAssetsError
from etl_assets.extract.database.catalogue import CatalogueColumn
from etl_assets.extract.database.dialects.base import Dialect, Session
from etl_assets.extract.database.dialects.cursors import batches_of
from etl_assets.extract.database.dialects.sqlalchemy_connection import engine_of
from etl_assets.extract.database.dialects.sqlalchemy_errors import not_opened, of_statement
from etl_assets.extract.database.dialects.sqlalchemy_snapshot import begin
from etl_assets.extract.database.python_values import texts_of
from etl_assets.extract.database.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping, Sequence

    from sqlalchemy.engine import Dialect as SqlalchemyOwn
    from sqlalchemy.types import TypeEngine

    from etl_assets.extract.access.database import Database
    from etl_assets.extract.database.address import Address
    from etl_assets.extract.database.reading import Kind
    from etl_assets.extract.incremental import Cursor

_TYPED: Final = ("trino", "presto", "awsathena")
"""Databases that compare moments with moments alone, and not with their texts."""
_WITHOUT_ZONES: Final = ("mysql", "mariadb", "sqlite", "clickhouse", "clickhousedb", "ibm_db_sa", "db2")
"""Databases where the text of an instant has no offset; their sessions are in UTC, or know no zones."""
_BACKSLASHES: Final = ("postgresql", "cockroachdb", "sqlite", "mssql", "oracle", "duckdb", "mysql", "mariadb")
"""Databases where SQLAlchemy writes a backslash so that it is one."""
_CLOCKS: Final = ("mysql", "mariadb")
"""Databases whose times of day come as durations, since they may be longer than a day."""


class SqlalchemyDialect(Dialect):
    """The SQL of a dialect of SQLAlchemy. Statements go to the driver as they are, without parameters."""

    def __init__(self, dialect: SqlalchemyOwn) -> None:
        """Take the dialect."""
        self._dialect = dialect

    def reading(self, column: CatalogueColumn, as_text: Collection[Kind]) -> Reading:  # noqa: ARG002 -- all are texts
        """See `Dialect.reading`."""
        return Reading(column, self.quote(column.name), pa.string())

    def quote(self, name: str) -> str:
        """See `Dialect.quote`."""
        quoted = self._dialect.identifier_preparer.quote_identifier
        return self._plain(quoted(name), quoted("%"))

    def text(self, text: str) -> str:
        """See `Dialect.text`."""
        if "\\" in text and self._dialect.name not in _BACKSLASHES:
            raise DeliveryError(
                f"The key of the partition has a backslash, which a database of {self._dialect.name!r} may not read as "
                "one. Nothing was written. Rename the partition."
            )
        return self._literal(text, String())

    def moment(self, moment: datetime) -> str:
        """Return a moment as SQL: ``'2024-01-31 12:00:00.000000'``, an instant in UTC with ``+00:00``."""
        plain = moment.replace(tzinfo=None)
        offset = "+00:00" if moment.tzinfo is not None and self._dialect.name not in _WITHOUT_ZONES else ""
        if self._dialect.name == "oracle":
            return f"TIMESTAMP '{plain.isoformat(' ', 'microseconds')}{offset and ' ' + offset}'"
        if self._dialect.name in _TYPED:
            return f"TIMESTAMP '{plain.isoformat(' ', 'microseconds')}{offset and ' UTC'}'"
        text = self._literal(plain, DateTime())
        return f"{text[:-1]}{offset}'" if text.startswith("'") else text

    def literal(self, value: Cursor | str) -> str:
        """See `Dialect.literal`."""
        if isinstance(value, date) and not isinstance(value, datetime):
            return f"{'DATE ' if self._dialect.name in _TYPED else ''}{self._literal(value, Date())}"
        return super().literal(value)

    def as_text(self, expression: str) -> str:
        """Return the expression: its value is compared as Python writes it."""
        return expression

    def _literal(self, value: Any, type_: TypeEngine[Any]) -> str:
        return self._plain(self._compiled(value, type_), self._compiled("%", String()))

    def _compiled(self, value: Any, type_: TypeEngine[Any]) -> str:
        return str(literal(value, type_).compile(dialect=self._dialect, compile_kwargs={"literal_binds": True}))

    def _plain(self, sql: str, percent_sign: str) -> str:
        """Return SQL without doubled percent signs, which are for parameters, of which there are none."""
        return sql.replace("%%", "%") if "%%" in percent_sign else sql


class SqlalchemySession(Session):
    """A connection of SQLAlchemy, in one transaction."""

    def __init__(self, address: Address, access: Database) -> None:
        """Connect, and begin the transaction."""
        self._address = address
        self._name = address.url.partition("://")[0]
        try:
            self._engine = engine_of(address, access)
            self._connection, self.notes = begin(self._engine)
        except EtlAssetsError:
            raise
        except Exception as error:
            known = not_opened(error, address, self._name)
            if known is None:
                raise
            raise known from None
        self._own = self._engine.dialect
        self.dialect: SqlalchemyDialect = SqlalchemyDialect(self._own)

    def columns(self, table: Sequence[str], query: str) -> list[CatalogueColumn]:
        """See `Session.columns`."""
        known: Mapping[str, CatalogueColumn] | None = {}
        if table:
            try:
                known = self._inspected(table)
            except (exc.SQLAlchemyError, NotImplementedError) as error:
                self._begin_again(error)
        if known is None:
            return []
        what = f"({query}\n) q" if query else ".".join(map(self.dialect.quote, table))
        with self._connection.exec_driver_sql(f"SELECT * FROM {what} WHERE 1 = 0") as result:
            cursor: Any = result.cursor
            described: Sequence[Any] = cursor.description
        return [known.get(about[0]) or CatalogueColumn(about[0], _type_of(about)) for about in described]

    def row(self, statement: str) -> tuple[Any, ...]:
        """See `Session.row`."""
        with self._connection.exec_driver_sql(statement) as result:
            (row,) = result.fetchall()
        return tuple(row)

    def batches(self, statement: str, readings: Sequence[Reading]) -> Generator[pa.RecordBatch]:
        """Yield the rows of a statement; the server keeps them until they are asked for, where the driver has that.

        A `Result` of SQLAlchemy fetches as many rows as are asked for, and no buffer of its own grows: so many rows
        are asked for that a batch has about a size.
        """
        names, clocks = [reading.column.name for reading in readings], self._own.name in _CLOCKS

        def convert(columns: Sequence[Sequence[Any]]) -> Sequence[Any]:
            return [texts_of(cells, name, clocks=clocks) for cells, name in zip(columns, names, strict=True)]

        result = self._connection.exec_driver_sql(statement, execution_options={"stream_results": True})
        is_over = False
        try:
            yield from batches_of(result.fetchmany, convert, names)
            is_over = True
        finally:
            if not is_over:
                self._connection.invalidate()  # to close the result could read it to its end
            result.close()

    def error(self, error: Exception) -> DeliveryError | None:
        """See `Session.error`."""
        return of_statement(error, self._address, self._own.name)

    def close(self) -> None:
        """End the connection, and with it the transaction, without waiting for the server."""
        if not self._connection.closed and not self._connection.invalidated:
            self._connection.invalidate()
        self._connection.close()

    def _inspected(self, table: Sequence[str]) -> Mapping[str, CatalogueColumn] | None:
        """Return what the dialect knows of a table, by the names of the columns; None if there is no such table."""
        schema = ".".join(table[:-1])
        if len(table) == 2:  # noqa: PLR2004 -- one name, which may have a point
            schema = quoted_name(schema, quote=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", exc.SAWarning)  # of types that the dialect does not know
            try:
                inspector = inspect(self._connection)
                columns = inspector.get_columns(table[-1], schema or None)
                if not columns and not inspector.has_table(table[-1], schema or None):
                    return None
            except exc.NoSuchTableError:
                return None
            return {
                name: CatalogueColumn(name, self._written(column["type"]), column.get("nullable"))
                for column in columns
                for name in {column["name"], self._folded(column["name"])}
            }

    def _begin_again(self, error: Exception) -> None:
        """Connect again, since a statement that failed may have ended the transaction; nothing was read in it yet."""
        self.close()
        self._connection, self.notes = begin(self._engine)
        self.notes.append(
            f"The dialect {self._own.name!r} cannot look up the columns of the table ({type(error).__name__}), so that "
            "their types are as its driver writes them, and it is not known which of them may be null."
        )

    def _folded(self, name: str) -> str:
        """Return a name as the catalogue has it; SQLAlchemy writes those of some databases in small letters."""
        own: Any = self._own
        return str(own.denormalize_name(name)) if own.requires_name_normalize else name

    def _written(self, type_: TypeEngine[Any]) -> str:
        try:
            return type_.compile(self._own)
        except exc.CompileError:
            return ""


def _type_of(about: Sequence[Any]) -> str:
    """Return the type of a column of a query, as the driver describes it: its name or number, and its digits."""
    code, precision, scale = about[1], about[4], about[5]
    name = code if isinstance(code, str) else getattr(code, "__name__", None) or str(code)
    digits = ",".join(str(number) for number in (precision, scale) if isinstance(number, int))
    return f"{name}({digits})" if precision and digits else str(name)
