"""The materializations that the checks of a step refer to, looked up once for all of them.

Dagster asks for the newest materialization of a partition for each result of a check, in some steps for all results in
a row. An answer is given again if the step has reported nothing but checks since, and if it is young or a check has
referred to it. So code that asks for itself, and waits for another answer, receives one.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from dagster import AssetRecordsFilter, DagsterEventType

if TYPE_CHECKING:
    from collections.abc import Callable

    from dagster import AssetKey, EventLogEntry, EventRecordsResult

YOUNG_SECONDS: Final = 1.0


class CheckTargets:
    """What Dagster was answered, by asset and partition."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._answers: dict[tuple[AssetKey, str], tuple[EventRecordsResult, float]] = {}
        self._referred: set[int] = set()

    def newest(self, wanted: AssetRecordsFilter, ask: Callable[[], EventRecordsResult]) -> EventRecordsResult:
        """Return the newest materialization that a filter lets through.

        Args:
            wanted: The filter; what it lets through is remembered if it is that of one partition.
            ask: Looks it up.
        """
        partitions = wanted.asset_partitions or ()
        if len(partitions) != 1 or wanted != AssetRecordsFilter(wanted.asset_key, partitions):
            return ask()
        place = (wanted.asset_key, partitions[0])
        now = time.monotonic()
        if place in self._answers:
            known, asked_at = self._answers[place]
            if now - asked_at < YOUNG_SECONDS or known.records[0].storage_id in self._referred:
                self._referred.discard(known.records[0].storage_id)
                return known
        if (found := ask()).records:
            self._answers[place] = found, now
        return found

    def observe(self, event: EventLogEntry) -> None:
        """See an event of the run: a check that refers to a materialization, or something else, after which all is new.

        Args:
            event: That was stored, or waits.
        """
        type_ = event.dagster_event_type if event.is_dagster_event else None
        if type_ is DagsterEventType.ASSET_CHECK_EVALUATION:
            target = event.get_dagster_event().asset_check_evaluation_data.target_materialization_data
            if target is not None:
                self._referred.add(target.storage_id)
        elif type_ is not DagsterEventType.STEP_OUTPUT:
            self._answers.clear()
            self._referred.clear()
