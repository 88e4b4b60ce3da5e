"""Great Expectations itself: loaded when it is needed, and kept from speaking to anyone."""

from __future__ import annotations

import logging
import os
import warnings
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOG: Final = logging.getLogger("great_expectations")
_NOWHERE: Final = logging.NullHandler()
"""Without a handler of its own a log that goes nowhere is printed."""


def load() -> Any:
    """The module ``great_expectations``, which takes some seconds the first time."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"module 'sre_", DeprecationWarning)
        import great_expectations as gx
        import great_expectations.expectations
    return gx


def part(name: str) -> Any:
    """A module of the library that is not among what ``load`` offers, by its name within it."""
    return import_module(f"{load().__name__}.{name}")


def context() -> Any:
    """A context of the library's that keeps nothing on disk and draws no progress bars."""
    made = load().get_context(mode="ephemeral")
    made.variables.progress_bars = {"globally": False}
    return made


@contextmanager
def silence() -> Iterator[None]:
    """Keep its log back for the length of a block: its errors repeat statements with the values in them."""
    propagate, _LOG.propagate = _LOG.propagate, False
    _LOG.addHandler(_NOWHERE)
    try:
        yield
    finally:
        _LOG.propagate = propagate
        _LOG.removeHandler(_NOWHERE)
