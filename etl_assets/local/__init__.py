"""A PostgreSQL server for machines that have none, and the choice between it and a real one.

What lives here: finding the server's binaries, the OS account it runs as, its data folder, the supervisor that ends it,
and the statements that create its databases. What does not: any table or data of the framework, which lives in
``etl_assets.postgres`` and knows a server only by its URL.
"""

from __future__ import annotations

from etl_assets.local.database import Database, database
from etl_assets.local.server import EmbeddedServer, embedded

__all__ = ["Database", "EmbeddedServer", "database", "embedded"]
