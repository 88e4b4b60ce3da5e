"""Which errors of a step another try may mend, and how long it waits for it.

A run whose process died is started again by Dagster itself, as ``dagster.yaml`` says; here it is about steps.
"""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import dagster as dg

from etl_assets.errors import BusyError, DeliveryIncompleteError, DeliveryUnreachableError, TransientLoadError

if TYPE_CHECKING:
    from collections.abc import Iterator

RETRIES: Final = 5
FIRST_WAIT: Final = 4.0
LONGEST_WAIT: Final = 120.0
"""Seconds; each wait is twice as long as the one before."""
TRANSIENT: Final = (TransientLoadError, BusyError)
"""What another try at a load may mend; nothing else is tried again."""
TRANSIENT_FETCH: Final = (*TRANSIENT, DeliveryIncompleteError, DeliveryUnreachableError)
"""What another try at a fetch may mend."""


@contextmanager
def retrying(tries: int, kinds: tuple[type[Exception], ...] = TRANSIENT) -> Iterator[None]:
    """Let Dagster run the step again when the block raises an error of some kinds.

    Args:
        tries: How often the step was run before.
        kinds: Of errors.
    """
    try:
        yield
    except kinds as error:
        raise _retry(error, tries) from error


def retried(tries: int, kinds: tuple[type[Exception], ...] = TRANSIENT) -> tuple[type[Exception], ...]:
    """The errors, of some kinds, after which a step that was tried so often before is tried again."""
    return kinds if tries < RETRIES else ()


def _retry(error: Exception, tries: int) -> dg.RetryRequested:
    """The request; its wait is shortened by chance, so that those who failed together do not come back together."""
    wait = min(FIRST_WAIT * 2**tries, LONGEST_WAIT)
    asked = dg.RetryRequested(RETRIES, seconds_to_wait=wait * random.uniform(0.5, 1.0))  # noqa: S311 -- no secret
    asked.__cause__ = error  # which is what Dagster shows
    return asked
