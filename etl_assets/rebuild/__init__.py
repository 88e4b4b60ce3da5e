"""Builds the table of a source again from its frozen deliveries, beside the one in use; compares and swaps them.

It is the remedy for what a load cannot change in place: another key, another type of a column. Loads of the table in
use go on meanwhile.
"""

from etl_assets.rebuild.building import Built, build, drop
from etl_assets.rebuild.swapping import swap
from etl_assets.rebuild.verifying import Difference, Verification, verify

__all__ = ["Built", "Difference", "Verification", "build", "drop", "swap", "verify"]
