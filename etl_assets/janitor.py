"""Removes the containers of runs that ended days ago: ``python -m etl_assets.janitor``.

Dagster's launcher leaves them, with their logs. It needs the Docker engine and no database.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click
from docker import from_env
from docker.errors import APIError, NotFound

if TYPE_CHECKING:
    from docker import DockerClient

_RUN: Final = "dagster/run_id"
_NOT_RUNNING: Final = ["created", "exited", "dead"]
_CONFLICT: Final = 409


def remove_old(client: DockerClient, network: str, before: datetime) -> list[str]:
    """Remove the containers of runs that ended, or were made and never started, before a time.

    Args:
        client: Of the Docker engine.
        network: Name of the network that runs of this stack are in; containers of other networks stay.
        before: The time, with its zone.

    Returns:
        The ids of the runs whose containers were removed.
    """
    removed = []
    filters = {"label": _RUN, "status": _NOT_RUNNING, "network": network}
    for container in client.containers.list(all=True, filters=filters, ignore_removed=True):
        if _end(container.attrs) >= before:
            continue
        try:
            container.remove()
        except NotFound:
            continue  # somebody else has removed it
        except APIError as error:
            if error.response.status_code == _CONFLICT:
                continue  # it runs again, or is being removed
            raise
        removed.append(container.labels[_RUN])
    return removed


def _end(attributes: dict[str, Any]) -> datetime:
    """Return when a container ended; when it was made, if it never started."""
    ended = _time(attributes["State"]["FinishedAt"])
    return ended if ended.year > 1 else _time(attributes["Created"])


def _time(text: str) -> datetime:
    """Return a time of the engine, which has up to nine digits after the second, and is in UTC."""
    return datetime.fromisoformat(text[: len("2026-01-01T00:00:00")]).replace(tzinfo=UTC)


@click.command()
@click.option("--days", type=click.FloatRange(min=0), default=3, show_default=True, help="Keep younger containers.")
@click.option("--every", type=click.IntRange(min=1), help="Repeat after this many seconds; else remove once.")
@click.option("--network", envvar="ETL_ASSETS_RUN_NETWORK", required=True, help="Network of the runs.")
def main(days: float, every: int | None, network: str) -> None:
    """Remove the containers of runs that ended days ago."""
    while True:
        client = from_env()
        for run in remove_old(client, network, datetime.now(UTC) - timedelta(days=days)):
            click.echo(f"The container of run {run} is removed.")
        client.close()
        if every is None:
            return
        time.sleep(every)


if __name__ == "__main__":
    main()
