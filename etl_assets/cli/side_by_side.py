"""Executes ranges in several processes at the same time, and what becomes of them."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import wait
from operator import itemgetter
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from etl_assets.cli.outcome import Failure
from etl_assets.cli.processes import Request
from etl_assets.graph.runs.run_record import ASKED_TO_END
from etl_assets.model.run import CANCELLED
from etl_assets.postgres.runs.history import CRASHED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from etl_assets.cli.orchestration import Orchestration
    from etl_assets.cli.outcome import Outcome
    from etl_assets.cli.processes import Answer, Process
    from etl_assets.cli.ranges import Range, Turns
    from etl_assets.cli.run_options import RunOptions
    from etl_assets.load.progress import Loaded

_CANCELLED: Final = Failure(CANCELLED, ASKED_TO_END)
_LOOK_SECONDS: Final = 0.2
"""How soon an interrupt is seen."""


class SideBySide:
    """Executes ranges in processes, each as soon as its turn has come and a process is free.

    No range begins after an error that all others would have too, or after an interrupt. The ranges of a process that
    dies are not executed again. If no process is left, this one executes what remains.

    Args:
        dagster: Of the command. It enters what a process that dies cannot.
        ranges: What is to be run.
        turns: Says which of them may begin.
        options: How to run them.
        begun: Called with each range that begins.
        say: Shows a sentence about a fetch.
        show_loaded: Shows how far a delivery is loaded.
    """

    def __init__(
        self,
        dagster: Orchestration,
        ranges: Sequence[Range],
        turns: Turns,
        options: RunOptions,
        begun: Callable[[Range], None],
        say: Callable[[str], None],
        show_loaded: Callable[[Loaded], None],
    ) -> None:
        self._dagster = dagster
        self._ranges = ranges
        self._turns = turns
        self._options = options
        self._begun = begun
        self._say = say
        self._show_loaded = show_loaded
        self._busy: dict[Process, tuple[int, str]] = {}
        self._errors: list[Exception] = []
        self._stopped = self._interrupted = self._is_shown = False

    def outcomes(self, processes: Sequence[Process]) -> Iterator[tuple[int, Sequence[Outcome]]]:
        """Yield the number of each range and the outcomes of its partitions, in the order in which ranges end.

        Args:
            processes: That execute.
        """
        free = list(processes)
        names = list(dict.fromkeys(range_.name for range_ in self._ranges))
        with _signals() as signals:
            while True:
                while free and not self._stopped and (number := self._turns.next()) is not None:
                    self._begin(free.pop(0), names, number)
                if not self._busy:
                    self._stopped = self._stopped or bool(signals)
                    break
                for process in self._ready(signals):
                    answer = process.answer()
                    if answer is not None and not answer.is_last:
                        self._pass_on(answer)
                        continue
                    if answer is not None:
                        free.insert(0, process)
                    yield self._end(process, answer)
        while not self._stopped and (number := self._turns.next()) is not None:
            yield self._executed_here(number)

    def raise_if_needed(self) -> None:
        """Raise what a process raised instead of an outcome.

        Raises:
            EtlAssetsError: The first such error.
            KeyboardInterrupt: If the command was interrupted, and no outcome says so.
        """
        if self._errors:
            raise self._errors[0]
        if self._interrupted and not self._is_shown:
            raise KeyboardInterrupt

    def _begin(self, process: Process, names: Sequence[str], number: int) -> None:
        range_, run_id = self._ranges[number], str(uuid4())
        self._begun(range_)
        self._busy[process] = (number, run_id)
        what = range_.what.name if hasattr(range_.what, "name") else tuple(range_.what.path)
        process.execute(names, Request(what, range_.keys, self._options, run_id))

    def _ready(self, signals: list[int]) -> list[Process]:
        """Return the processes that have answered or are gone; interrupt all if signals have come, and then kill."""
        answered = wait([process.connection for process in self._busy], _LOOK_SECONDS)
        ready = [process for process in self._busy if process.connection in answered]
        while signals:
            signals.pop()
            for process in self._busy:
                process.interrupt(kill=self._interrupted)
            self._stopped = self._interrupted = True
        return ready

    def _pass_on(self, answer: Answer) -> None:
        """Show what a process says while it executes."""
        if answer.loaded is not None:
            self._show_loaded(answer.loaded)
        else:
            self._say(answer.text)

    def _end(self, process: Process, answer: Answer | None) -> tuple[int, Sequence[Outcome]]:
        """Return the number and the outcomes of the range that a process has executed."""
        number, run_id = self._busy.pop(process)
        range_ = self._ranges[number]
        if answer is None:
            outcomes = self._dagster.killed(range_.what, range_.keys, run_id)
            if self._interrupted:
                outcomes = [_as_cancelled(outcome) for outcome in outcomes]
        else:
            outcomes = list(answer.outcomes)
            if (error := answer.raised()) is not None:
                self._errors.append(error)
        return self._ended(number, outcomes)

    def _executed_here(self, number: int) -> tuple[int, Sequence[Outcome]]:
        range_ = self._ranges[number]
        self._begun(range_)
        return self._ended(number, self._dagster.run(range_.what, range_.keys, self._options))

    def _ended(self, number: int, outcomes: Sequence[Outcome]) -> tuple[int, Sequence[Outcome]]:
        self._turns.end(number)
        self._stopped = self._stopped or bool(self._errors) or any(outcome.concerns_all for outcome in outcomes)
        self._is_shown = self._is_shown or any(outcome.is_cancelled for outcome in outcomes)
        return number, outcomes


def in_order(ended: Iterable[tuple[int, Sequence[Outcome]]]) -> Iterator[tuple[int, Sequence[Outcome]]]:
    """Yield what is numbered from 0 in the order of the numbers; what follows a missing number comes last."""
    waiting: dict[int, Sequence[Outcome]] = {}
    following = 0
    for number, outcomes in ended:
        waiting[number] = outcomes
        while following in waiting:
            yield following, waiting.pop(following)
            following += 1
    yield from sorted(waiting.items(), key=itemgetter(0))


def _as_cancelled(outcome: Outcome) -> Outcome:
    if outcome.error is None or outcome.error.name != CRASHED:
        return outcome
    return replace(outcome, error=_CANCELLED)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in a list."""
    received: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    former = {number: signal.signal(number, lambda got, _: received.append(got)) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
