"""Removes records from everything that has them: the frozen bytes, the table, the quarantine, what is remembered.

`finding` looks for the records in the frozen bytes, `removing` removes them.
"""

from etl_assets.postgres.ledger.redactions import Decision
from etl_assets.redact.finding import Found, find, typed_values
from etl_assets.redact.removing import Finished, finish, redact

__all__ = ["Decision", "Finished", "Found", "find", "finish", "redact", "typed_values"]
