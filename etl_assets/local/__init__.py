"""A PostgreSQL server for machines that have none, and the choice between it and an external one.

This package finds the server's programs and the OS account to run them, prepares the data folder, supervises the server
and creates its databases. It knows no table or data of the framework: those belong to ``etl_assets.postgres``, which
knows a server only by its URL.
"""

from __future__ import annotations

from etl_assets.local.database import Database, database
from etl_assets.local.server import EmbeddedServer, embedded

__all__ = ["Database", "EmbeddedServer", "database", "embedded"]
