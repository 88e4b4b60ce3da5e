"""``etl-assets quarantine replay``: replays records through Dagster, for this command and for ``fix --replay``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import click

from etl_assets.cli.completion import SOURCES
from etl_assets.cli.environment import declared, environment, source_named
from etl_assets.cli.quarantine.records import IDS
from etl_assets.cli.terminal import console, count_text, emit, error, table
from etl_assets.model.rule import UNTERMINATED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.cli.environment import Environment
    from etl_assets.cli.outcome import Outcome

_OF_ONE_RUN: Final = 10_000
"""The largest number of records that are named to one run."""


@click.command()
@click.argument("name", metavar="SOURCE", shell_complete=SOURCES)
@IDS
@click.option("--parked", is_flag=True, help="Only parked records whose parents have arrived.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def replay(ctx: click.Context, name: str, ids: Sequence[int], *, parked: bool, as_json: bool) -> None:
    """Replay waiting records, corrected or as delivered, with the current declaration.

    A record that may have been cut is replayed if it is corrected, or named by its id: then it is taken to be whole.
    """
    if parked and ids:
        raise click.UsageError("--parked selects the records: leave out the ids.")
    with environment() as env:
        source_named(declared(env.settings), name)
        outcome, waiting = _replayed(ctx, env, name, list(ids) or None, released=parked)
    if as_json:
        emit({**outcome.as_json(), "waiting": waiting})
    _end(ctx, outcome, waiting, as_json=as_json)


def replay_corrected(ctx: click.Context, env: Environment, name: str, ids: Sequence[int]) -> None:
    """Replay records that were corrected, print what became of them, and end with an error if a replay failed.

    Args:
        ctx: Of the command.
        env: Its settings and databases.
        name: Of the source.
        ids: Of the records.
    """
    for some in _in_parts(ids):
        outcome, waiting = _replayed(ctx, env, name, some, released=False)
        _end(ctx, outcome, waiting, as_json=False)


def _in_parts(ids: Sequence[int]) -> list[list[int]]:
    return [list(ids[start : start + _OF_ONE_RUN]) for start in range(0, len(ids), _OF_ONE_RUN)]


def _replayed(
    ctx: click.Context, env: Environment, name: str, ids: list[int] | None, *, released: bool
) -> tuple[Outcome, list[dict[str, Any]]]:
    """Replay records; return the outcome, and those of them that still wait."""
    from etl_assets.cli.orchestration import orchestration
    from etl_assets.postgres.connection import connected
    from etl_assets.postgres.ledger import quarantine

    with orchestration(env, verbose=ctx.obj["verbose"]) as dagster:
        outcome = dagster.replay(name, ids, released=released)
    with connected(env.url) as connection:
        records = quarantine.listed(connection, source=name, ids=ids)
        return outcome, [vars(record) for record in records if record.status in quarantine.WAITING]


def _end(ctx: click.Context, outcome: Outcome, waiting: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """Print what became of a replay, unless it was printed as JSON; end with an error if it failed."""
    if outcome.error is not None:
        if not as_json:
            error(f"{outcome.error.name}: {outcome.error.message}")
        ctx.exit(1)
    if as_json:
        return
    counts = outcome.counts
    expired = f"{counts.expired} too old to be kept, " if counts.expired else ""
    console().print(
        f"{outcome.source}: {count_text(counts.read - counts.rejected, 'record')} replayed "
        f"({count_text(counts.inserted, 'row')} inserted, {counts.updated} updated, "
        f"{counts.unchanged + counts.duplicate} already present in the same or a newer version, {expired}"
        f"{count_text(counts.filtered, 'record')} filtered); still waiting: {len(waiting)}."
    )
    if waiting:
        broken = Counter(rule for record in waiting for rule in record["rules"])
        table(("rule", "records"), broken.most_common())
        if broken[UNTERMINATED]:
            console().print("Of records that may have been cut, replay those that are whole by their ids.")
