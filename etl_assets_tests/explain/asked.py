"""Asks for the story of a key or of a delivery in a `World`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.catalog import Catalog
from etl_assets.explain import explain_row, parse_key, stories
from etl_assets.postgres.connection import connected

if TYPE_CHECKING:
    from etl_assets import Source
    from etl_assets.explain import DeliveryStory, Limits, RowStory
    from etl_assets_tests.ingest.world import World


def ask(
    world: World, *others: Source, of: Source | None = None, limits: Limits | None = None, url: str = "", **texts: str
) -> RowStory:
    """Return the story of a key, of a source that is the world's by default."""
    source = of or world.source
    known = Catalog({each.name: each for each in (source, *others)}, {}, {})
    with connected(url or world.url) as connection:
        return explain_row(connection, known, source, parse_key(source, texts), world.warehouse.store, limits)


def story_of(world: World, delivery_id: int, url: str = "") -> DeliveryStory:
    """Return the story of a delivery."""
    with connected(url or world.url) as connection:
        (story,) = stories(connection, [delivery_id], {world.name: world.source.fingerprint})
    return story
