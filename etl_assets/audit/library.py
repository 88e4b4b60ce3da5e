"""Load Great Expectations when it is needed, and keep it from sending analytics or logging values."""

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
"""Python prints messages of a logger that has no handler; this handler discards them."""


def load() -> Any:
    """Import the module ``great_expectations``. The first call takes some seconds."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"module 'sre_", DeprecationWarning)
        import great_expectations as gx
        import great_expectations.expectations
    return gx


def load_submodule(name: str) -> Any:
    """Import a submodule of Great Expectations by its name inside the library."""
    return import_module(f"{load().__name__}.{name}")


def context() -> Any:
    """Make a context of Great Expectations that writes nothing to disk and shows no progress bars."""
    ephemeral = load().get_context(mode="ephemeral")
    ephemeral.variables.progress_bars = {"globally": False}
    return ephemeral


@contextmanager
def silence() -> Iterator[None]:
    """Discard the library's log inside a block: its error messages contain statements with values of records."""
    propagate, _LOG.propagate = _LOG.propagate, False
    _LOG.addHandler(_NOWHERE)
    try:
        yield
    finally:
        _LOG.propagate = propagate
        _LOG.removeHandler(_NOWHERE)
