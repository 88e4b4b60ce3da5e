"""The command line ``etl-assets``: the list of commands, the exit codes and the display of errors.

Each command has its own module. The module is imported when the command is called, so that ``--help`` is fast.
"""

from __future__ import annotations

import logging
import traceback
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import click

from etl_assets import logs
from etl_assets.errors import DeclarationError, EnvironmentFaultError, EtlAssetsError, SettingsError
from etl_assets.model.text import escape_lines

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

FAILED: Final = 1
WRONG_SETTINGS: Final = 3
UNSOUND: Final = 4
_LOG: Final = logging.getLogger(__name__)
_MUST_BE_CORRECTED: Final = (SettingsError, DeclarationError, EnvironmentFaultError)

_COMMANDS: Final = {
    "init": "Make a project with its first source, inferred from a file.",
    "new": "Add a source to the project, inferred from a file.",
    "demo": "Ingest every bundled feed through Dagster and print a summary.",
    "dev": "Run the Dagster UI and daemon over the local data.",
    "receive": "Receive the files that publishers send, for the sources with an inbox.",
    "run": "Run sources, partition by partition, through Dagster.",
    "worker": "Execute the runs that Dagster sends to queues, on this machine.",
    "infer": "Print the declaration of a source, inferred from one of its files.",
    "contract": "Write declarations as data contracts, and declarations from data contracts.",
    "sources": "List the declared sources.",
    "check": "Check every declaration, without a database.",
    "rebuild": "Build the table of a source again from its frozen deliveries; compare it, put it in place.",
    "status": "Show how each table is, worst first, and what to do next.",
    "explain": "Show where a row came from and what became of a key; or the story of a delivery.",
    "preview": "Show what a run of a source would load; nothing is written.",
    "quarantine": "List, show, correct, dismiss, replay and export rejected records.",
    "redact": "Remove records from everything that has them, such as a person's data.",
    "drift": "List, show, accept and ignore changes of what is published.",
    "monitors": "List open changes of level, and accept new levels.",
    "alerts": "List and acknowledge alerts; test channels and send notifications.",
    "metrics": "Serve metrics for Prometheus.",
    "sql": "Query the warehouse, or open psql on it, for reading.",
    "db": "Show how other programs reach the warehouse.",
    "audit": "Check the stored tables against their declarations with Great Expectations; write Data Docs.",
    "doctor": "Check every invariant of the warehouse.",
    "retention": "Drop the rows that are older than their sources keep.",
    "migrate": "Migrate the database to this version.",
}
_EPILOG: Final = """\b
Exit codes
  0  done
  1  a run failed, its delivery was refused, the name of a file was set aside, a rebuilt table differs, a query
     was refused, or status found a table that is not well
  2  the command line is wrong
  3  a setting, a declaration or the database must be corrected first
  4  doctor found a violation, or audit a table that is not as declared

\b
Settings are in the table [tool.etl_assets] of a pyproject.toml, in this folder or above it, or in variables of the
environment, which win: ETL_ASSETS_PROJECT, ETL_ASSETS_HOME, ETL_ASSETS_DATABASE_URL, ETL_ASSETS_DAGSTER_URL,
ETL_ASSETS_LANDING_URL, ETL_ASSETS_SOURCES, ETL_ASSETS_PORT, ETL_ASSETS_DATABASE_WAIT, ETL_ASSETS_UI_URL,
ETL_ASSETS_STATUS_URL, ETL_ASSETS_UI_HOSTS, ETL_ASSETS_INBOX, ETL_ASSETS_LOG_FORMAT, ETL_ASSETS_CELERY_BROKER_URL,
ETL_ASSETS_CELERY_RESULTS_URL, ETL_ASSETS_CHANNEL_NAME for each channel of alerts. Without a database URL,
etl-assets uses an embedded PostgreSQL in ETL_ASSETS_HOME (.etl_assets by default).
"""


class Commands(click.Group):
    """The commands by name; a module is imported when its command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """Return the names, in the order in which a user needs them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return a command; None if there is no command of that name."""
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"etl_assets.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is named first, as click does; suggest one if there is none of that name."""
        if args and args[0] not in _COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            from etl_assets.cli.suggestions import did_you_mean

            ctx.fail(f"No such command {args[0]!r}.{did_you_mean(args[0], _COMMANDS)}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of commands without importing them."""
        from click.shell_completion import CompletionItem

        commands = [CompletionItem(name, help=text) for name, text in _COMMANDS.items() if name.startswith(incomplete)]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; print an error of this package or of a database as plain text, and exit with its code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as raised:
            if (error := known_error(raised)) is None:
                raise
            _show(error, verbose=ctx.params.get("verbose", False))
            ctx.exit(WRONG_SETTINGS if isinstance(error, _MUST_BE_CORRECTED) else FAILED)


def _show(error: EtlAssetsError, *, verbose: bool) -> None:
    """Print an error to standard error, or log it if logs are JSON."""
    if logs.are_json():
        _LOG.error("The command ends with an error.", exc_info=error)
        return
    if verbose:
        click.echo(traceback.format_exc(), err=True)
    from etl_assets.cli.terminal import error as print_error

    print_error(escape_lines(f"{type(error).__name__}: {error}"))


def known_error(error: Exception) -> EtlAssetsError | None:
    """Return the error with its remedy: itself, or that of the database error which caused it; None for a bug."""
    if isinstance(error, EtlAssetsError):
        return error
    from etl_assets.postgres.faults import database_error_in, translate

    cause = database_error_in(error)
    return None if cause is None else translate(cause)


@click.group(cls=Commands, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--verbose", is_flag=True, help="Also print Dagster's log and tracebacks.")
@click.version_option(package_name="etl-assets")
@click.pass_context
def main(ctx: click.Context, *, verbose: bool) -> None:
    """Load declared feeds into validated, traceable Postgres tables, through Dagster."""
    logs.configure()
    ctx.obj = {"verbose": verbose}
