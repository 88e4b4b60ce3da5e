"""The Loader stage: writes each batch into Postgres in one transaction, with its rejected records and ledger entry.

This package decides what a transaction writes and in which order; package ``postgres`` has the SQL.
"""

from etl_assets.load.base import Loader, LoadReport, LoadRequest, PartitionColumn, ReplayRequest, Target
from etl_assets.load.loader import PostgresLoader
from etl_assets.load.shares import Share

__all__ = [
    "LoadReport",
    "LoadRequest",
    "Loader",
    "PartitionColumn",
    "PostgresLoader",
    "ReplayRequest",
    "Share",
    "Target",
]
