"""``etl-assets doctor``: what is promised, held against the database, the landing store and Dagster."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from etl_assets import doctor
from etl_assets.cli import UNSOUND
from etl_assets.cli.environment import declared, environment
from etl_assets.cli.terminal import console, emit, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.postgres.ledger.invariants import Invariant, Violation


@click.command(name="doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """Examine whether the database keeps what is promised; nothing is changed.

    Exits with 4 if a promise is broken. Loads may go on meanwhile.
    """
    from etl_assets.cli import reconciliation  # noqa: PLC0415 -- loads Dagster

    with environment() as env:
        found = doctor.examine(env.warehouse)
        found += reconciliation.disagreements(env.url, declared(env.settings))
    promises = (*doctor.INVARIANTS, reconciliation.DAGSTER_AGREES)
    if as_json:
        emit({"examined": [promise.name for promise in promises], "violations": [asdict(each) for each in found]})
    else:
        _print(promises, found)
    if found:
        ctx.exit(UNSOUND)


def _print(promises: Sequence[Invariant], found: Sequence[Violation]) -> None:
    broken = {violation.invariant for violation in found}
    rows = [("broken" if promise.name in broken else "holds", promise.says) for promise in promises]
    table(("", "promise"), rows)
    if not found:
        console().print(f"\nAll {len(promises)} promises hold.")
        return
    for promise in promises:
        for violation in found:
            if violation.invariant == promise.name:
                click.echo(f"\n{promise.name}: {violation.subject} {violation.problem}.\n  {violation.remedy}.")
    click.echo(f"\n{len(found)} faults, of {len(broken)} promises.")
