"""Explains a row, a key that has no row, and a delivery: where it came from, and what became of it.

``key`` reads what a person wrote, ``row`` and ``delivery`` collect, ``search`` looks through frozen bytes. Nothing here
writes. Values of records are returned as they are; who shows them masks them.
"""

from etl_assets.explain.delivery import DeliveryStory, stories
from etl_assets.explain.key import Key, parse_key
from etl_assets.explain.row import RowStory, explain_row
from etl_assets.explain.search import Limits, Search

__all__ = ["DeliveryStory", "Key", "Limits", "RowStory", "Search", "explain_row", "parse_key", "stories"]
