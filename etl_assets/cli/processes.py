"""Processes that execute ranges for a command, one at a time each.

They are forked from the process of the command when that has the libraries imported, and before it loads the first
source: to load a source computes with Polars, whose threads a fork misses. Each loads the sources itself, has
connections of its own, and is in a session of its own, so that Ctrl-C is for the command alone. They end with the
command.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import Pipe, get_context
from typing import TYPE_CHECKING, Any, Final

from etl_assets import errors
from etl_assets.cli import known_error
from etl_assets.cli.environment import declared
from etl_assets.errors import EtlAssetsError
from etl_assets.extract import progress
from etl_assets.load import progress as load_progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection

    from etl_assets.cli.environment import Environment
    from etl_assets.cli.orchestration import Orchestration, Runnable
    from etl_assets.cli.outcome import Outcome
    from etl_assets.cli.run_options import RunOptions
    from etl_assets.load.progress import Loaded

_END_SECONDS: Final = 60.0
"""How long processes may take to end after they were asked to."""
_MOST: Final = 4
"""As many runs as ``dagster.yaml`` lets the daemon execute at the same time."""


@dataclass(frozen=True)
class Request:
    """What a process is to execute.

    Attributes:
        what: The name of a source, or the parts of the key of an asset.
        keys: Keys of partitions that one run takes.
        options: How to run them.
        run_id: The id of the run.
    """

    what: str | tuple[str, ...]
    keys: tuple[str, ...]
    options: RunOptions
    run_id: str


@dataclass(frozen=True)
class Answer:
    """What a process has to say of its request.

    Attributes:
        text: A sentence for people, while the request is executed.
        loaded: How far a delivery is loaded, while the request is executed.
        outcomes: The outcome of each partition, at the end.
        error: Class and text of the error of this package that was raised instead.
    """

    text: str = ""
    loaded: Loaded | None = None
    outcomes: tuple[Outcome, ...] = ()
    error: tuple[str, str] | None = None

    @property
    def is_last(self) -> bool:
        """Whether the request has been executed."""
        return not self.text and self.loaded is None

    def raised(self) -> EtlAssetsError | None:
        """Return the error that was raised in the process; None if none was."""
        if self.error is None:
            return None
        name, text = self.error
        kind = getattr(errors, name, EtlAssetsError)
        error: EtlAssetsError = kind.__new__(kind, text)  # the arguments of its own are not known
        return error


def usual_number() -> int:
    """Return how many processes are used unless another number is asked for: one for each processor, and at most 4."""
    return min(len(os.sched_getaffinity(0)), _MOST) if sys.platform == "linux" else 1


@contextmanager
def forked(number: int, env: Environment, *, verbose: bool) -> Iterator[list[Process]]:
    """Fork processes for the length of a block; none if one is enough, or if this process cannot fork.

    Args:
        number: How many.
        env: The settings and databases of the command.
        verbose: Whether Dagster's log goes to standard error.
    """
    processes: list[Process] = []
    if number > 1 and _can_fork():
        for _ in range(number):
            processes.append(Process(env, processes, verbose=verbose))
    with ExitStack() as stack:
        for process in processes:
            stack.callback(process.end)
        for process in processes:
            stack.callback(process.ask_to_end)
        yield processes


class Process:
    """A process, seen from the command.

    Attributes:
        connection: Through which it answers.
    """

    def __init__(self, env: Environment, others: Sequence[Process], *, verbose: bool) -> None:
        """Fork it.

        Args:
            env: The settings and databases of the command.
            others: The processes that were forked before.
            verbose: Whether Dagster's log goes to standard error.
        """
        self.connection, theirs = Pipe()
        ours = [self.connection, *(other.connection for other in others)]
        self._process = get_context("fork").Process(
            target=_serve, args=(os.getpid(), theirs, ours, env), kwargs={"verbose": verbose}
        )
        self._process.start()
        theirs.close()
        self._is_busy = self._has_sources = False

    def execute(self, names: Sequence[str], request: Request) -> None:
        """Let it execute a request.

        Args:
            names: Names of the sources, and keys of the assets, that it loads before the first request.
            request: The request.
        """
        self._is_busy = True
        if not self._has_sources:
            self._has_sources = True
            self._send(names)
        self._send(request)

    def answer(self) -> Answer | None:
        """Return its next answer; None if the process is gone."""
        try:
            answer: Answer = self.connection.recv()
        except (EOFError, OSError):
            self._is_busy = False
            self._process.join()
            return None
        self._is_busy = not answer.is_last
        return answer

    def interrupt(self, *, kill: bool = False) -> None:
        """Interrupt what it executes, or kill it."""
        if kill:
            self._process.kill()
        else:
            self._process.terminate()

    def ask_to_end(self) -> None:
        """Let it end, and interrupt what it executes."""
        self.connection.close()
        if self._is_busy:
            self._process.terminate()

    def end(self) -> None:
        """Wait until it has ended; kill it if it does not."""
        self._process.join(_END_SECONDS)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()

    def _send(self, message: object) -> None:
        with suppress(OSError):  # the process is gone; its answer says so
            self.connection.send(message)


def _can_fork() -> bool:
    """Import what runs need; return whether this process can fork, which it cannot if it has threads."""
    if sys.platform != "linux":
        return False
    from etl_assets.graph.launcher.execution import import_libraries
    from etl_assets.graph.launcher.forks import foreign_threads

    import_libraries()
    import_module("etl_assets.cli.orchestration")
    if foreign_threads():
        return False
    gc.collect()
    gc.freeze()
    sys.stdout.flush()
    sys.stderr.flush()
    return True


def _serve(
    parent: int, connection: Connection, foreign: Sequence[Connection], env: Environment, *, verbose: bool
) -> None:
    """Execute requests until the command closes the connection.

    An error that is none of this package ends the process with a traceback, and the command reports that.
    """
    import dagster as dg
    from dagster._utils.interrupts import setup_interrupt_handlers

    from etl_assets.cli.orchestration import opened
    from etl_assets.graph.launcher.forks import end_with
    from etl_assets.graph.needed import named

    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    setup_interrupt_handlers()
    end_with(parent)
    for other in foreign:
        other.close()
    with suppress(KeyboardInterrupt):
        for names in _received(connection):
            known = declared(env.settings)
            with opened(env, verbose=verbose, wanted=named(known, names)) as dagster:
                for request in _received(connection):
                    what = known.sources[request.what] if isinstance(request.what, str) else dg.AssetKey(request.what)
                    _execute(dagster, what, request, connection)


def _received(connection: Connection) -> Iterator[Any]:
    """Yield what the command sends, until it closes the connection."""
    with suppress(EOFError, ConnectionError):
        while True:
            yield connection.recv()


def _execute(dagster: Orchestration, what: Runnable, request: Request, connection: Connection) -> None:
    """Execute a request, and answer it."""
    lock = threading.Lock()

    def send(answer: Answer) -> None:
        with lock:  # a fetch may have threads
            connection.send(answer)

    try:
        with progress.shown(lambda text: send(Answer(text))), load_progress.shown(lambda to: send(Answer(loaded=to))):
            outcomes = dagster.run(what, request.keys, request.options, request.run_id)
    except Exception as raised:
        if (error := known_error(raised)) is None:
            raise
        send(Answer(error=(type(error).__name__, str(error))))
    else:
        send(Answer(outcomes=tuple(outcomes)))
