"""The Loader stage: batches into Postgres, each in one transaction with its rejected records and its ledger entry.

What a transaction holds and in which order is decided here; how it is said in SQL is ``postgres``'s.
"""

from etl_assets.load.base import Loader, LoadReport, LoadRequest, PartitionColumn, ReplayRequest, Target
from etl_assets.load.loader import PostgresLoader

__all__ = ["LoadReport", "LoadRequest", "Loader", "PartitionColumn", "PostgresLoader", "ReplayRequest", "Target"]
