"""Any history of deliveries, corrections and redactions ends in the table of what was not redacted."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_assets.extract.formats.csv import Csv
from etl_assets_tests.redact.traces import redact_by_values, traces

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World

Record: TypeAlias = "tuple[str, int]"
"""A code and an amount; a negative amount is rejected."""

_CODES = ("anna", "bert", "cleo", "dora")
_NAMES = count()
_RECORDS = st.lists(st.tuples(st.sampled_from(_CODES), st.integers(-1, 3)), max_size=8)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), _RECORDS),
        st.tuples(st.just("take"), _RECORDS),
        st.tuples(st.just("redact"), st.sampled_from(_CODES)),
        st.tuples(st.just("correct"), st.integers(0, 3)),
    ),
    min_size=2,
    max_size=7,
)


class _Expected:
    """What the table should have, in plain Python: the newest valid record of each code."""

    def __init__(self) -> None:
        self._deliveries: list[list[Record]] = []

    def take(self, records: list[Record]) -> None:
        self._deliveries.append(list(records))

    def redact(self, code: str) -> None:
        self._deliveries = [[record for record in records if record[0] != code] for records in self._deliveries]

    @property
    def rows(self) -> dict[str, int]:
        return {code: amount for records in self._deliveries for code, amount in records if amount >= 0}


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(steps=_STEPS, batch_bytes=st.sampled_from([64, 4096]), wrong=st.sampled_from(["-7", "oops"]))
def test_any_history_ends_in_the_table_of_the_deliveries_without_the_redacted_records(
    world: World, steps: list[tuple[str, Any]], batch_bytes: int, wrong: str
) -> None:
    number = next(_NAMES)
    world = world.other(name=f"goods_{number}", format=Csv(batch_bytes=batch_bytes))
    expected, redacted = _Expected(), set[str]()
    for place, (step, what) in enumerate(steps):
        match step:
            case "take":
                records = [(code, amount) for code, amount in what] + [("end", place)]  # other bytes each time
                world.take(*(f"{code},{amount},note {number} of {code}" for code, amount in records))
                expected.take(records)
                redacted -= {code for code, _ in records}
            case "redact" if expected.rows:
                redact_by_values(world, {"code": what})
                expected.redact(what)
                redacted.add(what)
            case "correct" if waiting := world.waiting():
                world.correct(waiting[what % len(waiting)], amount=wrong)
                world.replay()
    if not expected.rows:
        return
    assert {code: amount for code, amount, _ in world.rows()} == expected.rows
    assert world.violations() == []
    for code in redacted:
        assert traces(world, f"note {number} of {code}") == []
