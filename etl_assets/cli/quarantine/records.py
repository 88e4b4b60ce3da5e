"""What the commands of the quarantine have in common: single records, how they are shown, and what Dagster is shown."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import click

from etl_assets.cli.completion import RECORDS
from etl_assets.cli.environment import declared
from etl_assets.cli.options import ROW_ID
from etl_assets.errors import QuarantineError
from etl_assets.model.text import escape_control_characters

if TYPE_CHECKING:
    from collections.abc import Iterable

    from etl_assets.cli.environment import Environment
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.quarantine import Rejected
    from etl_assets.source import Source

REVEAL = click.option("--reveal", is_flag=True, help="Show masked values.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
ID = click.argument("id_", metavar="ID", type=ROW_ID, shell_complete=RECORDS)
IDS = click.argument("ids", metavar="[ID]...", nargs=-1, type=ROW_ID, shell_complete=RECORDS)


def record_of(connection: Connection, id_: int) -> Rejected:
    """Return the record with an id.

    Raises:
        QuarantineError: If there is none.
    """
    from etl_assets.postgres.ledger import quarantine

    records = quarantine.find(connection, ids=[id_])
    if not records:
        raise QuarantineError(
            f"There is no record {id_} in the quarantine. Nothing was changed. See `etl-assets quarantine list`."
        )
    return records[0]


def without_contents(record: Rejected) -> dict[str, Any]:
    """Return the fields of a quarantined record, without its contents."""
    from etl_assets.postgres.ledger.quarantine import ListedRecord

    return {name: getattr(record, name) for name in ListedRecord.__dataclass_fields__}


def requirement(source: Source | None, rule: str) -> str:
    """Return what a rule requires, in words."""
    words = {info.name: info.words for info in source.rules} if source else {}
    return words.get(rule, "no longer declared")


def in_quotes(value: str | None) -> str:
    """Return a value in quotes, and a null as a dash."""
    return "-" if value is None else f"'{escape_control_characters(value)}'"


def materialize(env: Environment, connection: Connection, touched: Iterable[tuple[str, str]]) -> None:
    """Show in Dagster that the quarantine of some partitions, each of a source, has changed, if this user may."""
    if not (places := list(touched)):
        return
    if not may_write_events(env):
        click.echo("This user may not write to Dagster's storage: Dagster shows this after the next run.", err=True)
        return
    from etl_assets.cli.orchestration import report_reviewed

    sources = declared(env.settings).sources
    partitions: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for source, partition in places:
        partitions[source][partition] = None
    for name in partitions.keys() & sources.keys():
        report_reviewed(connection, sources[name], partitions[name])


def may_write_events(env: Environment) -> bool:
    """Return whether this user may write events, or creates the table of events that is not there yet."""
    from etl_assets.postgres.connection import connected

    with connected(env.databases.dagster_url) as connection:
        row = connection.execute("SELECT has_table_privilege(to_regclass('event_logs'), 'INSERT')").fetchone()
    return row is None or row[0] is not False
