"""SQL dumps: the statements are scanned for the records of one table, and never executed."""

from etl_assets.extract.formats.sql_dump.format import SqlDump

__all__ = ["SqlDump"]
