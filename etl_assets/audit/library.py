"""Great Expectations itself: loaded when it is needed, and kept from speaking to anyone."""

from __future__ import annotations

import logging
import os
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOG: Final = logging.getLogger("great_expectations")


def load() -> Any:
    """The module ``great_expectations``, which takes some seconds the first time."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"module 'sre_", DeprecationWarning)
        import great_expectations as gx
        import great_expectations.expectations
    return gx


@contextmanager
def silence() -> Iterator[None]:
    """Keep its log back for the length of a block: its errors repeat statements with the values in them."""
    level = _LOG.level
    _LOG.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        _LOG.setLevel(level)
