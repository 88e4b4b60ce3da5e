"""``etl-assets quarantine list``: lists records without their contents, and counts them by rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from etl_assets.cli.environment import environment
from etl_assets.cli.quarantine.selection import filters_of, selecting
from etl_assets.cli.terminal import console, emit, table
from etl_assets.model.record_status import RECORD_STATUSES

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command(name="list")
@selecting
@click.option(
    "--status", "statuses", multiple=True, type=click.Choice(RECORD_STATUSES), help="Open and parked by default."
)
@click.option("--limit", default=50, show_default=True, help="Show at most this many records.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_(
    source: str | None,
    rule: str | None,
    conditions: Sequence[str],
    statuses: Sequence[str],
    limit: int,
    *,
    as_json: bool,
) -> None:
    """List records without their contents, and count how many broke each rule."""
    from etl_assets.postgres.ledger import cases, quarantine

    chosen = statuses or quarantine.WAITING
    with environment() as env, env.connection() as connection:
        filters = filters_of(env, connection, source, rule, conditions)
        filters["statuses"] = chosen
        summary = [
            count for count in quarantine.counts_of(connection, **filters) if filters.get("rule") in {None, count[2]}
        ]
        filters["limit"] = limit
        records = [vars(record) for record in quarantine.listed(connection, **filters)]
        seen = cases.times_seen(connection, [record["id"] for record in records])
    records = [{**record, "deliveries": seen[record["id"]]} for record in records]
    if as_json:
        keys = ("source", "status", "rule", "records")
        emit({"summary": [dict(zip(keys, count, strict=True)) for count in summary], "records": records})
        return
    if not summary:
        console().print(f"No record is {' or '.join(chosen)}.")
        return
    table(("source", "status", "rule", "records"), summary)
    console().print()
    columns = ("id", "source", "partition", "at", "broke", "status", "deliveries", "replays")
    shown = ("source", "partition", "location", "rules", "status", "deliveries", "replays")
    cells = ((str(r["id"]), *(r[name] if name != "rules" else ", ".join(r[name]) for name in shown)) for r in records)
    table(columns, cells)
    if len(records) == limit:
        console().print(f"\nThese are the first {limit}; --limit shows more.")
