"""MariaDB and MySQL by PyMySQL: the server writes all values as text, and none is converted by the driver.

So zero dates, times beyond a day, unsigned numbers and decimals of 65 digits are what the database has.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pyarrow as pa

from etl_assets.extract.access.base import required
from etl_assets.extract.database.catalogue import CatalogueColumn
from etl_assets.extract.database.dialects.base import Dialect, Session, digits_of, name_of
from etl_assets.extract.database.dialects.cursors import batches_of
from etl_assets.extract.database.dialects.mysql_connection import connect, error_of, type_of_field
from etl_assets.extract.database.reading import Reading, UnfitError
from etl_assets.extract.database.texts import column_of

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Sequence

    from etl_assets.errors import DeliveryError
    from etl_assets.extract.access.database import Database
    from etl_assets.extract.database.address import Address
    from etl_assets.extract.database.reading import Kind

_INTEGERS: Final = ("tinyint", "smallint", "mediumint", "int", "bigint", "year")
_BYTES: Final = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")
_FLOAT: Final = ("{0} + 0e0", pa.float64())
"""A float itself would be written with six digits."""
_MOMENTS: Final[dict[str, tuple[Kind, pa.DataType]]] = {
    "date": ("moment", pa.date32()),
    "datetime": ("moment", pa.timestamp("us")),
    "timestamp": ("moment", pa.timestamp("us", "UTC")),
    "time": ("time", pa.time64("us")),
}
_SHAPES: Final = (
    *("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"),
    *("geometrycollection", "geomcollection"),
)
_SHAPE: Final = "CONCAT('SRID=', ST_SRID({0}), ';', ST_AsText({0}))"
_OTHER: Final[dict[str, tuple[str, pa.DataType]]] = {
    **dict.fromkeys(_BYTES, ("{0}", pa.binary())),
    **dict.fromkeys(_SHAPES, (_SHAPE, pa.string())),
    **dict.fromkeys(("float", "double"), _FLOAT),
    "bit": ("{0} + 0", pa.uint64()),
}
_COLUMNS: Final = """
SELECT COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = {schema} AND TABLE_NAME = {table} ORDER BY ORDINAL_POSITION
"""


class MysqlDialect(Dialect):
    """The SQL of MariaDB and MySQL."""

    quotes: ClassVar[tuple[str, str]] = ("`", "`")

    def reading(self, column: CatalogueColumn, as_text: Collection[Kind]) -> Reading:
        """See `Dialect.reading`."""
        type_, quoted = column.type.lower(), self.quote(column.name)
        name = name_of(type_).partition(" ")[0]
        if name in _MOMENTS:
            return self._moment(column, name, as_text)
        if name in _INTEGERS and not type_.startswith("tinyint(1)"):
            return Reading(column, quoted, pa.uint64() if "unsigned" in type_ else pa.int64())
        if name in _OTHER:
            template, type_in_file = _OTHER[name]
            return Reading(column, template.format(quoted), type_in_file)
        digits = digits_of(type_) if name == "decimal" else None
        if digits is not None and "decimal" not in as_text:
            return Reading(column, quoted, pa.decimal128(*digits), "decimal")
        return Reading(column, quoted, pa.string())

    def _moment(self, column: CatalogueColumn, name: str, as_text: Collection[Kind]) -> Reading:
        kind, type_ = _MOMENTS[name]
        quoted = self.quote(column.name)
        if kind not in as_text:
            return Reading(column, quoted, type_, kind)
        return Reading(column, f"CONCAT({quoted}, '+00:00')" if name == "timestamp" else quoted, pa.string())

    def text(self, text: str) -> str:
        """Return a text as SQL: its bytes, since a backslash means what the server is set to."""
        return f"_utf8mb4 X'{text.encode().hex()}'"

    def moment(self, moment: datetime) -> str:
        """See `Dialect.moment`; the session is in UTC."""
        return f"'{moment.replace(tzinfo=None).isoformat(' ', 'microseconds')}'"

    def as_text(self, expression: str) -> str:
        """See `Dialect.as_text`."""
        return f"CAST({expression} AS CHAR)"


class MysqlSession(Session):
    """A connection to MariaDB or MySQL, in a consistent snapshot."""

    def __init__(self, address: Address, access: Database) -> None:
        """Connect."""
        self.dialect: MysqlDialect = MysqlDialect()
        self.notes: list[str] = []
        self._address = address
        self._connection = connect(address, access)

    def begin(self, access: Database) -> None:  # noqa: ARG002 -- others need it
        """See `Session.begin`."""
        self._run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        self._run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        (now,) = self.row("SELECT CAST(UTC_TIMESTAMP(6) AS CHAR)")
        self._now = datetime.fromisoformat(now).replace(tzinfo=UTC)

    def columns(self, table: Sequence[str], query: str) -> list[CatalogueColumn]:
        """See `Session.columns`."""
        if not table:
            with self._connection.cursor() as cursor:
                cursor.execute(f"SELECT * FROM ({query}\n) q LIMIT 0")
                return [type_of_field(field) for field in cursor._result.fields]  # noqa: SLF001 -- the description lacks flags
        schema = self.dialect.text(table[-2]) if len(table) > 1 else "DATABASE()"
        rows = self._run(_COLUMNS.format(schema=schema, table=self.dialect.text(table[-1])))
        return [CatalogueColumn(name, type_, nullable == "YES") for name, type_, nullable in map(_decoded, rows)]

    def row(self, statement: str) -> tuple[Any, ...]:
        """See `Session.row`."""
        (row,) = self._run(statement)
        return _decoded(row)

    def batches(self, statement: str, readings: Sequence[Reading]) -> Generator[pa.RecordBatch]:
        """See `Session.batches`."""

        def convert(columns: Sequence[Sequence[Any]]) -> Sequence[Any]:
            return [column_of(cells, reading) for cells, reading in zip(columns, readings, strict=True)]

        cursor = self._connection.cursor(required("pymysql.cursors", "mysql").SSCursor)
        is_over = False
        try:
            cursor.execute(statement)
            yield from batches_of(cursor.fetchmany, convert, [reading.column.name for reading in readings])
            is_over = True
        except UnfitError:  # the rest is skipped, and all is read again in the same snapshot
            is_over = True
            raise
        finally:
            if not is_over:
                self._abandon(cursor)
            cursor.close()

    def now(self) -> datetime:
        """See `Session.now`."""
        return self._now

    def error(self, error: Exception) -> DeliveryError | None:
        """See `Session.error`."""
        return error_of(error, self._address)

    def close(self) -> None:
        """See `Session.close`."""
        self._connection._force_close()  # noqa: SLF001 -- `close` would wait for a server that may not answer

    def _abandon(self, cursor: Any) -> None:
        """End the connection in the middle of a result, which the driver would read to its end before it closes."""
        if cursor._result is not None:  # noqa: SLF001 -- there is no other way
            cursor._result.unbuffered_active = False  # noqa: SLF001 -- as above
        self._connection._force_close()  # noqa: SLF001 -- as above

    def _run(self, statement: str) -> Sequence[Any]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            rows: Sequence[Any] = cursor.fetchall()
            return rows


def _decoded(row: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(cell.decode() if isinstance(cell, bytes) else cell for cell in row)
