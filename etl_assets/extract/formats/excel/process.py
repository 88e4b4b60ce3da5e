"""Runs the child process that reads a workbook, and limits it, so that no workbook can take this process down."""

from __future__ import annotations

import json
import os
import selectors
import signal
import struct
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Final, NoReturn

from etl_assets.errors import DeliveryError, DeliveryIncompleteError, EnvironmentFaultError
from etl_assets.extract.formats.excel.child.main import OUT_OF_MEMORY

if TYPE_CHECKING:
    from collections.abc import Generator

    from etl_assets.extract.formats.excel.child.request import Request

    Message = tuple[dict[str, Any], bytes]

_PROGRAM: Final = (
    "import sys; sys.path[:0] = sys.argv[1:]; from etl_assets.extract.formats.excel.child.main import main; main()"
)
_INHERITED: Final = ("LD_LIBRARY_PATH", "TMPDIR", "PATH")
_LARGEST_HEAD: Final = 256 * 1024**2
_READ: Final = 1024 * 1024
_REASONS: Final = {"incomplete": DeliveryIncompleteError, "library": EnvironmentFaultError}


def messages(request: Request, where: str) -> Generator[Message]:
    """Yield the messages of a child process that reads a workbook; the process ends with the iteration.

    Args:
        request: What it is asked to read.
        where: The name of the workbook, for errors.

    Yields:
        The head of each message, and its records.

    Raises:
        DeliveryError: If the workbook is refused, or a limit is reached.
        DeliveryIncompleteError: If it is cut short.
        EnvironmentFaultError: If the library that reads it is missing.
    """
    process = subprocess.Popen(  # noqa: S603 -- our own program
        [sys.executable, "-I", "-S", "-c", _PROGRAM, *filter(None, sys.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: os.environ[name] for name in _INHERITED if name in os.environ},
    )
    try:
        _send(process, request)
        pipe = _Pipe(process, request, where)
        while True:
            head, data = pipe.message()
            if "refused" in head:
                raise _REASONS.get(head["reason"], DeliveryError)(f"{where} cannot be read: {head['refused']}")
            if "end" in head:
                return
            yield head, data
    finally:
        _end(process)


def _send(process: subprocess.Popen[bytes], request: Request) -> None:
    assert process.stdin is not None  # noqa: S101 -- it is a pipe
    try:
        with process.stdin as stdin:
            stdin.write(json.dumps(request._asdict()).encode())
    except BrokenPipeError:  # the process has ended, which reading its messages finds
        pass


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process if it runs, and close its pipe."""
    process.kill()
    if process.stdout is not None:
        process.stdout.close()
    process.wait()


class _Pipe:
    """Reads messages; the time in which nobody waits for one does not count."""

    def __init__(self, process: subprocess.Popen[bytes], request: Request, where: str) -> None:
        assert process.stdout is not None  # noqa: S101 -- it is a pipe
        self._process = process
        self._request = request
        self._where = where
        self._file = process.stdout.fileno()
        self._left = float(request.seconds)
        self._buffer = bytearray()

    def message(self) -> Message:
        """Return the next message."""
        (length,) = struct.unpack(">I", self._exactly(4))
        if length > _LARGEST_HEAD:
            self._refuse_ended()
        head = json.loads(self._exactly(length))
        if not 0 <= head["bytes"] <= self._request.batch_bytes:
            self._refuse_ended()
        return head, self._exactly(head["bytes"])

    def _exactly(self, count: int) -> bytes:
        with selectors.DefaultSelector() as selector:
            selector.register(self._file, selectors.EVENT_READ)
            while len(self._buffer) < count:
                started = time.monotonic()
                if self._left <= 0 or not selector.select(self._left):
                    raise self._refused(f"reading it takes more than {self._request.seconds} seconds", "seconds")
                data = os.read(self._file, _READ)
                self._left -= time.monotonic() - started
                if not data:
                    self._refuse_ended()
                self._buffer += data
        taken = bytes(memoryview(self._buffer)[:count])
        del self._buffer[:count]
        return taken

    def _refuse_ended(self) -> NoReturn:
        """Raise the error for a process that ended before its last message."""
        self._process.stdout.close()  # type: ignore[union-attr]  # it is a pipe
        code = self._process.wait()
        if code == -signal.SIGXCPU:
            raise self._refused(f"reading it takes more than {self._request.seconds} seconds", "seconds")
        ended = "" if code == OUT_OF_MEMORY else f"; the process that reads it ended with {_named(code)}"
        memory = f"reading it takes more than {self._request.memory_bytes:,} bytes of memory"
        raise self._refused(memory + ended, "memory_bytes")

    def _refused(self, problem: str, limit: str) -> DeliveryError:
        return DeliveryError(
            f"{self._where} cannot be read: {problem}. Nothing was written. Check the workbook: it may be made to "
            f"exhaust machines. Raise {limit} if it is as large as it should be."
        )


def _named(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"code {code}"
