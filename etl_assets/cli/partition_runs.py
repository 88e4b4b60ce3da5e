"""Runs the partitions that a command has planned: one run after the other, or several at the same time."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from etl_assets.cli.loading_bars import LoadingBars
from etl_assets.cli.ranges import Range, Turns
from etl_assets.cli.terminal import fetches_shown, progress
from etl_assets.model.text import escape_control_characters

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.cli.orchestration import Orchestration, Runnable
    from etl_assets.cli.outcome import Outcome
    from etl_assets.cli.processes import Process
    from etl_assets.cli.run_options import RunOptions


def run_partitions(
    dagster: Orchestration,
    plan: Sequence[tuple[Runnable, str]],
    options: RunOptions,
    processes: Sequence[Process] = (),
    *,
    shown: bool = True,
) -> Iterator[Outcome]:
    """Run partitions, many of a source in one run; continue after a failure.

    The rest is not run if it would fail for the same reason.

    Args:
        dagster: Runs the partitions.
        plan: Pairs of a source, or an asset, and the key of a partition.
        options: How to run them.
        processes: They execute runs at the same time, as far as pools and the order allow it; without them the command
            executes its runs itself.
        shown: Whether a progress bar may be shown.

    Yields:
        The outcome of each partition, in the order of the plan.
    """
    from etl_assets.load import progress as load_progress

    ranges = list(_ranges(dagster, plan, len(processes) or 1))
    turns = Turns(ranges, dagster.all_before())
    with progress(shown=shown) as bar, fetches_shown(bar):
        task = bar.add_task("", total=len(plan))
        loading = LoadingBars(bar)

        def begun(range_: Range) -> None:
            bar.update(task, description=escape_control_characters(range_.title))

        if processes and turns.most_at_once > 1:
            from etl_assets.cli.side_by_side import SideBySide, in_order
            from etl_assets.extract import progress as progress_of_fetches

            several = SideBySide(dagster, ranges, turns, options, begun, progress_of_fetches.say, loading.show)
            for number, outcomes in in_order(several.outcomes(processes)):
                loading.end(ranges[number].name)
                bar.advance(task, len(ranges[number].keys))
                yield from outcomes
            several.raise_if_needed()
            return
        for range_ in ranges:
            begun(range_)
            with load_progress.shown(loading.show):
                outcomes = dagster.run(range_.what, range_.keys, options)
            loading.end(range_.name)
            bar.advance(task, len(range_.keys))
            yield from outcomes
            if any(outcome.concerns_all for outcome in outcomes):
                return


def _ranges(dagster: Orchestration, plan: Sequence[tuple[Runnable, str]], processes: int) -> Iterator[Range]:
    """Yield what is to be run, each time with the keys of the partitions that one run takes."""
    for what, pairs in groupby(plan, key=lambda pair: pair[0]):
        for keys in dagster.ranges(what, [key for _, key in pairs], processes):
            yield Range(what, tuple(keys))
