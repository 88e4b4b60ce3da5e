"""Which corrected records are read for a batch, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.extract.formats.csv import Csv
from etl_assets.ingest.batch import corrected_records
from etl_assets.postgres.connection import connected

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from etl_assets.postgres.connection import Connection
    from etl_assets_tests.ingest.world import World


def test_corrected_records_are_read_only_for_the_batches_that_have_some(world: World) -> None:
    small = world.other(format=Csv(batch_bytes=64))
    lines = [f"{letter},{'many' if letter in 'bcn' else 1},{'x' * 8}" for letter in "abcdefghijklmnop"]
    delivery = small.take(*lines).delivery
    for record in small.waiting():
        small.correct(record, amount="5")
    small.replay()
    opened = 0

    def connect() -> AbstractContextManager[Connection]:
        nonlocal opened
        opened += 1
        return connected(small.url)

    read = corrected_records(delivery, connect)
    assert len(delivery.manifest.spans) > 3
    corrected = {span.batch: [record.record_no for record in read(span)] for span in delivery.manifest.spans}
    assert [numbers for numbers in corrected.values() if numbers] == [[2, 3], [14]]
    assert opened == 3
