"""Bars of deliveries that are being loaded, below the bar of a command's partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.model.text import escape_control_characters

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from etl_assets.load.progress import Loaded


class LoadingBars:
    """A bar for each delivery of several batches, from its first batch to its last one.

    Args:
        bar: The bars of the command.
    """

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._tasks: dict[tuple[str, str], TaskID] = {}

    def show(self, loaded: Loaded) -> None:
        """Show how many records of a delivery are loaded."""
        place = (loaded.source, loaded.partition)
        if loaded.records >= loaded.total:
            self._remove(place)
            return
        if place not in self._tasks:
            title = escape_control_characters(f"  {loaded.source} {loaded.partition}".rstrip())
            self._tasks[place] = self._bar.add_task(f"{title}, records", total=loaded.total)
        self._bar.update(self._tasks[place], completed=loaded.records)

    def end(self, source: str) -> None:
        """Remove the bars of a source: its run has ended, however it did."""
        for place in [place for place in self._tasks if place[0] == source]:
            self._remove(place)

    def _remove(self, place: tuple[str, str]) -> None:
        task = self._tasks.pop(place, None)
        if task is not None:
            self._bar.remove_task(task)
