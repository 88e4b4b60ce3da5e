"""What processes take: seconds from start to end, processor seconds, peak memory."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psutil

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


def own_processor_seconds() -> float:
    """The processor seconds of this process so far, with those of the children that it waited for."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def processor_seconds(root: psutil.Process) -> float:
    """The processor seconds of a process and its descendants so far, with those that have ended and were waited for."""
    while True:
        ended = _of_ended_children(root)
        total = 0.0
        for process in (root, *root.children(recursive=True)):
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue  # its parent has its seconds now
            total += times.user + times.system + times.children_user + times.children_system
        if _of_ended_children(root) == ended:  # otherwise the seconds of a child may be counted twice, or not at all
            return total


def _of_ended_children(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.children_user + times.children_system)
