"""Oracle by oracledb, without a client: the server writes numbers and moments as texts that are exact."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

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
    **dict.fromkeys(("varchar2", "nvarchar2", "char", "nchar", "clob", "nclob", "long"), pa.string()),
    **dict.fromkeys(("raw", "blob", "long raw"), pa.binary()),
    **dict.fromkeys(("binary_float", "binary_double"), pa.float64()),
    "boolean": pa.bool_(),
}
_NUMBER: Final = "TO_CHAR({0}, 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''')"
_MOST_DIGITS_OF_INTEGER: Final = 18
_DAY_AND_TIME: Final = "LTRIM(TO_CHAR({0}, 'SYYYY-MM-DD HH24:MI:SS'))"
_WITH_FRACTION: Final = "RTRIM(RTRIM(LTRIM(TO_CHAR({0}, 'SYYYY-MM-DD HH24:MI:SS.FF9')), '0'), '.')"
_IN_UTC: Final = "SYS_EXTRACT_UTC(CAST({0} AS TIMESTAMP(9) WITH TIME ZONE))"
_MOMENTS: Final[dict[str, tuple[pa.DataType, str]]] = {
    "date": (pa.timestamp("us"), _DAY_AND_TIME),
    "timestamp": (pa.timestamp("us"), _WITH_FRACTION),
    "timestamp with time zone": (pa.timestamp("us", "UTC"), _WITH_FRACTION.format(_IN_UTC)),
    "timestamp with local time zone": (pa.timestamp("us", "UTC"), _WITH_FRACTION.format(_IN_UTC)),
}
_OTHER: Final = {
    "json": "JSON_SERIALIZE({0} RETURNING CLOB)",
    "xmltype": "XMLSERIALIZE(CONTENT {0} AS CLOB)",
    "rowid": "ROWIDTOCHAR({0})",
}
_SETTINGS: Final = (
    "SET TRANSACTION READ ONLY",
    "ALTER SESSION SET TIME_ZONE = '+00:00'",
    "ALTER SESSION SET NLS_NUMERIC_CHARACTERS = '.,'",
    "ALTER SESSION SET NLS_DATE_FORMAT = 'SYYYY-MM-DD HH24:MI:SS'",
    "ALTER SESSION SET NLS_TIMESTAMP_FORMAT = 'SYYYY-MM-DD HH24:MI:SS.FF9'",
    "ALTER SESSION SET NLS_TIMESTAMP_TZ_FORMAT = 'SYYYY-MM-DD HH24:MI:SS.FF9TZH:TZM'",
)
_CODES: Final = errors.Codes(
    login=(1005, 1017, 1045, 28000, 28001),
    not_allowed=(1031, 1720, 41900),
    missing=(942, 4043, 12154, 12505, 12514),
    too_slow=(1013,),
    passing=(28, 60, 1012, 1033, 1034, 1089, 1555, 3113, 3114, 3135, 12170, 12537, 12541, 12543, 25408),
    statement=range(900, 1000),
)
_TOO_SLOW: Final = ("DPY-4024", "DPI-1067")
"""Codes of the driver itself, which are no codes of Oracle."""


class OracleDialect(Dialect):
    """The SQL of Oracle."""

    def reading(self, column: CatalogueColumn, as_text: Collection[Kind]) -> Reading:
        """See `Dialect.reading`."""
        name, quoted = name_of(column.type), self.quote(column.name)
        if name in _AS_IT_IS:
            return Reading(column, quoted, _AS_IT_IS[name])
        if name in _MOMENTS:
            return self._moment(column, name, as_text)
        if name == "number":
            digits = digits_of(column.type)
            if digits is None:
                return Reading(column, _NUMBER.format(quoted), pa.string())
            whole = not digits[1] and digits[0] <= _MOST_DIGITS_OF_INTEGER
            return Reading(column, _NUMBER.format(quoted), pa.int64() if whole else pa.decimal128(*digits))
        return Reading(column, _OTHER.get(name, "TO_CHAR({0})").format(quoted), pa.string())

    def _moment(self, column: CatalogueColumn, name: str, as_text: Collection[Kind]) -> Reading:
        type_, template = _MOMENTS[name]
        expression = template.format(self.quote(column.name))
        if "moment" not in as_text:
            return Reading(column, expression, type_, "moment")
        return Reading(column, f"{expression} || '+00:00'" if "zone" in name else expression, pa.string())

    def moment(self, moment: datetime) -> str:
        """See `Dialect.moment`."""
        offset = " +00:00" if moment.tzinfo is not None else ""
        return f"TIMESTAMP '{moment.replace(tzinfo=None).isoformat(' ', 'microseconds')}{offset}'"

    def as_text(self, expression: str) -> str:
        """See `Dialect.as_text`."""
        return f"TO_CHAR({expression})"


class OracleSession(CursorSession):
    """A connection to Oracle, in a read-only transaction, which is a snapshot."""

    def __init__(self, address: Address, access: Database) -> None:
        """Connect."""
        self._oracledb = required("oracledb", "oracle")
        self.dialect: OracleDialect = OracleDialect()
        self.notes: list[str] = []
        self._address = address
        verified = access.tls and not address.is_local
        try:
            self._connection = self._oracledb.connect(
                user=access.user or None,
                password=access.read_password() or None,
                host=address.host,
                port=address.port,
                service_name=address.option or address.database,
                protocol="tcps" if verified else "tcp",
                ssl_context=access.certificates() if verified else None,
                tcp_connect_timeout=min(access.timeout, 60.0),
                retry_count=0,
            )
        except self._oracledb.Error as error:
            raise self.error(error) or errors.unreachable(address) from None
        self._connection.call_timeout = int(min(access.deadline, access.timeout) * 1000)
        self._cursor = self._connection.cursor()

    def begin(self, access: Database) -> None:  # noqa: ARG002 -- others need it
        """See `Session.begin`."""
        for statement in _SETTINGS:
            self._cursor.execute(statement)
        utc = "TO_CHAR(SYS_EXTRACT_UTC(SYSTIMESTAMP), 'YYYY-MM-DD HH24:MI:SS.FF6')"
        (now,) = self.row(f"SELECT {utc} FROM DUAL")
        self._now = datetime.fromisoformat(now).replace(tzinfo=UTC)

    def columns(self, table: Sequence[str], query: str) -> list[CatalogueColumn]:
        """See `Session.columns`."""
        what = f"({query}\n) q" if query else ".".join(map(self.dialect.quote, table))
        self._cursor.execute(f"SELECT * FROM {what} WHERE 1 = 0")
        return [
            CatalogueColumn(about.name, type_of(about), None if query else bool(about.null_ok))
            for about in self._cursor.description
        ]

    def batches(self, statement: str, readings: Sequence[Reading]) -> Generator[pa.RecordBatch]:
        """See `Session.batches`."""
        self._cursor.execute(statement, fetch_lobs=False)
        yield from rows_of(self._cursor, readings)

    def error(self, error: Exception) -> DeliveryError | None:
        """See `Session.error`."""
        if not isinstance(error, self._oracledb.Error):
            return None
        about = error.args[0] if error.args else None
        code, full = getattr(about, "code", 0), getattr(about, "full_code", "")
        if full in _TOO_SLOW:
            return errors.too_slow(self._address)
        return _CODES.error(self._address, code, full)


def type_of(about: Any) -> str:
    """Return the type of a column as Oracle writes it, given the driver's description of the column."""
    name = str(about.type_code.name).removeprefix("DB_TYPE_")
    known = {"VARCHAR": "VARCHAR2", "NVARCHAR": "NVARCHAR2", "TIMESTAMP_TZ": "TIMESTAMP WITH TIME ZONE"}
    known |= {"TIMESTAMP_LTZ": "TIMESTAMP WITH LOCAL TIME ZONE", "LONG_RAW": "LONG RAW"}
    name = known.get(name, name)
    if name == "NUMBER":
        unlimited = not about.precision or about.scale is None or about.scale < 0
        return "NUMBER" if unlimited else f"NUMBER({about.precision},{about.scale})"
    if name.startswith("TIMESTAMP"):
        first, _, rest = name.partition(" ")
        return f"{first}({about.scale}){f' {rest}' if rest else ''}"
    if name in ("VARCHAR2", "NVARCHAR2", "CHAR", "NCHAR", "RAW"):
        return f"{name}({about.display_size if name != 'RAW' else about.internal_size})"
    return name
