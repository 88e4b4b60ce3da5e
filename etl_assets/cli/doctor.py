"""``etl-assets doctor``: checks every invariant in the database, the landing store and Dagster.

It reads deliveries again and compares them with the tables: a sample of them, or all.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import click

from etl_assets.cli import UNSOUND
from etl_assets.cli.environment import declared, environment
from etl_assets.cli.run import STALE
from etl_assets.cli.terminal import console, count_text, emit, table
from etl_assets.model.text import escape_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.doctor import Extent
    from etl_assets.postgres.ledger.invariants import Invariant, Violation
    from etl_assets.source import Source

_FILES_LOAD: Final = (
    "files_load",
    "Every file of sources loads",
    "Correct the file, then load the code location again. All other files are loaded",
)
"""Name, statement and remedy of an `Invariant`."""


@click.command(name="doctor")
@click.option("--deep", is_flag=True, help="Read all deliveries again and compare them, not only a sample.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def command(ctx: click.Context, *, deep: bool, as_json: bool) -> None:
    """Check every invariant of the warehouse; nothing is changed.

    Reads a sample of the deliveries again and compares it with the tables, the quarantine and the ledger; with --deep,
    reads all of them, and verifies all frozen bytes.

    Exits with 4 if an invariant is violated. Loads may run at the same time.
    """
    from etl_assets import doctor
    from etl_assets.cli import reconciliation
    from etl_assets.definitions import LOCATION
    from etl_assets.postgres.ledger.invariants import Invariant

    files_load = Invariant(*_FILES_LOAD)
    with environment() as env:
        sources = declared(env.settings).sources
        violations = doctor.examine(env.warehouse, sources.values())
        sample_bytes = None if deep else doctor.SAMPLE_BYTES
        reread = doctor.reread(env.warehouse, sources.values(), sample_bytes=sample_bytes)
        violations += reread.violations
        violations += reconciliation.disagreements(env.url, sources)
        stale = _stale_partitions(env.url, sources)
        refused = _refused_changes(env.url, sources)
    violations += [
        files_load.violation(file.path, f"does not load. {file.problem.removesuffix('.')}")
        for file in LOCATION.broken.values()
    ]
    invariants = (*doctor.INVARIANTS, reconciliation.DAGSTER_AGREES, files_load)
    if as_json:
        names = [invariant.name for invariant in invariants]
        emit(
            {
                "examined": names,
                "violations": [asdict(violation) for violation in violations],
                "stale": stale,
                "to_rebuild": refused,
                "deep": deep,
                "read": [asdict(extent) for extent in reread.extents],
            }
        )
    else:
        _print(invariants, violations)
        _print_extents(reread.extents, deep=deep)
        for name, number in stale.items():
            if name not in refused:
                click.echo(f"{name}: {count_text(number, 'partition')} {STALE}. Run `etl-assets run {name}`.")
        for name in refused:
            click.echo(
                f"{name}: its table cannot be changed to what is declared. Run `etl-assets rebuild {name} --swap`."
            )
    if violations:
        ctx.exit(UNSOUND)


def _stale_partitions(url: str, sources: Mapping[str, Source]) -> dict[str, int]:
    """Return the number of partitions with deliveries to reload, by source; sources without any are left out."""
    from etl_assets.postgres.connection import connected
    from etl_assets.postgres.ledger import deliveries

    with connected(url) as connection:
        stale = {
            name: len({d.partition for d in deliveries.stale(connection, name, source.fingerprint)})
            for name, source in sources.items()
        }
    return {name: number for name, number in stale.items() if number}


def _refused_changes(url: str, sources: Mapping[str, Source]) -> list[str]:
    """Return the sources whose tables must be built again, to have the key, the types or the form declared."""
    from etl_assets.postgres.connection import connected
    from etl_assets.postgres.tables.ddl import needs_rebuild
    from etl_assets.postgres.tables.history_table import has_other_form

    with connected(url) as connection:
        return [
            name
            for name, source in sources.items()
            if has_other_form(connection, source.table, source.stored_table)
            or needs_rebuild(connection, source.stored_table, source.row_schema, source.extension)
        ]


def _print(invariants: Sequence[Invariant], violations: Sequence[Violation]) -> None:
    violated = {violation.invariant for violation in violations}
    rows = [("violated" if invariant.name in violated else "holds", invariant.statement) for invariant in invariants]
    table(("", "invariant"), rows)
    if not violations:
        console().print(f"\nAll {len(invariants)} invariants hold.")
        return
    for invariant in invariants:
        for violation in violations:
            if violation.invariant == invariant.name:
                text = f"\n{invariant.name}: {violation.subject} {violation.problem}.\n  {violation.remedy}."
                click.echo(escape_lines(text))
    click.echo(f"\n{count_text(len(violations), 'violation')} of {count_text(len(violated), 'invariant')}.")


def _print_extents(extents: Sequence[Extent], *, deep: bool) -> None:
    """Print how much was read again, of the sources with batches in the ledger."""
    rows = [(e.source, e.batches, e.loaded, e.records, len(e.skipped)) for e in extents if e.loaded]
    if rows:
        click.echo()
        table(("read again", "batches", "of", "records", "deliveries skipped"), rows)
    if not deep:
        click.echo("\nThis is a sample. `etl-assets doctor --deep` reads everything.")
