"""Starts the processes of a step, lets the fault happen that meets them, and enters in the log what they did."""

from __future__ import annotations

import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from etl_assets.postgres.tables import upsert
from etl_assets_tests.chaos import points
from etl_assets_tests.chaos.dagster_replay import replay_in_dagster
from etl_assets_tests.chaos.history import (
    AT_ONCE,
    BIT_FLIPPED,
    CONNECTION_CUT,
    CONNECTION_DELAYED,
    KILLED_ANY_TIME,
    SERVER_CRASH,
    SESSION_ENDED,
    SUPERVISOR_KILLED,
    ZOMBIE,
    Step,
)
from etl_assets_tests.chaos.processes import BROKEN, DONE, Flags, fork
from etl_assets_tests.chaos.proxy import proxied
from etl_assets_tests.chaos.runs import NAME, Runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets.postgres.ledger.quarantine import Rejected
    from etl_assets_tests.chaos.expected import Log
    from etl_assets_tests.chaos.history import Fault, History
    from etl_assets_tests.chaos.processes import Child
    from etl_assets_tests.chaos.trial_warehouse import TrialWarehouse

_LONGEST_RUN: Final = 0.15
_FORCED: Final = 0.5
_REPLAYS: Final = "SELECT partition, sum(replays) FROM etl.rejected GROUP BY 1"


@dataclass
class Outcome:
    """What became of a trial.

    Attributes:
        history: What was carried out.
        violations: What the oracle, the doctor or a run that no fault met found wrong.
        faulted: The number of runs that each kind of fault has met.
        runs: The number of runs.
        seconds: Duration.
    """

    history: History
    violations: list[str] = field(default_factory=list)
    faulted: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    seconds: float = 0.0


class Execution:
    """The processes of one trial.

    Args:
        warehouse: Of the trial.
        log: What was done; this class adds what the processes do.
        outcome: Of the trial; this class counts its runs.
        variant: Makes a forked process wrong; None if the package is tried as it is.
    """

    def __init__(
        self, warehouse: TrialWarehouse, log: Log, outcome: Outcome, variant: Callable[[], None] | None
    ) -> None:
        self._warehouse = warehouse
        self._log = log
        self._outcome = outcome
        self._variant = variant
        self._history = outcome.history

    def runs(self, port: int | None = None) -> Runs:
        """Return the runs of the source, through another port of the server if one is given."""
        warehouse = self._warehouse
        return Runs(self._history, warehouse.folder, warehouse.server.url_of(warehouse.database, port))

    def fork(self, work: Callable[[Flags], Any]) -> Child:
        """Do some work in a process that no fault meets."""

        def with_variant(flags: Flags) -> None:
            self._install()
            work(flags)

        return fork(with_variant, self._warehouse.folder / "aside.log")

    def _install(self) -> None:
        """Make this process wrong, if a variant is tried; every second trial replaces rows, as is done with many."""
        if self._history.seed % 2:
            points.substitute(upsert, "REPLACED_FROM", 1)
        if self._variant is not None:
            self._variant()

    def run(self, step: Step, record: Rejected | None = None) -> None:
        """Start the run of a step and those beside it, let the fault happen, and wait for their ends.

        Args:
            step: What to run.
            record: The record to replay, if it is only one.
        """
        if not self._is_possible(step):
            return
        fault = step.fault
        if step.beside:
            self._run_at_once(step, record)
        elif fault is None:
            self._note(step, self._start(step, record), record)
        elif fault.kind in {CONNECTION_CUT, CONNECTION_DELAYED}:
            with proxied(self._warehouse.server.port, fault) as (port, flags):
                self._note(step, self._start(step, record, port), record)
                self._outcome.faulted[fault.kind] += flags[Flags.MET]
        elif fault.kind == BIT_FLIPPED:
            with self._warehouse.flipped(step.partition, fault) as flipped:
                self._note(step, self._start(step, record), record)
                self._outcome.faulted[fault.kind] += flipped
        else:
            child = self._start(step, record)
            self._happen(step, fault, child)
            self._note(step, child, record)
            self._outcome.faulted[fault.kind] += child.flags[Flags.MET]
        self._warehouse.wait_for_sessions()

    def _is_possible(self, step: Step) -> bool:
        if step.action in {"run", "land"} or self._history.cut == "frames":
            return step.partition in self._log.current
        return step.action in {"replay", "correct"} or any(key == step.partition for key, _ in self._log.landed)

    def _run_at_once(self, step: Step, record: Rejected | None) -> None:
        steps = [step, *(each for each in step.beside if self._is_possible(each))]
        children = [self._start(each, record if each is step else None) for each in steps]
        for each, child in zip(steps, children, strict=True):
            self._note(each, child, record if each is step else None, alone=False)
        self._outcome.faulted[AT_ONCE] += len(children) if len(children) > 1 else 0

    def _start(self, step: Step, record: Rejected | None, port: int | None = None) -> Child:
        """Fork the process of a step."""
        self._outcome.runs += 1
        if step.action in {"replay", "correct"}:
            self._count_try(record)
            if self._history.in_dagster and step.fault is None:
                return self._replay_in_dagster(record)
        work = self._work(step, self.runs(port), None if record is None else [record.id])
        return fork(work, self._warehouse.folder / f"run-{self._outcome.runs}.log")

    def _work(self, step: Step, runs: Runs, ids: list[int] | None) -> Callable[[Flags], None]:
        """Return what the process of a step does."""
        declared, key = self._log.declared, step.partition

        def work(flags: Flags) -> None:
            if step.fault is not None:
                points.arm(step.fault, flags)
            self._install()
            if self._history.cut == "frames":
                runs.write_frame(key, self._log.published[key, self._log.current[key]].records, flags)
            elif step.action in {"replay", "correct"}:
                runs.replay(declared, ids, flags)
            else:
                if step.action in {"run", "land"}:
                    runs.land(declared, key, flags)
                if step.action != "land":
                    runs.load(declared, key, force=step.action == "reload")

        return work

    def _replay_in_dagster(self, record: Rejected | None) -> Child:
        """Replay through Dagster, and compare its events with the partitions of the records that were replayed."""
        before, answer = dict(self._warehouse.query(_REPLAYS)), self._warehouse.folder / "events"
        runs, ids = self.runs(), None if record is None else [record.id]

        def work(flags: Flags) -> None:
            answer.write_text("\n".join(replay_in_dagster(runs, runs.source(self._log.declared), ids)))
            flags.set(Flags.REPLAYED)

        child = self.fork(work)
        if child.wait() == DONE:
            replayed = [key for key, number in self._warehouse.query(_REPLAYS) if number != before.get(key, 0)]
            wanted = {f"{asset}/{NAME} {key}" for asset in ("core", "quarantine") for key in replayed}
            if missing := wanted - set(answer.read_text().splitlines()):
                self._outcome.violations.append(f"a replay did not show in Dagster: {sorted(missing)}")
        return child

    def _count_try(self, record: Rejected | None) -> None:
        if record is None:
            self._log.tries_of_all += 1
        else:
            self._log.tries[record.delivery_id, record.record_no] += 1

    def _happen(self, step: Step, fault: Fault, child: Child) -> None:
        """Let a fault happen to a process that was prepared for it."""
        if fault.kind == KILLED_ANY_TIME:
            time.sleep(fault.share * _LONGEST_RUN)
            if not child.poll():
                child.flags.set(Flags.MET)
                child.signal(signal.SIGKILL)
        elif fault.kind in {ZOMBIE, SESSION_ENDED, SERVER_CRASH, SUPERVISOR_KILLED} and child.wait_until_stopped():
            if fault.kind == SERVER_CRASH:
                self._warehouse.server.crash()
            elif fault.kind == SUPERVISOR_KILLED:
                self._warehouse.server.kill_supervisor()
            else:
                self._warehouse.end_sessions()
            if fault.kind == ZOMBIE:
                self._take_over(step, fault)
            child.go_on()

    def _take_over(self, step: Step, fault: Fault) -> None:
        """Run the partition of a stopped process to its end, perhaps under another declaration."""
        self._warehouse.wait_for_sessions()
        self._log.declared = step.declared or self._log.declared
        taken = Step("reload" if fault.share > _FORCED else "load", step.partition)
        if step.action in {"replay", "correct"}:
            taken = Step("replay", step.partition)
        if self._is_possible(taken):
            self._note(taken, self._start(taken, None), None, alone=False)

    def _note(self, step: Step, child: Child, record: Rejected | None, *, alone: bool = True) -> None:
        """Wait for a process, and enter in the log what it has done."""
        code = child.wait()
        name = f"{step.action} {step.partition}"
        self._log.killed += code == -signal.SIGKILL
        if code == BROKEN:
            self._outcome.violations.append(f"{name} was broken by {step.fault}: {child.output}")
        elif code != DONE and alone and step.fault is None:
            self._outcome.violations.append(f"{name}, which no fault met, failed: {child.output}")
        if child.flags[Flags.LANDED]:
            self._log.landed.append((step.partition, self._log.current[step.partition]))
        if child.flags[Flags.REPLAYED] and record is not None and alone:
            self._log.acknowledged.add((record.delivery_id, record.record_no))
