"""PostgreSQL by ADBC: rows arrive as Arrow batches, without a step of Python for each.

Whole numbers, floats, truth values, texts and bytes are read as they are, decimals and moments if all values of the
table fit. The server writes all else as text, since the driver would change some values without an error: infinity,
arrays of arrays, numbers of type money.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from etl_assets.extract.database.catalogue import CatalogueColumn
from etl_assets.extract.database.dialects.base import Dialect, check_fit, digits_of, name_of
from etl_assets.extract.database.dialects.plain_cursors import CursorSession
from etl_assets.extract.database.dialects.postgresql_connection import connect, error_of
from etl_assets.extract.database.reading import Reading
from etl_assets.extract.database.texts import typed

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Sequence

    from etl_assets.errors import DeliveryError
    from etl_assets.extract.access.database import Database
    from etl_assets.extract.database.address import Address
    from etl_assets.extract.database.reading import Kind

_AS_IT_IS: Final[dict[str, pa.DataType]] = {
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "text": pa.string(),
    "character varying": pa.string(),
    "character": pa.string(),
    "bpchar": pa.string(),
    "name": pa.string(),
    "bytea": pa.binary(),
    "uuid": pa.uuid(),
}
_MOMENTS: Final[dict[str, tuple[Kind, pa.DataType, str]]] = {
    "date": ("moment", pa.date32(), "{0} BETWEEN '0001-01-01' AND '9999-12-31'"),
    "timestamp without time zone": ("moment", pa.timestamp("us"), "{0} >= '0001-01-01' AND {0} < '10000-01-01'"),
    "timestamp with time zone": (
        "moment",
        pa.timestamp("us", "UTC"),
        "{0} >= '0001-01-01 00:00:00+00' AND {0} < '10000-01-01 00:00:00+00'",
    ),
    "time without time zone": ("time", pa.time64("us"), "{0} < '24:00'"),
}
"""Kind and type in the file, and the condition that a value is among those of the type."""
_NUMBERS_AS_TEXT: Final = {"money": "{0}::numeric::text", "oid": "{0}::text"}
_OFFSET: Final = f"CASE WHEN {_MOMENTS['timestamp with time zone'][2]} THEN {{0}}::text || ':00' ELSE {{0}}::text END"
_SETTINGS: Final = (
    "SET LOCAL datestyle = 'ISO'",
    "SET LOCAL intervalstyle = 'postgres'",
    "SET LOCAL timezone = 'UTC'",
    "SET LOCAL extra_float_digits = 1",
    "SET LOCAL bytea_output = 'hex'",
    "SET LOCAL standard_conforming_strings = on",
    "SET LOCAL synchronize_seqscans = off",
    "SET LOCAL max_parallel_workers_per_gather = 0",
)
"""What decides how values are written, and in which order rows come."""
_COLUMNS: Final = """
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
    CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod) ELSE '' END
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = to_regclass({table}) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_TYPE_OF_QUERY: Final = """
SELECT format_type(t.oid, {modifier}), CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod) ELSE '' END
FROM pg_type t WHERE {condition} ORDER BY pg_type_is_visible(t.oid) DESC LIMIT 1
"""
_UNNAMED: Final = re.compile(r"unnamed<oid:([0-9]+)>")
"""How the driver names a type that it does not know."""


class PostgresqlDialect(Dialect):
    """The SQL of PostgreSQL."""

    def reading(self, column: CatalogueColumn, as_text: Collection[Kind]) -> Reading:
        """See `Dialect.reading`."""
        name, quoted = name_of(column.read_as), self.quote(column.name)
        if name in _AS_IT_IS:
            return Reading(column, quoted, _AS_IT_IS[name])
        if name in _MOMENTS and _MOMENTS[name][0] not in as_text:
            kind, type_, _ = _MOMENTS[name]
            return Reading(column, quoted, type_, kind)
        digits = digits_of(column.read_as) if name == "numeric" else None
        if digits is not None and "decimal" not in as_text:
            return Reading(column, self.as_text(quoted), pa.decimal128(*digits), "decimal")
        template = _OFFSET if name == "timestamp with time zone" else _NUMBERS_AS_TEXT.get(name, "{0}::text")
        return Reading(column, template.format(quoted), pa.string())

    def as_text(self, expression: str) -> str:
        """See `Dialect.as_text`."""
        return f"{expression}::text"

    def misfit(self, readings: Sequence[Reading]) -> str:
        """See `Dialect.misfit`."""
        conditions = [
            f"({_MOMENTS[name_of(reading.column.read_as)][2].format(reading.expression)})"
            for reading in readings
            if reading.kind in ("moment", "time")
        ]
        return f"NOT ({' AND '.join(conditions)})" if conditions else ""


class PostgresqlSession(CursorSession):
    """A connection to PostgreSQL, in a transaction of REPEATABLE READ that cannot write."""

    def __init__(self, address: Address, access: Database) -> None:
        """Connect."""
        self.dialect: PostgresqlDialect = PostgresqlDialect()
        self.notes: list[str] = []
        self._address = address
        self._connection = connect(address, access)
        self._cursor = self._connection.cursor()

    def begin(self, access: Database) -> None:
        """See `Session.begin`."""
        milliseconds = int(access.deadline * 1000)
        settings = (*_SETTINGS, f"SET LOCAL statement_timeout = {min(milliseconds, 2**31 - 1)}")
        for statement in ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY", *settings):
            self._cursor.execute(statement)
        self._now = self.row("SELECT transaction_timestamp()")[0]

    def columns(self, table: Sequence[str], query: str) -> list[CatalogueColumn]:
        """See `Session.columns`."""
        if table:
            name = self.dialect.text(".".join(map(self.dialect.quote, table)))
            self._cursor.execute(_COLUMNS.format(table=name))
            return [CatalogueColumn(*row) for row in self._cursor.fetchall()]
        return [self._column_of_query(field) for field in self._cursor.adbc_execute_schema(query)]

    def batches(self, statement: str, readings: Sequence[Reading]) -> Generator[pa.RecordBatch]:
        """See `Session.batches`."""
        names = [reading.column.name for reading in readings]
        self._cursor.execute(statement)
        with self._cursor.fetch_record_batch() as reader:
            for batch in reader:
                check_fit(batch, readings)
                columns = [typed(column, reading) for column, reading in zip(batch.columns, readings, strict=False)]
                yield pa.record_batch(columns, names)

    def error(self, error: Exception) -> DeliveryError | None:
        """See `Session.error`."""
        return error_of(error, self._address, self._is_alive)

    def close(self) -> None:
        """See `Session.close`; the driver closes no connection with an open cursor."""
        self._cursor.close()
        self._connection.close()

    def _is_alive(self) -> bool:
        """Whether the server still answers, after it ended a statement."""
        try:
            self._connection.rollback()
            self._cursor.execute("SELECT 1")
        except Exception:  # noqa: BLE001 -- any error answers the question
            return False
        return True

    def _column_of_query(self, field: Any) -> CatalogueColumn:
        about = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        name = about.get("ADBC:postgresql:typname") or about.get("POSTGRESQL:type", "text")
        number = _UNNAMED.fullmatch(name)
        condition = f"t.oid = {number[1]}" if number else f"t.typname = {self.dialect.text(name)}"
        modifier = int(about.get("POSTGRESQL:typmod", "-1"))
        type_, base = self.row(_TYPE_OF_QUERY.format(modifier=modifier, condition=condition))
        return CatalogueColumn(field.name, type_, None, base)
