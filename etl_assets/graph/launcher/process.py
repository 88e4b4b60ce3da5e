"""Processes of this machine, identified so that a number that is used again is not mistaken for them. Linux only."""

from __future__ import annotations

import json
import os
import signal
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

_AFTER_NAME = 19
"""Position of the start time among the fields of ``/proc/PID/stat`` that follow the name of the program."""


@dataclass(frozen=True)
class Process:
    """A process.

    Attributes:
        host: Name of its machine.
        pid: Its number.
        began: When it began, in clock ticks since the machine started.
    """

    host: str
    pid: int
    began: int

    @classmethod
    def of(cls, pid: int) -> Self:
        """Return the process of this machine that has a number now; its start is -1 if there is none."""
        return cls(socket.gethostname(), pid, _began(pid))

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the process that `text` describes."""
        return cls(**json.loads(text))

    @property
    def text(self) -> str:
        """The process as JSON."""
        return json.dumps(asdict(self))

    @property
    def is_here(self) -> bool:
        """Whether it is a process of this machine."""
        return self.host == socket.gethostname()

    @property
    def is_alive(self) -> bool:
        """Whether it runs; only of a process of this machine."""
        return self.began >= 0 and _began(self.pid) == self.began

    def ask_to_end(self) -> bool:
        """Send SIGTERM if it runs; return whether it did."""
        if self.is_alive:
            os.kill(self.pid, signal.SIGTERM)
            return True
        return False


def _began(pid: int) -> int:
    """Return when a process began; -1 if it does not run."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return -1
    return -1 if after_name[0] == "Z" else int(after_name[_AFTER_NAME])
