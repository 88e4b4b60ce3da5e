"""SQL Server by pymssql: the server writes decimals, moments and texts in a notation that all values are exact in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, Final

import pyarrow as pa

from etl_assets.extract.access.base import required
from etl_assets.extract.database import errors
from etl_assets.extract.database.catalogue import CatalogueColumn
from etl_assets.extract.database.dialects.base import Dialect, digits_of, name_of
from etl_assets.extract.database.dialects.plain_cursors import CursorSession, rows_of
from etl_assets.extract.database.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Sequence

    from etl_assets.errors import DeliveryError
    from etl_assets.extract.access.database import Database
    from etl_assets.extract.database.address import Address
    from etl_assets.extract.database.reading import Kind

_AS_IT_IS: Final[dict[str, pa.DataType]] = {
    **dict.fromkeys(("tinyint", "smallint", "int", "bigint"), pa.int64()),
    **dict.fromkeys(("real", "float"), pa.float64()),
    "bit": pa.bool_(),
}
_MONEY: Final = {"money": (19, 4), "smallmoney": (10, 4)}
_MOMENTS: Final[dict[str, tuple[Kind, pa.DataType, str]]] = {
    "date": ("moment", pa.date32(), "CONVERT(varchar(10), {0}, 23)"),
    "datetime": ("moment", pa.timestamp("us"), "CONVERT(varchar(23), {0}, 121)"),
    "smalldatetime": ("moment", pa.timestamp("us"), "CONVERT(varchar(23), {0}, 121)"),
    "datetime2": ("moment", pa.timestamp("us"), "CONVERT(varchar(27), {0}, 121)"),
    "datetimeoffset": (
        "moment",
        pa.timestamp("us", "UTC"),
        "CONVERT(varchar(27), CAST(SWITCHOFFSET({0}, '+00:00') AS datetime2(7)), 121)",
    ),
    "time": ("time", pa.time64("us"), "CONVERT(varchar(16), {0}, 121)"),
}
_SEVEN_DIGITS: Final = ("datetime2", "datetimeoffset", "time")
"""Types that may have seven digits of the second, of which the last one is left out where it is zero."""
_WITHOUT_ZERO: Final = "CASE WHEN RIGHT({0}, 8) LIKE '.______0' THEN LEFT({0}, LEN({0}) - 1) ELSE {0} END"
_BYTES: Final = ("binary", "varbinary", "image", "timestamp", "rowversion")
_OTHER: Final = {
    "uniqueidentifier": "LOWER(CONVERT(char(36), {0}))",
    "hierarchyid": "{0}.ToString()",
    "geometry": "{0}.ToString()",
    "geography": "{0}.ToString()",
}
_COLUMNS: Final = """
SELECT name, system_type_name, is_nullable, error_number, error_message
FROM sys.dm_exec_describe_first_result_set({statement}, NULL, 0) WHERE is_hidden = 0 ORDER BY column_ordinal
"""
_SNAPSHOTS: Final = "SELECT snapshot_isolation_state FROM sys.databases WHERE name = DB_NAME()"
_SETTINGS: Final = ("SET TEXTSIZE 2147483647", "SET DATEFORMAT ymd", "SET LOCK_TIMEOUT {milliseconds}")
_CODES: Final = errors.Codes(
    login=(18452, 18456),
    not_allowed=(229, 230, 297, 300, 916),
    missing=(208, 4060),
    too_slow=(20003,),
    passing=(1205, 1222, 3960, 10054, 10060, 20002, 20004, 20006, 20009, 20047),
    statement=(102, 156, 207, 209, 8156),
)


class SqlserverDialect(Dialect):
    """The SQL of SQL Server."""

    quotes: ClassVar[tuple[str, str]] = ("[", "]")

    def reading(self, column: CatalogueColumn, as_text: Collection[Kind]) -> Reading:
        """See `Dialect.reading`."""
        name, quoted = name_of(column.type), self.quote(column.name)
        if name in _AS_IT_IS:
            return Reading(column, quoted, _AS_IT_IS[name])
        if name in _MOMENTS:
            return self._moment(column, name, as_text)
        digits = digits_of(column.type) if name in ("decimal", "numeric") else _MONEY.get(name)
        if digits is not None:
            style = ", 2" if name in _MONEY else ""
            return Reading(column, f"CONVERT(varchar(50), {quoted}{style})", pa.decimal128(*digits))
        if name in _BYTES:
            return Reading(column, f"CONVERT(varbinary(max), {quoted})", pa.binary())
        return Reading(column, _OTHER.get(name, "CONVERT(nvarchar(max), {0})").format(quoted), pa.string())

    def _moment(self, column: CatalogueColumn, name: str, as_text: Collection[Kind]) -> Reading:
        kind, type_, template = _MOMENTS[name]
        expression = template.format(self.quote(column.name))
        if name in _SEVEN_DIGITS:
            expression = _WITHOUT_ZERO.format(expression)
        if kind not in as_text:
            return Reading(column, expression, type_, kind)
        return Reading(column, f"{expression} + '+00:00'" if name == "datetimeoffset" else expression, pa.string())

    def text(self, text: str) -> str:
        """See `Dialect.text`."""
        return f"N{super().text(text)}"

    def moment(self, moment: datetime) -> str:
        """See `Dialect.moment`."""
        written = moment.replace(tzinfo=None).isoformat("T", "microseconds")
        if moment.tzinfo is None:
            return f"CAST('{written}' AS datetime2(6))"
        return f"CAST('{written}+00:00' AS datetimeoffset(6))"

    def as_text(self, expression: str) -> str:
        """See `Dialect.as_text`."""
        return f"CONVERT(varchar(50), {expression}, 121)"


class SqlserverSession(CursorSession):
    """A connection to SQL Server, in a transaction of SNAPSHOT if the database allows it."""

    def __init__(self, address: Address, access: Database) -> None:
        """Connect."""
        self._pymssql = required("pymssql", "sqlserver")
        self.dialect: SqlserverDialect = SqlserverDialect()
        self.notes: list[str] = []
        self._address = address
        seconds = max(1, int(min(access.timeout, 60)))
        try:
            self._connection = self._pymssql.connect(
                server=address.host,
                port=str(address.port),
                user=access.user or None,
                password=access.read_password() or None,
                database=address.database,
                login_timeout=seconds,
                timeout=max(1, int(access.deadline)),
                charset="UTF-8",
                autocommit=True,
                appname="etl-assets",
                encryption="require" if access.tls and not address.is_local else "request",
            )
        except self._pymssql.Error as error:
            raise self.error(error) or errors.unreachable(address) from None
        self._cursor = self._connection.cursor()

    def begin(self, access: Database) -> None:
        """See `Session.begin`."""
        milliseconds = int(min(access.timeout * 1000, 2**31 - 1))
        for statement in _SETTINGS:
            self._cursor.execute(statement.format(milliseconds=milliseconds))
        (now,) = self.row("SELECT CONVERT(varchar(26), SYSUTCDATETIME(), 121)")
        self._now = datetime.fromisoformat(now).replace(tzinfo=UTC)
        (state,) = self.row(_SNAPSHOTS)
        if state == 1:
            self._cursor.execute("SET TRANSACTION ISOLATION LEVEL SNAPSHOT")
        else:
            self.notes.append(
                "The database does not allow snapshots, so that rows that changed during the fetch may be missing or "
                "twice. Have ALLOW_SNAPSHOT_ISOLATION set."
            )
        self._cursor.execute("BEGIN TRANSACTION")

    def columns(self, table: Sequence[str], query: str) -> list[CatalogueColumn]:
        """See `Session.columns`."""
        what = f"({query}\n) q" if query else ".".join(map(self.dialect.quote, table))
        self._cursor.execute(_COLUMNS.format(statement=self.dialect.text(f"SELECT * FROM {what}")))
        rows = self._cursor.fetchall()
        for *_, code, words in rows:
            if code in _CODES.missing:
                return []
            if code:
                raise errors.failed(self._address, errors.first_line(words), statement=True)
        return [CatalogueColumn(name, type_, None if query else bool(nullable)) for name, type_, nullable, *_ in rows]

    def batches(self, statement: str, readings: Sequence[Reading]) -> Generator[pa.RecordBatch]:
        """See `Session.batches`."""
        self._cursor.execute(statement)
        yield from rows_of(self._cursor, readings)

    def error(self, error: Exception) -> DeliveryError | None:
        """See `Session.error`."""
        if not isinstance(error, self._pymssql.Error):
            return None
        first = error.args[0] if error.args else 0
        code = first[0] if isinstance(first, tuple) else first
        return _CODES.error(self._address, code if isinstance(code, int) else 0)
