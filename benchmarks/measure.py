"""Runs one process and says what it took: seconds from its start to its end, processor seconds, peak memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MAXRSS_UNIT: Final = 1 if sys.platform == "darwin" else 1024
"""Bytes in the unit in which the system reports the largest resident memory."""


@dataclass(frozen=True)
class Process:
    """What a finished process took.

    Attributes:
        seconds: From just before its start until it had ended.
        cpu_seconds: Of the process and the children it waited for, user and system.
        peak_bytes: Largest resident memory; of the largest process where it had children.
        output: What it wrote to standard output.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str


class FailedProcessError(Exception):
    """A measured process ended with an error; what it said is in the text."""


def measure(command: Sequence[str], *, environment: Mapping[str, str], work: Path) -> Process:
    """Run a process to its end.

    The peak that the system reports is never below what the calling process held, so this must be called from a
    small one.

    Args:
        command: Program and arguments.
        environment: Variables added to this process's own.
        work: Folder for what the process writes.

    Raises:
        FailedProcessError: If it ends with anything but 0.
    """
    said, complained = work / "stdout.txt", work / "stderr.txt"
    with said.open("wb") as stdout, complained.open("wb") as stderr:
        start = time.perf_counter()
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=stdout, stderr=stderr)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        text = complained.read_text(errors="replace")[-4000:]
        raise FailedProcessError(f"{command[0]} ended with {process.returncode}:\n{text}")
    return Process(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * MAXRSS_UNIT, said.read_text())
