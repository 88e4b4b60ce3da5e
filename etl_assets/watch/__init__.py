"""Compare each delivery with the deliveries before it: drift, profiles, monitors.

This is the public interface of the package: other packages import from here and from no module inside. A change or an
anomaly is only reported. No row is rejected for it: the rows keep every rule, and the publisher may be right.
"""

from etl_assets.watch.acceptance import accept_level
from etl_assets.watch.drift import Drift, accept, facts, ignore, observe_delivery, open_events
from etl_assets.watch.emptied_columns import EmptiedColumn, emptied_column, missing_column
from etl_assets.watch.monitors import checks_of, conclude, examine
from etl_assets.watch.parts import batch_profile
from etl_assets.watch.proposals import with_members

__all__ = [
    "Drift",
    "EmptiedColumn",
    "accept",
    "accept_level",
    "batch_profile",
    "checks_of",
    "conclude",
    "emptied_column",
    "examine",
    "facts",
    "ignore",
    "missing_column",
    "observe_delivery",
    "open_events",
    "with_members",
]
