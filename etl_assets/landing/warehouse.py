"""Warehouse: the database of the tables, with its landing store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etl_assets.landing.store import LandingStore


@dataclass(frozen=True)
class Warehouse:
    """Where deliveries are stored and where they are loaded.

    Attributes:
        url: ``postgresql://…`` of the database.
        store: The landing store of the frozen bytes.
    """

    url: str = field(repr=False)
    store: LandingStore
