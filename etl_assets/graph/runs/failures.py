"""How the failure of a step is shown: its message comes first, and no stack trace comes with it.

Dagster shows an error of a step as two stack traces, its own and that of the cause, and the message between them. The
errors of this package say what happened and what to do, so that nobody needs the traces. They are logged at level
debug, without the texts of causes, which may have contents of records. Errors of other code are shown as Dagster shows
them.
"""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.errors import DagsterUserCodeProcessError
from dagster_shared.error import SerializableErrorInfo

from etl_assets.errors import EtlAssetsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from logging import Logger


@contextmanager
def message_first(log: Logger, tries: int = 0) -> Iterator[None]:
    """Let a step whose block fails show the message of the error alone; log the frames at level debug.

    Args:
        log: Of the step.
        tries: How often Dagster has tried the step before. An error that it would retry, if it had not done so often
            enough, is shown too.

    Raises:
        DagsterUserCodeProcessError: Which has the message, in place of an error of this package, or of a `dg.Failure`.
            Dagster stores the error that this class carries as it is.
    """
    try:
        yield
    except (EtlAssetsError, dg.Failure) as error:
        raise _shown(error, log) from error
    except dg.RetryRequested as request:
        cause = request.__cause__
        if tries < request.max_retries or not isinstance(cause, EtlAssetsError):
            raise
        raise _shown(cause, log) from cause


def _shown(error: EtlAssetsError | dg.Failure, log: Logger) -> DagsterUserCodeProcessError:
    log.debug("Where it failed:\n%s", _frames(error))
    kind = type(error)
    ours = isinstance(error, EtlAssetsError)
    message = f"{kind.__module__}.{kind.__qualname__}: {error}" if ours else str(error)
    shown = SerializableErrorInfo(f"{message}\n", [], kind.__name__)
    return DagsterUserCodeProcessError(message, user_code_process_error_infos=[shown])  # type: ignore[no-untyped-call]  # of Dagster


def _frames(error: BaseException) -> str:
    """Return the frames of an error and of its causes, the innermost error last, without their texts."""
    parts = []
    cause: BaseException | None = error
    while cause is not None:
        parts.append("".join([f"{type(cause).__name__}\n", *traceback.format_tb(cause.__traceback__)]))
        cause = cause.__cause__ or cause.__context__
    return "\n".join(parts)
