"""A backfill of daily partitions by Dagster's own daemon: ``python -m benchmarks.backfill``.

Three of the days are bad. A home of its own gets the embedded server, and ``etl-assets dev`` runs over it, as a person
would start it. Afterwards `benchmarks.backfill_outcome` judges. Ends with 1 if anything was not as it must be.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import psycopg

from benchmarks.backfill_daemon import running
from benchmarks.backfill_feed import MAXIMUM, SOURCE, STRICTER, BackfillFeed
from benchmarks.backfill_outcome import violations

if TYPE_CHECKING:
    from benchmarks.backfill_daemon import Backfill


@click.command()
@click.option("--days", type=click.IntRange(min=4), default=365, show_default=True, help="Number of daily partitions.")
@click.option("--cut/--no-cut", default=True, show_default=True, help="Cut the third bad file short: slow to fail.")
@click.option("--again", is_flag=True, help="Make the declaration stricter, and backfill a second time.")
@click.option("--per-run", type=click.IntRange(min=1), default=1, show_default=True, help="Days that one run takes.")
@click.option("--deadline", type=float, default=7200, show_default=True, help="Seconds for each backfill.")
@click.option("--work", type=click.Path(path_type=Path), default=Path(".etl_assets/backfill"), show_default=True)
def main(days: int, per_run: int, deadline: float, work: Path, *, cut: bool, again: bool) -> None:
    """Backfill daily partitions, three of them bad, by Dagster's daemon, and judge what became of each."""
    work = work.absolute()
    shutil.rmtree(work, ignore_errors=True)
    declared = work / "declared"
    declared.mkdir(parents=True)
    feed = BackfillFeed(work / "feed", days, cut, per_run=per_run)
    feed.write()
    wrong: list[str] = []
    for maximum in (MAXIMUM, STRICTER) if again else (MAXIMUM,):
        (declared / f"{SOURCE}.py").write_text(feed.declaration(maximum))
        with running(work / "home", declared, work / "dagster.log") as dev:
            dev.stop_other_runs()
            backfill = dev.backfill(feed, deadline)
            _show(backfill, days)
            with psycopg.connect(dev.server.url) as connection:
                wrong += violations(connection, feed, maximum, backfill.status, backfill.runs)
    for sentence in wrong:
        click.echo(f"Wrong: {sentence}")
    sys.exit(1 if wrong else 0)


def _show(backfill: Backfill, days: int) -> None:
    """Print what a backfill took."""
    click.echo(
        f"{days} days: {backfill.seconds:.0f} s, "
        f"{backfill.processor_seconds / days:.2f} processor seconds a partition in Dagster and its runs, "
        f"{backfill.server_seconds / days:.2f} in PostgreSQL, {backfill.transactions / days:.0f} transactions."
    )


if __name__ == "__main__":
    main()
