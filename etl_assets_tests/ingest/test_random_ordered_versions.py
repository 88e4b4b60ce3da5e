"""Any history of deliveries gives every version that loading them from empty gives, if a column orders the versions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_assets.extract.formats.csv import Csv
from etl_assets.load.writers import History as Versions
from etl_assets.schema import Column
from etl_assets.transform import Transformer
from etl_assets_tests.ingest.random_histories import DECLARED, NAMES, PAD, STEPS, Declared, History

if TYPE_CHECKING:
    import pandas as pd

    from etl_assets.schema import Schema
    from etl_assets_tests.ingest.world import World


@dataclass(frozen=True)
class Merged(Transformer):
    """Makes one key of two, and leaves records out."""

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        left = [{day.month, day.day} != {2, 3} for day in frame["version"]]
        return frame[left].replace({"code": {"b": "a"}})


@dataclass(frozen=True)
class Dated(Declared):
    """What changes in the declaration: ``ordered`` says whether the day comes before the month in the order column."""

    @property
    def schema(self) -> Schema:
        day = Column("version", "date", required=True, formats=("%Y-%d-%m" if self.ordered else "%Y-%m-%d",))
        columns = tuple(day if column.name == "version" else column for column in super().schema.columns)
        return replace(super().schema, columns=columns, order_by="version")

    def day(self, version: int) -> date:
        return date(2024, 2, version) if self.ordered else date(2024, version, 2)


@dataclass
class DatedHistory(History):
    """The history of a source whose records have a day for a version."""

    columns: tuple[str, ...] | None = ()

    @property
    def counting(self) -> tuple[str, ...]:
        """The columns that count; if None are given, they depend on what else is declared."""
        if self.columns is None:
            return ("amount",) if self.declared.maximum == 2 else ()
        return self.columns

    def declare(self, declared: Declared) -> None:
        self.declared = declared
        self.writer = Versions(self.counting)
        super().declare(Dated(**vars(declared)))
        if declared.merged:
            self.world.more["transformer"] = Merged()

    def published(self, record: str) -> str:
        code, amount, version = record.split(",")
        return f"{code},{amount},2024-{int(version):02}-02"


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(
    steps=STEPS,
    last=st.permutations(range(3)),
    batch_bytes=st.sampled_from([64, 100, 4096]),
    declared=DECLARED,
    columns=st.sampled_from([(), ("amount",), None]),
)
def test_any_history_gives_every_version_that_a_load_from_empty_gives(
    world: World,
    steps: list[tuple[str, Any, Any]],
    last: list[int],
    batch_bytes: int,
    declared: Declared,
    columns: tuple[str, ...] | None,
) -> None:
    here = world.other(name=f"ordered{next(NAMES)}", files=True, format=Csv(batch_bytes=batch_bytes))
    history = DatedHistory(here, declared, columns=columns)
    history.declare(declared)
    history.take_steps(steps)
    if history.landed:
        history.run_everything(last)
        expected = versions(history, history.counting)
        assert stored(here) == expected
        assert here.rows() == [version[:4] for version in expected if version[5] is None]
        assert here.violations() == []
        for at in sorted({version[4] for version in expected}):
            assert as_of(here, at) == [v[:4] for v in expected if v[4] <= at and (v[5] is None or v[5] > at)]


def stored(world: World) -> list[tuple[Any, ...]]:
    return world.query(
        f"SELECT code, amount, version, pad, _valid_from, _valid_to FROM core.{world.name}_history ORDER BY 1, 3"
    )


def as_of(world: World, at: datetime) -> list[tuple[Any, ...]]:
    return world.query(f"SELECT code, amount, version, pad FROM core.{world.name}_as_of('{at}') ORDER BY 1, 3")


def versions(history: DatedHistory, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """Return the newest record of each key and day, and from and to when it is valid."""
    rows: dict[tuple[str, date], tuple[Any, ...]] = {}
    declared = history.declared
    assert isinstance(declared, Dated)
    for _, records in history.effective():
        for _, text in records:
            if (row := declared.row(text)) is not None:
                code, amount, version = row
                rows[code, declared.day(version)] = (code, amount, declared.day(version), PAD)
    found: list[tuple[Any, ...]] = []
    ends: dict[str, datetime] = {}
    ordered = sorted(rows)
    for place, key in reversed(list(enumerate(ordered))):
        begins = datetime.combine(key[1], time(), UTC)
        before = rows[ordered[place - 1]] if place and ordered[place - 1][0] == key[0] else None
        if columns and before is not None and before[1] == rows[key][1]:
            found.append((*rows[key], begins, begins))
        else:
            found.append((*rows[key], begins, ends.get(key[0])))
            ends[key[0]] = begins
    return found[::-1]
