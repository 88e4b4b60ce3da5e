"""``etl-assets receive``: receives the files that publishers send; see package `receive`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from etl_assets import logs
from etl_assets.cli.environment import declared
from etl_assets.errors import DeclarationError
from etl_assets.settings import Settings

if TYPE_CHECKING:
    from etl_assets.catalog import Catalog
    from etl_assets.extract.inbox import Inbox

_MIB: Final = 1024 * 1024
_PORT: Final = click.IntRange(0, 65_535)
_ONE_OR_MORE: Final = click.IntRange(1)
_NOT_NEGATIVE: Final = click.IntRange(0)


@click.command(name="receive")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=3080,
    show_default=True,
    help="Port to listen at; 0 for any that is free.",
)
@click.option("--uds", metavar="PATH", help="Path of a Unix socket to listen at, instead of host and port.")
@click.option(
    "--at-once", type=click.IntRange(1), default=16, show_default=True, help="Files that are received at the same time."
)
@click.option(
    "--keep-free", type=click.IntRange(0), default=256, show_default=True, help="MiB of the disk that stay free."
)
@click.option(
    "--end-seconds",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    help="How long requests may go on after a signal to end.",
)
@click.pass_context
def command(
    ctx: click.Context, host: str, port: int, uds: str | None, at_once: int, keep_free: int, end_seconds: int
) -> None:
    """Receive the files that publishers send, for the sources with an inbox. Ctrl-C ends it.

    Publishers send to /receive/NAME, where NAME is a source. No database is needed; runs load the files. HTTPS is the
    task of a proxy in front.
    """
    from etl_assets.receive.server import Limits, serve, tcp_listener, unix_listener

    settings = Settings.from_environment()
    inboxes = _inboxes(declared(settings))
    logs.configure_command(verbose=ctx.obj["verbose"])
    listener = unix_listener(uds) if uds else tcp_listener(host, port)
    place = uds or _shown(*listener.getsockname()[:2])

    def started() -> None:
        click.echo(f"Receiving for {', '.join(inboxes)} at {place} (Ctrl-C ends it).")

    try:
        serve(inboxes, listener, Limits(at_once, keep_free * _MIB, end_seconds), started)
    finally:
        listener.close()
        if uds:
            Path(uds).unlink(missing_ok=True)


def _shown(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _inboxes(known: Catalog) -> dict[str, Inbox]:
    """Return the inboxes of all sources; files that do not load are shown.

    Raises:
        DeclarationError: If there is none.
    """
    from etl_assets.extract.inbox import Inbox

    for file in known.broken.values():
        click.echo(f"{file.error} If it has an inbox, nothing is received for it.", err=True)
    inboxes = {name: source.extractor for name, source in known.sources.items() if isinstance(source.extractor, Inbox)}
    if not inboxes:
        remedy = "Declare extractor=Inbox(format=…, token=Secret('NAME')) in a file of ETL_ASSETS_SOURCES"
        raise DeclarationError("receive", "sources", "have no inbox", remedy)
    return inboxes
