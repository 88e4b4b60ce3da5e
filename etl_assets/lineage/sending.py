"""Sends the events of runs that have ended. The run history is the outbox: what was not sent is sent again."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

from etl_assets.postgres.runs import ended

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from openlineage.client.event_v2 import RunEvent

    from etl_assets.postgres.connection import Connection
    from etl_assets.source import Source

RUNS_AT_ONCE: Final = 50
LONGEST_SECONDS: Final = 30.0
"""After this time, no further run is begun."""
_REFUSING: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY)
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sent:
    """How far the events were sent.

    Attributes:
        after: The id of a row of ``etl.run``; the events of it and of all before it were sent.
        also: Ids of later rows whose events were sent: runs that ended before another one that began earlier.
        runs: How many runs were sent this time.
        problem: Why no more were sent; the empty text if all were.
    """

    after: int
    also: tuple[int, ...] = ()
    runs: int = 0
    problem: str = ""


def is_configured(environ: Mapping[str, str] | None = None) -> bool:
    """Return whether a setting or a file of OpenLineage's library says where events go.

    Args:
        environ: Variables and their values; the environment of this process by default.
    """
    given = os.environ if environ is None else environ
    if given.get("OPENLINEAGE_DISABLED", "").lower() in {"1", "true"}:
        return False
    names = ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE__TRANSPORT__TYPE")
    files = (Path("openlineage.yml"), Path.home() / ".openlineage" / "openlineage.yml")
    return any(given.get(name) for name in names) or any(file.is_file() for file in files)


def send(
    connection: Connection,
    sources: Mapping[str, Source],
    tables: Collection[str],
    url: str,
    before: Sent,
    emit: Callable[[RunEvent], None],
) -> Sent:
    """Send the events of runs that have ended since the last time, oldest first, until one cannot be sent.

    Args:
        connection: To the warehouse.
        sources: All known sources, by name.
        tables: Names of the sources and assets whose runs are sent; those of others are passed over.
        url: Of the warehouse.
        before: How far they were sent.
        emit: Sends an event; raises an `OSError` if it cannot.
    """
    from etl_assets.lineage.events import events_of  # noqa: PLC0415 -- its library is an extra

    until = time.monotonic() + LONGEST_SECONDS
    problem = ""
    complete = ended.complete_until(connection, before.after)
    runs = ended.ended_runs(connection, before.after, set(before.also), RUNS_AT_ONCE)
    passed_over = {run.id for run in runs if run.source not in tables}
    sent = {*before.also, *passed_over}
    for run in (run for run in runs if run.id not in passed_over):
        if problem or time.monotonic() > until:
            break
        for event in events_of(run, ended.check_outcomes(connection, run), sources.get(run.source), url):
            if problem := _problem(event, run, emit):
                break
        else:
            sent.add(run.id)
    count = len(sent) - len(before.also) - len(passed_over)
    left = [run.id - 1 for run in runs if run.id not in sent] or [run.id for run in runs[RUNS_AT_ONCE - 1 :]]
    after = max(before.after, min([complete, *left]))
    return Sent(after, tuple(sorted(id_ for id_ in sent if id_ > after)), count, problem)


def _problem(event: RunEvent, run: ended.EndedRun, emit: Callable[[RunEvent], None]) -> str:
    """Send an event; return why it must be sent again, or the empty text. What a server refuses is not sent again."""
    try:
        emit(event)
    except OSError as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        about = f"of {run.source} ({run.partition})" if run.partition else f"of {run.source}"
        reason = f"{type(error).__name__}{f', status {status}' if status else ''}"
        if status in _REFUSING:
            _LOG.warning("The server refused an event of OpenLineage %s (%s). It is lost.", about, reason)
            return ""
        _LOG.warning("Events of OpenLineage %s were not sent (%s). The next tick tries again.", about, reason)
        return f"The events {about} were not sent: {reason}."
    return ""
