"""``etl-assets retention``: drops the rows that are older than their sources keep."""

from __future__ import annotations

import click

from etl_assets.cli.completion import SOURCES
from etl_assets.cli.environment import declared, environment, source_named
from etl_assets.cli.terminal import count_text, emit


@click.command(name="retention")
@click.argument("names", nargs=-1, shell_complete=SOURCES)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each source.")
def command(names: tuple[str, ...], *, as_json: bool) -> None:
    """Drop the rows that are older than their sources keep, as loads and a daily run of Dagster do.

    Of all sources with `partition_by` and `keep`, or of the sources NAMES. Nothing else is changed.
    """
    from etl_assets import ingest

    with environment() as env:
        env.require_current()
        known = declared(env.settings)
        chosen = [source_named(known, name) for name in names] or list(known.sources.values())
        for source in chosen:
            if source.partition_by is None or source.partition_by.keep is None:
                if names:
                    raise click.UsageError(f"Source {source.name!r} keeps every row. Write keep= in its partition_by.")
                continue
            dropped = ingest.drop_expired(source, env.warehouse)
            if as_json:
                emit({"source": source.name, "keep": source.partition_by.keep, "dropped": dropped or 0})
            else:
                click.echo(
                    f"{source.name} keeps {source.partition_by.keep}; dropped: {count_text(dropped or 0, 'row')}."
                )
