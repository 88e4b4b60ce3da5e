"""A trial: carries out a history with its faults in a warehouse of its own, finishes, and lets the oracle judge."""

from __future__ import annotations

import time
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from etl_assets import ingest
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import decisions
from etl_assets_tests.chaos.execution import Execution, Outcome
from etl_assets_tests.chaos.expected import Content, Log
from etl_assets_tests.chaos.history import SERVER_CRASH, SUPERVISOR_KILLED
from etl_assets_tests.chaos.oracle import judge
from etl_assets_tests.chaos.processes import DONE
from etl_assets_tests.chaos.runs import NAME
from etl_assets_tests.chaos.trial_warehouse import TrialWarehouse

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets_tests.chaos.history import History, Step
    from etl_assets_tests.chaos.processes import Flags
    from etl_assets_tests.chaos.server import Server

_NAMES: Final = ("code", "amount", "version", "pad", "extra")
_WHO: Final = "ada"


def carry_out(history: History, server: Server, variant: Callable[[], None] | None = None) -> Outcome:
    """Carry out a history and judge how it ends.

    Args:
        history: The steps and faults.
        server: Of the harness; the trial gets a database of its own.
        variant: Makes the package wrong, in every process that the trial forks.
    """
    began = time.perf_counter()
    folder = server.home / f"trial-{history.seed}-{time.monotonic_ns()}"
    (folder / "feed").mkdir(parents=True)
    outcome = Outcome(history)
    with server.database() as database:
        trial = _Trial(TrialWarehouse(server, database, folder), outcome, variant)
        for step in history.steps:
            trial.do(step)
        trial.end()
    outcome.seconds = time.perf_counter() - began
    return outcome


class _Trial:
    """What the publisher and people do in one trial; `Execution` has the runs."""

    def __init__(self, warehouse: TrialWarehouse, outcome: Outcome, variant: Callable[[], None] | None) -> None:
        history = outcome.history
        name = f"core.{NAME}" if history.cut == "frames" else NAME
        self._history = history
        self._warehouse = warehouse
        self._outcome = outcome
        self._log = Log(name, f"core.{NAME}", history.cut, history.replaces, history.mode, history.declared)
        self._execution = Execution(warehouse, self._log, outcome, variant)

    def do(self, step: Step) -> None:
        """Carry out a step."""
        match step.action:
            case "publish":
                self._publish(step)
            case "declare":
                self._log.declared = step.declared or self._log.declared
            case "dismiss":
                self._dismiss(step)
            case "correct":
                self._correct(step)
            case _:
                self._execution.run(step)

    def _publish(self, step: Step) -> None:
        days = ("day",) if self._history.cut == "days" else ()
        names = ("id", "amount") if self._history.cut == "frames" else (*days, *_NAMES)
        records = tuple(record.encode() for record in step.records)
        data = b"\n".join([",".join(names).encode(), *records]) + b"\n"
        digest = sha256(data).hexdigest()
        if self._history.cut == "frames":
            digest = self._sha256_of_frame(step.partition, records)
        else:
            name = step.partition if self._history.cut == "files" else f"{step.partition}.csv"
            part = self._warehouse.folder / "part"
            part.write_bytes(data)
            part.replace(self._warehouse.folder / "feed" / name)
        self._log.published[step.partition, digest] = Content(step.partition, names, records, data)
        self._log.current[step.partition] = digest

    def _sha256_of_frame(self, key: str, records: tuple[bytes, ...]) -> str:
        runs, answer = self._execution.runs(), self._warehouse.folder / "sha256"
        child = self._execution.fork(lambda _: answer.write_text(runs.sha256_of_frame(key, records)))
        assert child.wait() == DONE, child.output
        return answer.read_text()

    def _dismiss(self, step: Step) -> None:
        """Dismiss a record that waits."""
        if waiting := self._warehouse.waiting():
            record = waiting[step.which % len(waiting)]
            with connected(self._warehouse.url) as connection:
                decisions.dismiss(connection, [record.id], _WHO, None)
            at = (record.delivery_id, record.record_no)
            self._log.dismissed.add(at)
            self._log.corrections.pop(at, None)
            self._log.acknowledged.discard(at)

    def _correct(self, step: Step) -> None:
        """Correct a record that waits, and replay it."""
        records = self._warehouse.waiting()
        if not records:
            return
        record = records[step.which % len(records)]
        names = next(iter(self._log.published.values())).names[:-1]
        fields: dict[str, str | None] = dict(zip(names, step.records[0].split(",")[:-1], strict=True))
        source = self._execution.runs().source(self._log.declared)
        if record.fields is None:
            fields = dict.fromkeys(column.name for column in source.schema.published) | fields
        with connected(self._warehouse.url) as connection:
            entered = ingest.published_correction(source, record, fields)
            decisions.correct(connection, record.id, entered, _WHO, None)
        at = (record.delivery_id, record.record_no)
        self._log.corrections[at].append(entered)
        self._log.dismissed.discard(at)
        self._log.acknowledged.discard(at)
        self._execution.run(step, record)

    def end(self) -> None:
        """Run everything until nothing is stale, and judge."""
        if not self._log.current:
            return
        if self._outcome.faulted[SERVER_CRASH] or self._outcome.faulted[SUPERVISOR_KILLED]:
            self._warehouse.drop_orphans()
        current = {key: self._log.published[key, sha].records for key, sha in sorted(self._log.current.items())}
        runs, found = self._execution.runs(), self._warehouse.folder / "doctor"

        def finish(_: Flags) -> None:
            runs.finish(self._log.declared, current)
            found.write_text("\n".join(runs.examine()))

        child = self._execution.fork(finish)
        if child.wait() != DONE:
            self._outcome.violations.append(f"the runs after the faults failed: {child.output}")
            return
        self._log.landed += self._log.current.items()
        self._warehouse.wait_for_sessions()
        self._outcome.violations += [f"doctor: {line}" for line in found.read_text().splitlines()]
        self._outcome.violations += judge(self._warehouse.url, self._log, self._warehouse.folder / "landing")
