"""Children of a warm process: forked without an import, stopped, killed and waited for."""

from __future__ import annotations

import errno
import mmap
import os
import resource
import signal
import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import psycopg

from etl_assets.errors import EtlAssetsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DONE: Final = 0
FAILED: Final = 3
"""The run raised an error of the package, or its connection was lost, which is a proper end."""
BROKEN: Final = 4
"""The run raised anything else."""
_PAUSE: Final = 0.002
_LIMIT: Final = 120.0
_WAIT_SECONDS: Final = "10"
"""How long a run waits for a database that is away, which some faults keep away for good."""


class Flags:
    """Bytes that a child sets and its parent reads, also after the child was killed."""

    MET: Final = 0
    LANDED: Final = 1
    REPLAYED: Final = 2

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 8)

    def set(self, which: int) -> None:
        """Set a flag."""
        self._shared[which] = 1

    def __getitem__(self, which: int) -> bool:
        return bool(self._shared[which])


@dataclass
class Child:
    """A forked process.

    Attributes:
        pid: Its process id.
        log: The file with its output.
        flags: What it has reported.
        code: Its exit code, negative for the signal that ended it; None while it runs.
    """

    pid: int
    log: Path
    flags: Flags
    code: int | None = None
    _stopped: bool = field(default=False, repr=False)

    def poll(self) -> bool:
        """Return whether the process has ended; also notice that it has stopped."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid and os.WIFSTOPPED(status):
                self._stopped = True
            elif pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    def wait(self) -> int:
        """Wait for the end and return the exit code; a process that hangs is killed, and counts as broken."""
        until = time.monotonic() + _LIMIT
        while not self.poll():
            if time.monotonic() > until:
                self.signal(signal.SIGKILL)
                os.waitpid(self.pid, 0)
                self.code = BROKEN
                self.log.write_text(f"{self.log.read_text()}\nit did not end in {_LIMIT:.0f} s")
                break
            time.sleep(_PAUSE)
        return self.code if self.code is not None else BROKEN

    def wait_until_stopped(self) -> bool:
        """Wait until the process stops itself; return False if it ends before."""
        while not self.poll():
            if self._stopped:
                return True
            time.sleep(_PAUSE)
        return False

    def go_on(self) -> None:
        """Let a stopped process go on."""
        self._stopped = False
        self.signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        if self.code is None:
            os.kill(self.pid, number)

    @property
    def output(self) -> str:
        """The end of what the process wrote."""
        return self.log.read_text(errors="replace")[-800:]


def fork(work: Callable[[Flags], None], log: Path) -> Child:
    """Do some work in a child of this process; the child ends without any cleanup of its parent's state.

    Args:
        work: Gets the flags of the child.
        log: The file for its output.
    """
    flags = Flags()
    pid = os.fork()
    if pid:
        return Child(pid, log, flags)
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os._exit(_code_of(work, flags))
    finally:
        os._exit(BROKEN)


def _code_of(work: Callable[[Flags], None], flags: Flags) -> int:
    os.environ["ETL_ASSETS_DATABASE_WAIT"] = _WAIT_SECONDS
    try:
        work(flags)
    except (EtlAssetsError, psycopg.OperationalError) as error:  # outside the loader, the driver's errors are raised
        _write(f"{traceback.format_exc()}\n{type(error).__name__}: {error}")
        if isinstance(error.__context__, OSError) and error.__context__.errno == errno.EFBIG:
            flags.set(Flags.MET)
        return FAILED
    except BaseException:  # noqa: BLE001 -- whatever a run raises is shown, and is a violation
        _write(traceback.format_exc())
        return BROKEN
    return DONE


def _write(text: str) -> None:
    """Write to the log, also in a process whose files must not grow."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    os.write(2, f"{text}\n".encode())
