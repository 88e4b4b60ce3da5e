"""SQLite databases: the format, how a hostile file is opened, and rows as text."""

from etl_assets.extract.formats.sqlite.format import Sqlite

__all__ = ["Sqlite"]
