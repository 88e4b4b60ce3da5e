"""DuckDB by its own package: rows arrive as Arrow batches; types that Arrow or Parquet lack are written as text."""

from __future__ import annotations

from threading import Timer
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from etl_assets.errors import DeliveryError
from etl_assets.extract.access.base import required
from etl_assets.extract.database import errors
from etl_assets.extract.database.catalogue import CatalogueColumn
from etl_assets.extract.database.dialects.base import Dialect, Session, check_fit, digits_of, name_of
from etl_assets.extract.database.reading import Reading
from etl_assets.extract.database.texts import typed

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Sequence

    from etl_assets.extract.access.database import Database
    from etl_assets.extract.database.address import Address
    from etl_assets.extract.database.reading import Kind

_ROWS: Final = 16_384
_AS_IT_IS: Final[dict[str, pa.DataType]] = {
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "utinyint": pa.uint8(),
    "usmallint": pa.uint16(),
    "uinteger": pa.uint32(),
    "ubigint": pa.uint64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "varchar": pa.string(),
    "blob": pa.binary(),
}
_MOMENTS: Final[dict[str, tuple[Kind, pa.DataType, str]]] = {
    "date": ("moment", pa.date32(), "{0} BETWEEN DATE '0001-01-01' AND DATE '9999-12-31'"),
    "timestamp": (
        "moment",
        pa.timestamp("us"),
        "{0} >= TIMESTAMP '0001-01-01' AND {0} <= TIMESTAMP '9999-12-31 23:59:59.999999'",
    ),
    "timestamp with time zone": (
        "moment",
        pa.timestamp("us", "UTC"),
        "{0} >= TIMESTAMPTZ '0001-01-01 00:00:00+00' AND {0} <= TIMESTAMPTZ '9999-12-31 23:59:59.999999+00'",
    ),
    "time": ("time", pa.time64("us"), "{0} < TIME '24:00:00'"),
}
_OFFSET: Final = "CASE WHEN isfinite({0}) THEN {0}::VARCHAR || ':00' ELSE {0}::VARCHAR END"
_NESTED: Final = ("STRUCT(", "MAP(", "UNION(")


class DuckdbDialect(Dialect):
    """The SQL of DuckDB."""

    def reading(self, column: CatalogueColumn, as_text: Collection[Kind]) -> Reading:
        """See `Dialect.reading`."""
        name, quoted = name_of(column.type), self.quote(column.name)
        if column.type.endswith("]") or column.type.startswith(_NESTED):
            return Reading(column, f"to_json({quoted})::VARCHAR", pa.string())
        if name in _AS_IT_IS:
            return Reading(column, quoted, _AS_IT_IS[name])
        if name in _MOMENTS and _MOMENTS[name][0] not in as_text:
            kind, type_, _ = _MOMENTS[name]
            return Reading(column, quoted, type_, kind)
        digits = digits_of(column.type) if name == "decimal" else None
        if digits is not None:
            return Reading(column, quoted, pa.decimal128(*digits))
        template = _OFFSET if name == "timestamp with time zone" else "{0}::VARCHAR"
        return Reading(column, template.format(quoted), pa.string())

    def misfit(self, readings: Sequence[Reading]) -> str:
        """See `Dialect.misfit`."""
        conditions = [
            f"({_MOMENTS[name_of(reading.column.type)][2].format(reading.expression)})"
            for reading in readings
            if reading.kind is not None
        ]
        return f"NOT ({' AND '.join(conditions)})" if conditions else ""

    def as_text(self, expression: str) -> str:
        """See `Dialect.as_text`."""
        return f"CAST({expression} AS VARCHAR)"


class DuckdbSession(Session):
    """A file of DuckDB, read only, in one transaction."""

    def __init__(self, address: Address, access: Database) -> None:
        """Open the file."""
        self._duckdb = required("duckdb", "duckdb")
        self.dialect: DuckdbDialect = DuckdbDialect()
        self.notes: list[str] = []
        self._address = address
        if not address.path.is_file():
            raise errors.missing(address, "file")
        try:
            self._connection = self._duckdb.connect(str(address.path), read_only=True)
        except self._duckdb.Error as error:
            raise self._not_opened(error) from None
        self._timer = Timer(access.deadline, self._connection.interrupt)
        self._timer.daemon = True
        self._timer.start()

    def begin(self, access: Database) -> None:  # noqa: ARG002 -- others need it
        """See `Session.begin`."""
        for statement in ("SET TimeZone = 'UTC'", "SET enable_external_access = false", "BEGIN TRANSACTION"):
            self._connection.execute(statement)

    def columns(self, table: Sequence[str], query: str) -> list[CatalogueColumn]:
        """See `Session.columns`."""
        what = f"SELECT * FROM ({query}\n) q" if query else ".".join(map(self.dialect.quote, table))
        rows = self._connection.execute(f"DESCRIBE {what}").fetchall()
        return [CatalogueColumn(row[0], row[1], None if query else row[2] == "YES") for row in rows]

    def row(self, statement: str) -> tuple[Any, ...]:
        """See `Session.row`."""
        (row,) = self._connection.execute(statement).fetchall()
        return tuple(row)

    def batches(self, statement: str, readings: Sequence[Reading]) -> Generator[pa.RecordBatch]:
        """See `Session.batches`."""
        names = [reading.column.name for reading in readings]
        relation = self._connection.sql(statement)
        reader = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
        for batch in reader(_ROWS):
            check_fit(batch, readings)
            columns = [_typed(column, reading) for column, reading in zip(batch.columns, readings, strict=False)]
            yield pa.record_batch(columns, names)

    def error(self, error: Exception) -> DeliveryError | None:
        """See `Session.error`."""
        if isinstance(error, self._duckdb.InterruptException) or "INTERRUPT" in str(error):
            return errors.too_slow(self._address)
        if isinstance(error, self._duckdb.CatalogException):
            return errors.missing(self._address, f"such table ({errors.first_line(str(error))})")
        if isinstance(error, self._duckdb.ParserException | self._duckdb.BinderException):
            return errors.failed(self._address, errors.first_line(str(error)), statement=True)
        if isinstance(error, self._duckdb.Error | OSError | pa.ArrowException):
            return errors.failed(self._address, type(error).__name__)
        return None

    def close(self) -> None:
        """See `Session.close`."""
        self._timer.cancel()
        self._connection.close()

    def _not_opened(self, error: Exception) -> DeliveryError:
        if isinstance(error, self._duckdb.IOException) and "lock" in str(error):
            return errors.unreachable(self._address, "another process writes the file")
        return DeliveryError(
            f"{self._address.url} cannot be opened, or is no DuckDB database that this version reads "
            f"({type(error).__name__}). Nothing was written. Check the file, its rights and the version of duckdb."
        )


def _typed(column: Any, reading: Reading) -> Any:
    """Return a column in the type of its reading; the zone of an instant may have another name for UTC."""
    if pa.types.is_timestamp(reading.type) and column.type != reading.type:
        return column.view(reading.type)
    return typed(column, reading)
