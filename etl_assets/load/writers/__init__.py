"""The write modes: what the table contains after each delivery. Each is one module.

`base` has the contract. A mode is a value, such as ``Upsert()``, that opens a `RowWriter` for each load of a delivery.
"""

from etl_assets.load.writers.append import Append
from etl_assets.load.writers.base import Completion, RowWriter, Writer, WriterContext, check_partitioned
from etl_assets.load.writers.history import History
from etl_assets.load.writers.replace import Replace
from etl_assets.load.writers.snapshot import Snapshot
from etl_assets.load.writers.upsert import Upsert

__all__ = [
    "Append",
    "Completion",
    "History",
    "Replace",
    "RowWriter",
    "Snapshot",
    "Upsert",
    "Writer",
    "WriterContext",
    "check_partitioned",
]
