"""What is stored for each delivery, run, batch, row and rejected record: ``python -m benchmarks.storage``.

Sizes of tables are with their indexes, as the server has them. Each figure is the growth between two moments, divided
by what was done between them, so that what is there anyway does not count. Nothing is vacuumed meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import psycopg
from rich.console import Console

from benchmarks.lab import Lab
from benchmarks.made_feed import MadeFeed, day
from benchmarks.outcome import Grid, machine, show
from benchmarks.server import Databases
from etl_assets.local import EmbeddedServer
from etl_assets.settings import with_database

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SIZES: Final = (
    "SELECT n.nspname || '.' || c.relname, pg_total_relation_size(c.oid) FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname IN ('etl', 'core', 'public')"
)
_EVENTS: Final = "SELECT 'events, their number', count(*) FROM event_logs"
_RECORDS: Final = 100
_COLUMNS: Final = (12, 42)
_LEAST: Final = 20
"""Bytes for each unit below which a table is not listed."""


@dataclass(frozen=True)
class Growth:
    """What was stored between two moments.

    Attributes:
        title: What was done.
        unit: What it is divided by.
        tables: Bytes for each unit, by table.
        landing: Bytes in the landing store for each unit.
    """

    title: str
    unit: str
    tables: Mapping[str, float]
    landing: float

    def rows(self) -> list[tuple[str, ...]]:
        """Return a row for each table, the largest first, and for the landing store."""
        places = [*sorted(self.tables.items(), key=lambda item: -item[1]), ("landing store", self.landing)]
        return [(self.title, self.unit, place, f"{size:,.0f}") for place, size in places if size >= _LEAST]


class _Meter:
    """Measures the growth of a lab's databases and landing store."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def growth(self, title: str, unit: str, units: int, act: Callable[[], object]) -> Growth:
        """Return what an act stores for each unit of it."""
        before = self._stored()
        act()
        grown = {place: (size - before.get(place, 0)) / units for place, size in self._stored().items()}
        return Growth(title, unit, grown, grown.pop(""))

    def _stored(self) -> dict[str, int]:
        """Return the bytes of each table, and those of the landing store by the empty text."""
        sizes: dict[str, int] = {}
        name = self._lab.url.rpartition("/")[2].partition("?")[0]
        dagster = with_database(self._lab.url, f"{name}_dagster")
        for url, queries in ((self._lab.url, (_SIZES,)), (dagster, (_SIZES, _EVENTS))):
            with psycopg.connect(url) as connection:
                for query in queries:
                    sizes.update(connection.execute(query).fetchall())
        landing = self._lab.folder / "home" / "landing"
        sizes[""] = sum(path.stat().st_size for path in landing.rglob("*") if path.is_file())
        return sizes


def measure(lab: Lab, *, runs: int, records: int, warm: int = 10) -> list[Growth]:
    """Load generated feeds and return what they store.

    Args:
        lab: An open one.
        runs: How many days are loaded one by one.
        records: How many records the large deliveries have.
        warm: How many days are loaded before the first moment, so that no table begins at nothing.
    """
    meter = _Meter(lab)
    days = [MadeFeed(f"days_{count}", lab.folder, columns=count, partitions="days") for count in _COLUMNS]
    many = MadeFeed("many", lab.folder)
    bad = MadeFeed("bad", lab.folder)
    for feed in days:
        for number in range(warm + runs):
            feed.deliver(range(number * _RECORDS, (number + 1) * _RECORDS), key=day(number))
    many.deliver(range(records))
    bad.deliver(range(records), bad_every=2)
    for feed in (*days, many, bad):
        feed.declare(lab.declared)
    found = []
    for feed in days:
        requested = [f"{feed.name}@{day(number)}" for number in range(warm + runs)]
        lab.runs(*requested[:warm])
        what = f"{_RECORDS} records of {feed.columns} columns in one batch"
        found.append(meter.growth(what, "run", runs, partial(lab.runs, *requested[warm:])))
    found.append(meter.growth("the same files again", "run", runs, partial(lab.runs, *requested[warm:])))
    found.append(meter.growth(f"{records:,} records", "record", records, partial(lab.runs, many.name)))
    half = f"{records:,} records, half of them rejected"
    found.append(meter.growth(half, "rejected record", records // 2, partial(lab.runs, bad.name)))
    return found


@click.command(help=__doc__)
@click.option("--runs", default=100, show_default=True, help="How many small deliveries.")
@click.option("--records", default=200_000, show_default=True, help="Records of a large delivery.")
@click.option("--work", type=click.Path(path_type=Path), default=Path(".etl_assets/benchmarks"), show_default=True)
def main(runs: int, records: int, work: Path) -> None:
    """Measure, and show the figures."""
    console = Console(width=160)
    work = work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    with EmbeddedServer.start(work) as server:
        databases = Databases(server.superuser_url())
        with Lab(databases, work, console.print).open() as lab:
            rows = [row for growth in measure(lab, runs=runs, records=records) for row in growth.rows()]
            facts = [*machine(), databases.facts()]
    show(console, [Grid("What is stored", ("after", "for each", "where", "bytes"), tuple(rows))], facts)


if __name__ == "__main__":
    main()
