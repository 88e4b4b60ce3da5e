"""Shows the columns that a change of names leaves empty, and asks before such a change is accepted."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from etl_assets.cli.terminal import count_text
from etl_assets.model.text import escape_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from etl_assets.model.drift import DriftEvent
    from etl_assets.watch import EmptiedColumn


def as_json(column: EmptiedColumn) -> dict[str, Any]:
    """Return the column and its numbers of rows as JSON values."""
    return {
        "column": column.name,
        "published": column.published,
        "since_delivery": column.since.id,
        "rows": column.rows,
        "null_rows": column.nulls,
    }


def count_of_nulls(column: EmptiedColumn) -> str:
    """Return in words how many rows have NULL in the column."""
    return f"in {column.name!r} of {column.nulls:,} of {count_text(column.rows, 'row')} loaded since {column.since}"


def confirm_empty(emptied: Iterable[tuple[DriftEvent, EmptiedColumn]]) -> None:
    """Describe each column that stays empty if its event is accepted, and ask whether to accept all the same.

    Raises:
        click.UsageError: If there is no terminal to ask at.
        click.Abort: If the answer is no.
    """
    sentences = [_description(event, column) for event, column in emptied]
    if not sentences:
        return
    for sentence in sentences:
        click.echo(escape_lines(sentence), err=True)
    if not sys.stdin.isatty():
        raise click.UsageError(
            "Nothing was accepted: a column would stay empty, and there is no terminal to ask at. Change the "
            "declaration as proposed, or accept with --yes."
        )
    click.confirm("Accept all the same?", abort=True, err=True)


def _description(event: DriftEvent, column: EmptiedColumn) -> str:
    """Return what accepting an event means for its column, and what to declare instead."""
    return (
        f"Change {event.id}: {event}. Column {column.name!r} is not published under any declared name since "
        f"{column.since}, first seen {event.opened_at:%Y-%m-%d %H:%M} UTC. NULL is {count_of_nulls(column)}. "
        f"Accepting does not change that. Declare instead, then run `etl-assets run {event.source}`:\n"
        f"    {event.change.proposal}"
    )
