"""Says in words why a server cannot be reached."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEEPEST: Final = 8


def cause_of(error: BaseException) -> str:
    """Return why a request had no answer, as a clause.

    urllib3 wraps the error of the system in others, whose names say little.
    """
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return "its name does not resolve"
        if isinstance(cause, ConnectionRefusedError):
            return "nothing listens there"
        if isinstance(cause, ConnectionError):
            return "it broke off the connection"
        if isinstance(cause, TimeoutError):
            return "it does not answer in time"
    return type(error).__name__


def unused_proxy(scheme: str) -> str:
    """Return a sentence about the proxy that the environment names for a scheme; the empty text if it names none."""
    names = (f"{scheme}_proxy", f"{scheme.upper()}_PROXY")
    named = next((name for name in names if os.environ.get(name)), None)
    return f" {named} is set, and is not used: if the way is through it, declare access=Http(proxy=…)." if named else ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and those that it wraps, the outer ones first."""
    found: BaseException | None = error
    for _ in range(_DEEPEST):
        if found is None:
            return
        yield found
        inner = [part for part in found.args if isinstance(part, BaseException)]
        found = inner[0] if inner else found.__cause__ or found.__context__
