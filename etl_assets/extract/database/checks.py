"""Checks the declaration of a `DatabaseExtractor`; no database is asked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from etl_assets.errors import DeclarationError
from etl_assets.extract.database.address import address_of
from etl_assets.extract.database.statement import parts_of, placeholders_of
from etl_assets.model.partitions import Files, Periods

if TYPE_CHECKING:
    from etl_assets.extract.database.address import Address
    from etl_assets.extract.database.extractor import DatabaseExtractor
    from etl_assets.model.partitions import Partitioning

_SELECT: Final = re.compile(r"\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*(?:SELECT|WITH)\b", re.IGNORECASE | re.DOTALL)
_MOST_PARTS: Final = 3


def check_declaration(extractor: DatabaseExtractor, where: str) -> None:
    """Raise a `DeclarationError` unless a declaration is sound, whatever the partitions are."""
    address = address_of(extractor.url, where)
    if address.backend == "sqlalchemy":
        _check_driver_decides(extractor, where)
    else:
        extractor.access.check(extractor.url, where)
    _check_login(extractor, address, where)
    _check_what(extractor, where)
    _check_columns(extractor, where)
    if extractor.incremental is not None:
        extractor.incremental.check(f"incremental of {where}")
    if extractor.key_comparison is not None:
        extractor.key_comparison.check(f"key_comparison of {where}")


def check_partitions(extractor: DatabaseExtractor, partitions: Partitioning | None, where: str) -> None:
    """Raise a `DeclarationError` unless the rows of each partition differ from those of others."""
    placeholders = placeholders_of(extractor.query)
    column = extractor.partition_column
    if isinstance(partitions, Files):
        remedy = "Declare Daily, Weekly, Monthly or Static partitions, or none"
        raise DeclarationError(where, "partitions", "are files, which a database does not have", remedy)
    if partitions is None:
        if column:
            problem = "is declared, and the source has no partitions"
            raise DeclarationError(where, "partition_column", problem, "Declare partitions, or leave it out")
        if placeholders:
            problem = f"has :{min(placeholders)}, and the source has no partitions"
            raise DeclarationError(where, "query", problem, "Declare partitions, or leave the placeholder out")
        return
    if not isinstance(partitions, Periods) and placeholders & {"start", "end"}:
        problem = "has :start or :end, which only partitions of time have"
        raise DeclarationError(where, "query", problem, "Use :key, or declare Daily, Weekly or Monthly partitions")
    is_cut = {"start", "end"} <= placeholders or "key" in placeholders
    if not column and not is_cut:
        names = ":start and :end" if isinstance(partitions, Periods) else ":key"
        problem = "is missing, so that each partition would have all rows"
        raise DeclarationError(where, "partition_column", problem, f"Name the column, or use {names} in a query")


def _check_login(extractor: DatabaseExtractor, address: Address, where: str) -> None:
    if extractor.password is not None:
        remedy = "Declare the login by access=Database(user='…', password=Secret('…'))"
        raise DeclarationError(where, "password", "is that of an archive", remedy)
    if extractor.member != "*":
        raise DeclarationError(where, "member", "is for archives", "Leave it out")
    if address.is_file and extractor.access.user:
        raise DeclarationError(where, "access", "has a user, and the database is a file", "Leave the login out")
    if address.backend == "sqlserver" and extractor.access.ca_file:
        problem = "has a ca_file, and the driver of SQL Server verifies no certificates"
        raise DeclarationError(where, "access", problem, "Leave it out; the connection is encrypted all the same")


def _check_driver_decides(extractor: DatabaseExtractor, where: str) -> None:
    """Raise if something is declared that only the drivers with a session of their own take."""
    extractor.access.check_limits(where)
    name = "ca_file" if extractor.access.ca_file else "" if extractor.access.tls else "tls"
    if name:
        problem = f"has {name}=…, and a driver of SQLAlchemy takes settings of its own"
        remedy = "Write what the driver has for it into the query of the URL: ?sslmode=verify-full"
        raise DeclarationError(where, "access", problem, remedy)


def _check_what(extractor: DatabaseExtractor, where: str) -> None:
    table, query = extractor.table, extractor.query
    if bool(table) == bool(query):
        problem = "and query are both declared" if table else "and query are both missing"
        raise DeclarationError(where, "table", problem, "Write one of them: table='public.orders'")
    if "\0" in table + query:
        raise DeclarationError(where, "table" if table else "query", "has a NUL", "Leave it out")
    if table and not 1 <= len(parts_of(table)) <= _MOST_PARTS:
        remedy = "Write schema.table, with quotes around a name that has a point or a quote: '\"my.schema\".orders'"
        raise DeclarationError(where, "table", "is no name of a table", remedy)
    if query and not _SELECT.match(query):
        raise DeclarationError(where, "query", "is no SELECT", "Write a statement that begins with SELECT or WITH")


def _check_columns(extractor: DatabaseExtractor, where: str) -> None:
    for field, names in (("columns", extractor.columns), ("order_by", extractor.order_by)):
        if len(set(names)) < len(names) or not all(names):
            raise DeclarationError(where, field, "names a column twice, or one without a name", "Name each once")
    by = extractor.incremental
    if by is not None and extractor.columns and by.by not in extractor.columns:
        problem = f"lack {by.by!r}, by which only what has changed is fetched"
        raise DeclarationError(where, "columns", problem, "Name it too; a schema may ignore it")
