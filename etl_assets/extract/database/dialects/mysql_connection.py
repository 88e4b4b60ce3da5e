"""Connections to MariaDB and MySQL by PyMySQL, what their errors mean, and the types of the columns of a query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from etl_assets.extract.access.base import required
from etl_assets.extract.database import errors
from etl_assets.extract.database.catalogue import CatalogueColumn

if TYPE_CHECKING:
    from etl_assets.errors import DeliveryError
    from etl_assets.extract.access.database import Database
    from etl_assets.extract.database.address import Address

_CODES: Final = errors.Codes(
    login=(1044, 1045, 1251, 1275, 1698, 4151),
    not_allowed=(1142, 1143, 1227, 1345, 1370),
    missing=(1049, 1146),
    too_slow=(1317, 1969, 3024),
    passing=(
        *(1040, 1053, 1080, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1226, 1927),
        *(2002, 2003, 2006, 2013, 2014, 2055),
    ),
    statement=(1052, 1054, 1055, 1060, 1064, 1140, 1248, 1305, 1630),
)
_VERSION: Final = "MariaDB"
_SETTINGS: Final = (
    "SET SESSION time_zone = '+00:00'",
    "SET SESSION sql_mode = ''",
    "SET SESSION group_concat_max_len = 4294967295",
)
"""In an empty mode, no value of a table is an error. By default, GROUP_CONCAT cuts long texts without an error."""
_BINARY: Final = 63
_UNSIGNED, _ENUM, _SET = 32, 256, 2048
_NAMES: Final = {
    0: "decimal",
    246: "decimal",
    1: "tinyint",
    2: "smallint",
    3: "int",
    8: "bigint",
    9: "mediumint",
    13: "year",
    4: "float",
    5: "double",
    7: "timestamp",
    10: "date",
    11: "time",
    12: "datetime",
    14: "date",
    16: "bit",
    245: "json",
    247: "enum",
    248: "set",
    255: "geometry",
}
_TEXTS: Final = {
    15: "varchar",
    249: "tinytext",
    250: "mediumtext",
    251: "longtext",
    252: "text",
    253: "varchar",
    254: "char",
}
_OF_BYTES: Final = {
    "varchar": "varbinary",
    "char": "binary",
    "tinytext": "tinyblob",
    "mediumtext": "mediumblob",
    "longtext": "longblob",
    "text": "blob",
}


def connect(address: Address, access: Database) -> Any:
    """Return a connection that converts no values.

    Raises:
        DeliveryError: If there is none.
    """
    pymysql = required("pymysql", "mysql")
    verified = access.tls and not address.is_local
    connection = pymysql.connect(
        host=address.host or None,
        port=address.port,
        unix_socket=address.option or None,
        user=access.user,
        password=access.read_password(),
        database=address.database,
        charset="utf8mb4",
        conv=dict(pymysql.converters.encoders),
        use_unicode=False,
        connect_timeout=max(1, int(min(access.timeout, 60))),
        read_timeout=max(1, int(access.timeout)),
        write_timeout=max(1, int(access.timeout)),
        ssl=access.certificates() if verified else None,
        ssl_disabled=not access.tls,
        defer_connect=True,
    )
    try:
        connection.connect()
        with connection.cursor() as cursor:
            for statement in (*_SETTINGS, _limit(connection.server_version, access.deadline)):
                cursor.execute(statement)
    except Exception as error:
        connection._force_close()  # noqa: SLF001 -- it may be half open
        known = error_of(error, address)
        if known is None:
            raise
        raise known from None
    return connection


def error_of(error: Exception, address: Address) -> DeliveryError | None:
    """Return what an error of the driver means; None if it is none of the driver's."""
    pymysql = required("pymysql", "mysql")
    if isinstance(error, OSError):
        return errors.unreachable(address)
    if not isinstance(error, pymysql.MySQLError):
        return None
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    words = errors.first_line(str(error.args[1])) if len(error.args) > 1 else ""
    return _CODES.error(address, code, words)


def type_of_field(field: Any) -> CatalogueColumn:
    """Return a column of a query, given what the protocol says of it."""
    name = field.name.decode() if isinstance(field.name, bytes) else field.name
    type_ = _NAMES.get(field.type_code, "")
    if field.type_code in _TEXTS:
        type_ = _TEXTS[field.type_code]
        if field.flags & (_ENUM | _SET):
            type_ = "enum" if field.flags & _ENUM else "set"
        elif field.charsetnr == _BINARY:
            type_ = _OF_BYTES[type_]
    unsigned = bool(field.flags & _UNSIGNED)
    if type_ == "decimal":
        type_ = f"decimal({_digits(field, unsigned=unsigned)},{field.scale})"
    if unsigned and type_.partition("(")[0] in ("tinyint", "smallint", "mediumint", "int", "bigint", "decimal"):
        type_ += " unsigned"
    if type_ == "tinyint" and field.length == 1:
        type_ = "tinyint(1)"
    return CatalogueColumn(name, type_, None)


def _digits(field: Any, *, unsigned: bool) -> int:
    """Return the precision of a decimal; its length has room for a point and a sign."""
    length: int = field.length
    scale: int = field.scale
    return length - (scale > 0) - (not unsigned)


def _limit(version: str, seconds: float) -> str:
    """Return the statement that limits the time of each following one."""
    if _VERSION in version:
        return f"SET SESSION max_statement_time = {seconds}"
    return f"SET SESSION max_execution_time = {int(seconds * 1000)}"
