"""A delivery that was landed before, for a command that judges its frozen bytes."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import click

from etl_assets.cli.environment import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.cli.environment import Environment
    from etl_assets.ingest.batch import ReadCorrected
    from etl_assets.model.delivery import Delivery
    from etl_assets.source import Source


@contextmanager
def opened_delivery(source: Source, number: int) -> Iterator[tuple[Delivery, Environment, ReadCorrected]]:
    """Find a delivery of a source, for a block; with the records that a reload reads as people corrected them.

    If it was read under another declaration, its bytes are indexed again, as by a reload.

    Raises:
        click.UsageError: If the source has no delivery of that number.
    """
    from etl_assets.ingest import corrected_records
    from etl_assets.landing.land import members_of
    from etl_assets.postgres.connection import connected
    from etl_assets.postgres.ledger import deliveries

    with environment() as env:
        with env.connection() as connection:
            delivery = deliveries.by_id(connection, number)
        if delivery is None or delivery.source != source.name:
            other = "" if delivery is None else f" It is one of {delivery.source}."
            raise click.UsageError(f"Source {source.name!r} has no delivery {number}.{other}")
        if delivery.fingerprint != source.fingerprint:
            extractor = source.extractor.of_partition(delivery.partition)
            members = members_of(extractor, env.warehouse.store, delivery.manifest)
            delivery = replace(delivery, manifest=replace(delivery.manifest, members=members))
        yield delivery, env, corrected_records(delivery, partial(connected, env.url))
