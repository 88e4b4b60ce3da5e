"""``etl-assets rebuild``: builds the table of a source again from its frozen deliveries, beside the one in use."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING
from uuid import uuid4

import click

from etl_assets.cli import FAILED
from etl_assets.cli.completion import SOURCES
from etl_assets.cli.environment import declared, environment, source_named
from etl_assets.cli.terminal import console, count_text, emit, progress, table
from etl_assets.model.text import escape_lines

if TYPE_CHECKING:
    from etl_assets import rebuild
    from etl_assets.rebuild import Built, Verification


@click.command(name="rebuild")
@click.argument("name", metavar="NAME", shell_complete=SOURCES)
@click.option("--verify", is_flag=True, help="Compare it with the table in use; exit with 1 if they differ.")
@click.option(
    "--swap", is_flag=True, help="Put it in place of the table in use; with --verify, only if they are equal."
)
@click.option("--drop", is_flag=True, help="Drop what was built; nothing else is done.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def command(ctx: click.Context, name: str, *, verify: bool, swap: bool, drop: bool, as_json: bool) -> None:
    """Build the table of a source again from its frozen deliveries, beside the one in use.

    Every delivery is loaded, oldest first, under today's declaration; corrections and dismissals are kept. The table in
    use is not touched before --swap, and its loads go on. A rebuild that was interrupted goes on when it is called
    again, and takes over what was delivered or decided since.
    """
    from etl_assets import rebuild
    from etl_assets.postgres.connection import connected

    if drop and (verify or swap):
        raise click.UsageError("--drop excludes --verify and --swap.")
    with environment() as env:
        env.require_current()
        source = source_named(declared(env.settings), name)
        if drop:
            there = rebuild.drop(source, env.warehouse)
            console().print(f"{name}: {'what was built is dropped' if there else 'nothing was built'}.")
            return
        run_id = f"rebuild-{uuid4()}"
        with progress() as bar:
            task = bar.add_task(name, total=None)

            def show(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total)

            verified = rebuild.verify(source, env.warehouse, run_id, show) if verify else None
            swapped = swap and not (verified and verified.differing)
            built = (rebuild.swap if swapped else rebuild.build)(source, env.warehouse, run_id, show)
        if swapped:
            from etl_assets.cli.orchestration import report_changed

            with connected(env.url) as connection:
                report_changed(connection, source, run_id)
    if as_json:
        emit({**asdict(built), "verified": verified and asdict(verified), "swapped": swapped})
    else:
        _print(name, built, verified, swapped=swapped)
    if verified and verified.differing:
        ctx.exit(FAILED)


def _print(name: str, built: Built, verified: Verification | None, *, swapped: bool) -> None:
    rows, number = count_text(built.rows, "row"), count_text(built.deliveries, "delivery", "deliveries")
    where = "is in use" if swapped else f"is {built.table}"
    console().print(f"{name}: the table of {rows}, built from {number}, {where}.")
    for refused in built.refused:
        click.echo(escape_lines(f"Delivery {refused.id} was refused: {refused.reason}"))
    if verified is None:
        return
    for text in verified.texts():
        click.echo(escape_lines(text))
    if verified.differences:
        table(("row", "is", "columns", "why"), [_cells(difference) for difference in verified.differences])
    if len(verified.differences) < verified.differing:
        click.echo(f"These are the first {len(verified.differences)} of {verified.differing:,}.")


def _cells(difference: rebuild.Difference) -> tuple[str, str, str, str]:
    states = {
        "missing": "missing",
        "extra": "not yielded",
        "contents": "different",
        "times": "equal, but for its times",
        "hash": "equal, but for its hash",
        "mark": "equal, but for its mark",
    }
    return difference.row, states[difference.kind], ", ".join(difference.columns), difference.why
