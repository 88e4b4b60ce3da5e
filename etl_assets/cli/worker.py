"""``etl-assets worker``: executes runs that Dagster sends to a queue; see package `graph.celery`."""

from __future__ import annotations

import os
import re
import socket
from importlib.util import find_spec
from typing import Final

import click

from etl_assets.cli.environment import environment
from etl_assets.errors import SettingsError
from etl_assets.model.asset_attributes import is_queue

_SEPARATOR: Final = re.compile(r"\s*,\s*")


def _queues(_ctx: click.Context, _parameter: click.Parameter, value: str) -> list[str]:
    names = _SEPARATOR.split(value.strip())
    if wrong := [name for name in names if not is_queue(name)]:
        raise click.BadParameter(f"{wrong[0]!r} is no queue. Write names such as dagster,big.")
    return names


@click.command(name="worker")
@click.option(
    "--queue",
    "queues",
    default="dagster",
    show_default=True,
    callback=_queues,
    metavar="NAME,NAME",
    help="Queues to take runs from, separated by commas.",
)
@click.option(
    "--concurrency", type=click.IntRange(1), default=2, show_default=True, help="Runs to execute at the same time."
)
@click.pass_context
def command(ctx: click.Context, queues: list[str], concurrency: int) -> None:
    """Execute the runs that Dagster sends to queues. SIGTERM lets the runs under way end, and then the worker.

    The worker needs the databases, the landing store and the files of sources that Dagster has, and the variables
    ETL_ASSETS_CELERY_BROKER_URL and ETL_ASSETS_CELERY_RESULTS_URL, or files with these secrets.
    """
    if find_spec("dagster_celery") is None:
        raise SettingsError(
            "Runs of queues need the packages of the extra celery, which are not installed. Nothing was started. "
            'Run: pip install "etl-assets[celery]"'
        )
    from etl_assets.graph.celery.app import celery_app
    from etl_assets.graph.launcher.execution import import_libraries

    with environment() as env:
        env.require_current()
        app = celery_app()
        import_libraries()
        name = f"{socket.gethostname()}-{os.getpid()}"
        click.echo(f"Worker {name} takes runs from {', '.join(queues)} (Ctrl-C ends it).")
        app.worker_main(
            [
                "--quiet",
                "worker",
                f"--queues={','.join(queues)}",
                f"--concurrency={concurrency}",
                f"--hostname=etl_assets@{name}",
                f"--loglevel={'INFO' if ctx.obj['verbose'] else 'WARNING'}",
                "--pool=prefork",
                "--without-gossip",
                "--without-mingle",
            ]
        )
