"""``etl-assets quarantine``: its commands, each in a module named by what it does."""

from __future__ import annotations

import click

from etl_assets.cli.quarantine.dismissing import dismiss, reopen
from etl_assets.cli.quarantine.exporting import export
from etl_assets.cli.quarantine.fixing import fix
from etl_assets.cli.quarantine.importing import import_
from etl_assets.cli.quarantine.listing import list_
from etl_assets.cli.quarantine.replaying import replay
from etl_assets.cli.quarantine.showing import show


@click.group(name="quarantine")
def command() -> None:
    """List, show, correct, dismiss, replay and export rejected records.

    The quarantine keeps their bytes as delivered. Correct a record (fix), then replay it; or dismiss it. A parked
    record waits for its parent: a row that it refers to.
    """


for _command in (list_, show, fix, replay, dismiss, reopen, export, import_):
    command.add_command(_command)
