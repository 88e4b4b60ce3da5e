"""``etl-assets monitors``: lists open changes of level, and accepts new levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from etl_assets.cli.environment import declared, environment
from etl_assets.cli.options import REVIEWER
from etl_assets.cli.terminal import console, count_text, emit, table
from etl_assets.errors import AlertError
from etl_assets.model.level_change import SEVERAL
from etl_assets.model.text import escape_control_characters

if TYPE_CHECKING:
    from etl_assets.alerts import OpenLevel


@click.group(name="monitors")
def command() -> None:
    """List open changes of level, and accept new levels.

    A change of level is open until the number goes back, you accept the new level, or it has lasted so long that it is
    the usual one.
    """


@command.command(name="list")
@click.option("--source", help="Only changes of this source.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each change.")
def list_(source: str | None, *, as_json: bool) -> None:
    """List the open changes of level, oldest first."""
    from etl_assets import alerts

    with environment() as env, env.connection() as connection:
        levels = alerts.open_levels(connection, source)
    if as_json:
        for level in levels:
            emit({**vars(level.alert), "columns": list(level.columns), "statistic": level.statistic})
        return
    if not levels:
        console().print("No change of level is open.")
        return
    table(
        ("alert", "source", "column", "number", "severity", "since delivery", "deliveries", "since"), map(_row, levels)
    )
    for level in levels:
        console().print(f"\n{level.alert.id}: {escape_control_characters(level.alert.summary)}", markup=False)


@command.command()
@click.argument("source")
@click.argument("column", required=False)
@click.argument("statistic", required=False)
@click.option("--note", default="", help="Why.")
@REVIEWER
def accept(source: str, column: str | None, statistic: str | None, note: str, reviewer: str) -> None:
    """Accept the new levels of a source, a column or one number: they are the usual ones from now on.

    The history before them no longer counts. COLUMN is "records" for the number of records. What deviates from a new
    level, be it by going back, is a new change.
    """
    from etl_assets import alerts, watch

    with environment() as env, env.connection() as connection:
        known = declared(env.settings).sources.get(source)
        rules, known_columns = (known.alert_rules, known.schema.names) if known else ((), ())
        chosen = [
            level
            for level in alerts.open_levels(connection, source)
            if column in {None, *level.columns} or (SEVERAL in level.columns and column in known_columns)
        ]
        if statistic is not None:
            chosen = [level for level in chosen if level.statistic == statistic] or chosen[:1]
        if not chosen:
            raise AlertError(
                f"No change of level of {' '.join(filter(None, (source, column)))} is open. Nothing was changed. "
                "See `etl-assets monitors list`."
            )
        for level in chosen:
            watch.accept_level(connection, rules, level, reviewer, note, column=column or "", statistic=statistic or "")
    console().print(f"{count_text(len(chosen), 'change')} of level accepted.")


def _row(level: OpenLevel) -> tuple[str, ...]:
    alert = level.alert
    return (
        str(alert.id),
        alert.source,
        " and ".join(level.columns),
        level.statistic or "swapped",
        alert.severity,
        str(alert.delivery_id or ""),
        str(alert.times),
        f"{alert.opened_at:%Y-%m-%d %H:%M}",
    )
