"""``etl-assets status``: shows the health of every table, or of one, and writes the pages of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from etl_assets.cli import FAILED
from etl_assets.cli.completion import SOURCES
from etl_assets.cli.environment import declared, environment, source_named
from etl_assets.cli.terminal import console, count_text, emit
from etl_assets.model.text import escape_control_characters

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from etl_assets.health.judgement import TableHealth

_COLOURS: Final = {"broken": "bold red", "late": "red", "degraded": "yellow", "unknown": "dim", "good": "green"}


@click.command(name="status")
@click.argument("name", required=False, shell_complete=SOURCES)
@click.option(
    "--html", "folder", type=click.Path(file_okay=False, path_type=Path), help="Write pages into this folder."
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each table.")
@click.pass_context
def command(ctx: click.Context, name: str | None, folder: Path | None, *, as_json: bool) -> None:
    """Show how each table is, worst first, and what to do next; nothing in the warehouse is changed.

    \b
    broken    its newest run failed, or its file does not load
    late      a time of its trigger was not served, or it is older than its freshness
    degraded  records wait, drift or alerts are open, checks failed, or partitions are missing or to be reloaded
    unknown   it was never run
    good      none of these

    With NAME, show the details of one table. With --html, write a page for each table too.

    Exits with 1 if a table is broken, late or degraded.
    """  # noqa: D301 -- click reads the escape
    from etl_assets.health.survey import survey

    with environment() as env, env.connection() as connection:
        known = declared(env.settings)
        if name is not None and name not in known.broken:
            source_named(known, name)
        tables = survey(connection, known)
        if folder is not None:
            from etl_assets.audit import data_docs
            from etl_assets.health.pages import Places, write

            docs = data_docs.index_of(env.settings.home).parent
            index = write(connection, known, tables, Places(folder.absolute(), docs, env.settings.ui_url))
    shown = [table for table in tables if name in {None, table.name}]
    if as_json:
        for table in shown:
            emit({**asdict(table), "findings": [finding._asdict() for finding in table.findings]})
    elif name is not None:
        _print_one(shown[0])
    else:
        _print(shown)
    if folder is not None and not as_json:
        click.echo(f"\nPages: {index}")
    if not all(table.is_well for table in shown):
        ctx.exit(FAILED)


def _print(tables: Sequence[TableHealth]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if not tables:
        console().print("No source is declared. Name folders of sources in ETL_ASSETS_SOURCES.")
        return
    columns = ("table", "health", "since", "why", "last load", "next due", "owner")
    grid = Table(*columns, box=box.SIMPLE_HEAD, show_edge=False)
    for column in grid.columns:
        column.overflow = "fold"
    for table in tables:
        cells = (_time(table.since), table.why, _time(table.loaded_at), table.next_due, table.owner)
        health = Text(table.health, style=_COLOURS[table.health])
        grid.add_row(table.name, health, *(Text(escape_control_characters(cell)) for cell in cells))
    console().print(grid)
    for table in tables:
        if not table.is_well:
            click.echo(f"\n{table.name}")
            _print_findings(table)
    unwell = sum(not table.is_well for table in tables)
    of = count_text(len(tables), "table")
    click.echo(f"\n{unwell} of {of} {'is' if unwell == 1 else 'are'} not well." if unwell else f"\n{of}, all well.")


def _print_one(table: TableHealth) -> None:
    from rich.text import Text

    title = Text.assemble(f"{table.name} is ", (table.health, _COLOURS[table.health]))
    title.append(f" since {_time(table.since)}." if table.since else ".")
    console().print(title)
    _print_findings(table)
    lines = {
        "owner": table.owner,
        "rows": f"{table.rows:,}",
        "last load": _time(table.loaded_at),
        "next due": table.next_due,
        "records waiting": f"{table.open:,} open, {table.parked:,} parked",
        "open drift": f"{table.open_drift:,}",
        "open alerts": f"{table.open_alerts:,}",
        "partitions failed": ", ".join(table.failed),
        "partitions missing": ", ".join(table.missing),
        "partitions to reload": ", ".join(table.stale),
    }
    click.echo()
    for label, value in lines.items():
        if value:
            click.echo(f"  {label:21} {escape_control_characters(value)}")
    for name, description in zip(table.failed_checks, table.check_descriptions, strict=True):
        click.echo(f"  {f'check {name}':21} {escape_control_characters(description)}")


def _print_findings(table: TableHealth) -> None:
    if not table.findings:
        click.echo(f"  {escape_control_characters(table.why)}")
    for finding in table.findings:
        click.echo(f"  {escape_control_characters(finding.why)}\n    {escape_control_characters(finding.remedy)}")


def _time(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}"
