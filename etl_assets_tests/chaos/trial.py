"""A trial: carries out a history with its faults in a warehouse of its own, finishes, and lets the oracle judge."""

from __future__ import annotations

import signal
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import psycopg

from etl_assets import ingest
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import quarantine
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
from etl_assets_tests.chaos.oracle import Content, Log, judge
from etl_assets_tests.chaos.processes import BROKEN, DONE, Flags, fork
from etl_assets_tests.chaos.proxy import proxied
from etl_assets_tests.chaos.runs import NAME, Runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from etl_assets_tests.chaos.history import (
        Fault,
        History,
    )
    from etl_assets_tests.chaos.processes import Child
    from etl_assets_tests.chaos.server import Server

_NAMES: Final = ("code", "amount", "version", "pad", "extra")
_LONGEST_RUN: Final = 0.15
_SESSIONS_END: Final = 10.0
_SESSIONS: Final = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND backend_type = 'client backend'"
)
_ORPHANS: Final = (
    "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname LIKE 'pg\\_temp\\_%' AND c.relkind = 'r'"
)
_END_SESSIONS: Final = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid <> pg_backend_pid()"
)


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
        trial = _Trial(history, server, database, folder, outcome, variant)
        for step in history.steps:
            trial.do(step)
        trial.end()
    outcome.seconds = time.perf_counter() - began
    return outcome


class _Trial:
    """The state of one trial."""

    def __init__(
        self,
        history: History,
        server: Server,
        database: str,
        folder: Path,
        outcome: Outcome,
        variant: Callable[[], None] | None,
    ) -> None:
        self._history = history
        self._server = server
        self._database = database
        self._folder = folder
        self._outcome = outcome
        self._variant = variant
        name = f"core.{NAME}" if history.cut == "frames" else NAME
        self._log = Log(name, f"core.{NAME}", history.cut, history.replaces, history.declared)

    @property
    def _url(self) -> str:
        return self._server.url_of(self._database)

    def _runs(self, port: int | None = None) -> Runs:
        return Runs(self._history, self._folder, self._server.url_of(self._database, port))

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
                self._run(step)

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
            part = self._folder / "part"
            part.write_bytes(data)
            part.replace(self._folder / "feed" / name)
        self._log.published[digest] = Content(step.partition, names, records, data)
        self._log.current[step.partition] = digest

    def _sha256_of_frame(self, key: str, records: tuple[bytes, ...]) -> str:
        answer = self._folder / "sha256"
        child = self._fork(lambda _: answer.write_text(self._runs().sha256_of_frame(key, records)) and None)
        assert child.wait() == DONE, child.output
        return answer.read_text()

    def _waiting(self, statuses: tuple[str, ...], which: int) -> quarantine.Rejected | None:
        with connected(self._url) as connection:
            records = quarantine.find(connection, source=NAME, statuses=statuses)
        return records[which % len(records)] if records else None

    def _dismiss(self, step: Step) -> None:
        record = self._waiting(("open", "parked"), step.which)
        if record is None:
            return
        with connected(self._url) as connection:
            quarantine.dismiss(connection, [record.id], "ada", None)
        self._log.dismissed.add((record.delivery_id, record.record_no))

    def _correct(self, step: Step) -> None:
        record = self._waiting(("open", "parked"), step.which)
        if record is None:
            return
        content = next(iter(self._log.published.values()))
        fields: dict[str, str | None] = dict(zip(content.names[:-1], step.records[0].split(",")[:-1], strict=True))
        with connected(self._url) as connection:
            entered = ingest.published_correction(self._runs().source(self._log.declared), record, fields)
            quarantine.correct(connection, record.id, entered, "ada", None)
        at = (record.delivery_id, record.record_no)
        self._log.corrections[at].append(entered)
        self._log.acknowledged.discard(at)
        self._run(step, record)

    def _run(self, step: Step, record: quarantine.Rejected | None = None) -> None:
        """Start the run of a step and those beside it, let the fault happen, and wait for their ends."""
        if not self._is_possible(step):
            return
        fault = step.fault
        if step.beside:
            self._run_at_once(step, record)
        elif fault is not None and fault.kind in {CONNECTION_CUT, CONNECTION_DELAYED}:
            with proxied(self._server.port, fault) as (port, flags):
                self._note(step, self._start(step, record, port), record)
                self._outcome.faulted[fault.kind] += flags[Flags.MET]
        elif fault is not None and fault.kind == BIT_FLIPPED:
            with self._flipped(step.partition, fault) as flipped:
                self._note(step, self._start(step, record), record)
                self._outcome.faulted[BIT_FLIPPED] += flipped
        else:
            child = self._start(step, record)
            if fault is not None:
                self._happen(step, fault, child)
            self._note(step, child, record)
            if fault is not None:
                self._outcome.faulted[fault.kind] += child.flags[Flags.MET]
        self._wait_for_sessions()

    def _is_possible(self, step: Step) -> bool:
        if step.action in {"run", "land"} or self._history.cut == "frames":
            return step.partition in self._log.current
        return step.action in {"replay", "correct"} or any(key == step.partition for key, _ in self._log.landed)

    def _run_at_once(self, step: Step, record: quarantine.Rejected | None) -> None:
        steps = [step, *(each for each in step.beside if self._is_possible(each))]
        children = [self._start(each, record if each is step else None) for each in steps]
        for each, child in zip(steps, children, strict=True):
            self._note(each, child, record if each is step else None, alone=False)
        self._outcome.faulted[AT_ONCE] += len(children) if len(children) > 1 else 0

    def _start(self, step: Step, record: quarantine.Rejected | None, port: int | None = None) -> Child:
        """Fork the process of a step."""
        runs, declared, fault = self._runs(port), self._log.declared, step.fault
        self._outcome.runs += 1
        if step.action in {"replay", "correct"} and self._history.in_dagster and fault is None:
            return self._replay_in_dagster(record)
        ids = None if record is None else [record.id]
        if step.action in {"replay", "correct"}:
            self._count_tries(record)

        def work(flags: Flags) -> None:
            if fault is not None:
                points.arm(fault, flags)
            if self._variant is not None:
                self._variant()
            if self._history.cut == "frames":
                content = self._log.published[self._log.current[step.partition]]
                runs.write_frame(step.partition, content.records, flags)
            elif step.action in {"replay", "correct"}:
                runs.replay(declared, ids, flags)
            else:
                if step.action in {"run", "land"}:
                    runs.land(declared, step.partition, flags)
                if step.action != "land":
                    runs.load(declared, step.partition, force=step.action == "reload")

        return fork(work, self._folder / f"run-{self._outcome.runs}.log")

    def _replay_in_dagster(self, record: quarantine.Rejected | None) -> Child:
        """Replay through Dagster, and compare its events with the partitions of the records that were replayed."""
        self._count_tries(record)
        replays = "SELECT partition, sum(replays) FROM etl.rejected GROUP BY 1"
        before, answer = dict(self._query(replays)), self._folder / "events"
        ids = None if record is None else [record.id]

        def work(flags: Flags) -> None:
            if self._variant is not None:
                self._variant()
            runs = self._runs()
            answer.write_text("\n".join(replay_in_dagster(runs, runs.source(self._log.declared), ids)))
            flags.set(Flags.REPLAYED)

        child = self._fork(work)
        if child.wait() == DONE:
            replayed = [key for key, number in self._query(replays) if number != before[key]]
            wanted = {f"{asset}/{NAME} {key}" for asset in ("core", "quarantine") for key in replayed}
            if missing := wanted - set(answer.read_text().splitlines()):
                self._outcome.violations.append(f"a replay did not show in Dagster: {sorted(missing)}")
        return child

    def _fork(self, work: Callable[[Flags], Any]) -> Child:
        """Fork a process that no fault meets."""
        return fork(work, self._folder / "aside.log")

    def _count_tries(self, record: quarantine.Rejected | None) -> None:
        if record is not None:
            self._log.tries[record.delivery_id, record.record_no] += 1
            return
        with connected(self._url) as connection:
            for each in quarantine.find(connection, source=NAME):
                self._log.tries[each.delivery_id, each.record_no] += 1

    def _happen(self, step: Step, fault: Fault, child: Child) -> None:
        """Let a fault happen to a process that was prepared for it."""
        if fault.kind == KILLED_ANY_TIME:
            time.sleep(fault.share * _LONGEST_RUN)
            if not child.poll():
                child.flags.set(Flags.MET)
                child.signal(signal.SIGKILL)
            return
        if fault.kind not in {ZOMBIE, SESSION_ENDED, SERVER_CRASH, SUPERVISOR_KILLED} or not child.wait_until_stopped():
            return
        match fault.kind:
            case "immediate stop and restart of the server":
                self._server.crash()
            case "SIGKILL of the server's supervisor":
                self._server.kill_supervisor()
            case _:
                self._query(_END_SESSIONS)
        if fault.kind == ZOMBIE:
            self._take_over(step)
        child.go_on()

    def _take_over(self, step: Step) -> None:
        """Run the partition of a stopped process to its end, perhaps under another declaration."""
        self._wait_for_sessions()
        self._log.declared = step.declared or self._log.declared
        taken = Step("reload" if step.which % 2 or step.action == "reload" else "load", step.partition)
        if step.action in {"replay", "correct"}:
            taken = Step("replay", step.partition)
        if self._is_possible(taken):
            self._note(taken, self._start(taken, None), None, alone=False)

    @contextmanager
    def _flipped(self, key: str, fault: Fault) -> Iterator[bool]:
        """Flip a digit of the newest bytes of a partition; afterwards, restore them as from a backup."""
        newest = self._query(
            "SELECT sha256 FROM etl.delivery WHERE source = %s AND partition = %s ORDER BY id DESC LIMIT 1",
            self._log.source,
            key,
        )
        path = self._folder / "landing" / newest[0][0][:2] / f"{newest[0][0]}.bytes" if newest else None
        if path is None or not path.exists():
            yield False
            return
        kept = path.read_bytes()
        body = kept.index(b"\n")
        digits = [at for at, byte in enumerate(kept) if at > body and chr(byte).isdigit()]
        if digits:
            at = digits[int(fault.share * len(digits)) % len(digits)]
            path.write_bytes(kept[:at] + bytes([kept[at] ^ 1]) + kept[at + 1 :])
        yield bool(digits)
        path.write_bytes(kept)

    def _note(self, step: Step, child: Child, record: quarantine.Rejected | None, *, alone: bool = True) -> None:
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

    def _query(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._url, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def _wait_for_sessions(self) -> None:
        """Wait until the server has noticed that the sessions of killed runs are gone."""
        until = time.monotonic() + _SESSIONS_END
        with psycopg.connect(self._url, autocommit=True) as connection:
            while connection.execute(_SESSIONS).fetchall() != [(0,)] and time.monotonic() < until:
                time.sleep(0.002)

    def end(self) -> None:
        """Run everything until nothing is stale, and judge."""
        if not self._log.current:
            return
        self._drop_orphans()
        current = {key: self._log.published[sha].records for key, sha in sorted(self._log.current.items())}
        found = self._folder / "doctor"

        def finish(_: Flags) -> None:
            if self._variant is not None:
                self._variant()
            self._runs().finish(self._log.declared, current, self._unanswered())
            found.write_text("\n".join(self._runs().examine()))

        child = self._fork(finish)
        if child.wait() != DONE:
            self._outcome.violations.append(f"the runs after the faults failed: {child.output}")
            return
        self._log.landed += self._log.current.items()
        self._wait_for_sessions()
        self._outcome.violations += [f"doctor: {line}" for line in found.read_text().splitlines()]
        self._outcome.violations += judge(self._url, self._log, self._folder / "landing")

    def _drop_orphans(self) -> None:
        """Drop the temporary tables of sessions that a crash of the server has ended, as the doctor advises.

        The server drops them by itself, but not before its next automatic vacuum.
        """
        if self._outcome.faulted[SERVER_CRASH] or self._outcome.faulted[SUPERVISOR_KILLED]:
            for (table,) in self._query(_ORPHANS):
                self._query(f"DROP TABLE IF EXISTS {table}")

    def _unanswered(self) -> list[int]:
        """Return the records that were replayed, then corrected, and whose next replay did not end.

        A reload reads a record as corrected if it was ever replayed, even before the correction was entered. Until it
        is replayed again, its row depends on whether the delivery is reloaded meanwhile.
        """
        again = self._log.corrections.keys() - self._log.acknowledged
        with connected(self._url) as connection:
            return [
                record.id
                for record in quarantine.find(connection, source=NAME)
                if record.replays and (record.delivery_id, record.record_no) in again
            ]
