"""What stays of the records of a delivery with the same key is what is declared, however it is cut and loaded."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_assets import ingest
from etl_assets.extract.formats.csv import Csv
from etl_assets.schema import Greatest
from etl_assets_tests.ingest.world import GOODS, ending_after

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World

NAMES = count()
PAD = "x" * 25
AMOUNT = GOODS["amount"].replace(required=True)
SCHEMA = replace(GOODS, columns=(GOODS["code"], AMOUNT, GOODS["note"]))
RECORDS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 3)), min_size=1, max_size=7)


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(
    deliveries=st.lists(RECORDS, min_size=1, max_size=3),
    declared=st.sampled_from(["last", "report", "reject", "first", "reject_all", Greatest("amount")]),
    batch_bytes=st.sampled_from([64, 4096]),
    left=st.integers(0, 3),
    forced=st.booleans(),
)
def test_what_stays_is_what_is_declared(
    world: World,
    deliveries: list[list[tuple[str, int]]],
    declared: Any,
    batch_bytes: int,
    left: int,
    forced: bool,  # noqa: FBT001 -- of hypothesis
) -> None:
    schema = replace(SCHEMA, repeated_keys=declared)
    here = world.other(name=f"repeated{next(NAMES)}", schema=schema, format=Csv(batch_bytes=batch_bytes))
    table: dict[str, int] = {}
    for records in deliveries:
        here.publish(*(f"{code},{amount},{PAD}" for code, amount in records))
        delivery = here.land().delivery
        interrupt(here, delivery, left)
        here.load(delivery)
        if forced:
            ingest.load(here.source, here.land().delivery, here.warehouse, "run", force=True)
        kept, rejected = staying(records, declared)
        table |= kept
        assert [row[:2] for row in here.rows()] == sorted(table.items())
        waiting = [record for record in here.waiting() if record.delivery_id == delivery.id]
        assert len(waiting) == rejected
    assert here.violations() == []


def interrupt(world: World, delivery: Any, left: int) -> None:
    """Load some batches of a delivery, and stop."""
    with contextlib.suppress(KeyboardInterrupt):
        world.load(delivery, ending_after(left))


def staying(records: list[tuple[str, int]], declared: Any) -> tuple[dict[str, int], int]:
    """Return the amount of each key that stays, and how many records are rejected."""
    amounts: dict[str, list[int]] = {}
    for code, amount in records:
        amounts.setdefault(code, []).append(amount)
    kept, rejected = {}, 0
    for code, found in amounts.items():
        if declared == "reject_all" and len(set(found)) > 1:
            rejected += len(found)
            continue
        if declared == "reject":
            rejected += sum(amount != found[0] for amount in found)
        first = declared in {"first", "reject"}
        kept[code] = found[0] if first else max(found) if isinstance(declared, Greatest) else found[-1]
    return kept, rejected
