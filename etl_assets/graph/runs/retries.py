"""Which errors of a step are retried, and how long the step waits before a retry.

This module is about steps. A run whose process died is started again by Dagster itself, as ``dagster.yaml`` says.
"""

from __future__ import annotations

import logging
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import dagster as dg

from etl_assets.errors import BusyError, DeliveryIncompleteError, DeliveryUnreachableError, TransientLoadError

if TYPE_CHECKING:
    from collections.abc import Iterator

RETRIES: Final = 5
_LOG: Final = logging.getLogger(__name__)
FIRST_WAIT: Final = 4.0
LONGEST_WAIT: Final = 120.0
"""In seconds, like the first wait; each wait is twice as long as the one before."""
TRANSIENT: Final = (TransientLoadError, BusyError)
"""The errors of a load that a retry may resolve; no other error is retried."""
TRANSIENT_FETCH: Final = (*TRANSIENT, DeliveryIncompleteError, DeliveryUnreachableError)
"""The errors of a fetch that a retry may resolve."""


@contextmanager
def retrying(tries: int, kinds: tuple[type[Exception], ...] = TRANSIENT) -> Iterator[None]:
    """Let Dagster retry the step if the block raises an error of the given kinds.

    Args:
        tries: How often the step was run before.
        kinds: Kinds of errors.
    """
    try:
        yield
    except kinds as error:
        raise _retry(error, tries) from error


def retried_errors(tries: int, kinds: tuple[type[Exception], ...] = TRANSIENT) -> tuple[type[Exception], ...]:
    """Return the kinds of errors after which a step is retried that was tried so often before; none after the last."""
    return kinds if tries < RETRIES else ()


def _retry(error: Exception, tries: int) -> dg.RetryRequested:
    """Return the request for a retry. Its wait is random, so that steps that failed together do not retry together."""
    wait = min(FIRST_WAIT * 2**tries, LONGEST_WAIT) * random.uniform(0.5, 1.0)  # noqa: S311 -- no secret
    if tries < RETRIES:
        _LOG.warning("Trying again in %.0f seconds. %s", wait, error)
    request = dg.RetryRequested(RETRIES, seconds_to_wait=wait)
    request.__cause__ = error  # Dagster shows the cause
    return request
