"""``etl-assets audit``: the stored tables, held against their declarations by Great Expectations; Data Docs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from etl_assets.cli import FAILED, UNSOUND
from etl_assets.cli.environment import declared, environment, named
from etl_assets.cli.terminal import console, counted, emit, table
from etl_assets.postgres.connection import connected
from etl_assets.postgres.migrations.migrate import require_current

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import dagster as dg

    from etl_assets.cli.environment import Environment


@dataclass(frozen=True)
class Audited:
    """What was found of one table.

    Attributes:
        source: Name of the source.
        rows: Of its table.
        expectations: How many were asked.
        met: How many of them are met.
        data_docs: Path of the page.
        disagreements: Rule, what it asks, and what was found, of each that is not met.
    """

    source: str
    rows: int
    expectations: int
    met: int
    data_docs: str
    disagreements: list[dict[str, str]]


@click.command(name="audit")
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each table, one on each line.")
@click.pass_context
def command(ctx: click.Context, names: tuple[str, ...], *, as_json: bool) -> None:
    """Hold stored tables against their declarations with Great Expectations; write Data Docs.

    All tables, or those of the sources NAMES. The auditor reads the tables alone and knows nothing of the ingest.
    Exits with 4 if a table is not as declared.
    """
    with environment() as env:
        with connected(env.url) as connection:
            require_current(connection)
        sources = declared(env.settings)
        chosen = [named(sources, name).name for name in names]
        from etl_assets.cli.orchestration import orchestration  # noqa: PLC0415 -- loads Dagster

        with orchestration(env, verbose=ctx.obj["verbose"]) as dagster:
            observed, error = dagster.audit(chosen)
        found = [_audited(each) for each in observed]
    for each in found if as_json else ():
        emit(asdict(each))
    if not as_json and not (error and not found):
        _print(env, found)
    if any(each.disagreements for each in found):
        ctx.exit(UNSOUND)
    if error:
        click.echo(error, err=True)
        ctx.exit(FAILED)


def _audited(observation: dg.AssetObservation) -> Audited:
    from etl_assets.graph.assets import audit  # noqa: PLC0415 -- slow

    metadata: Mapping[str, Any] = observation.metadata
    unmet = metadata[audit.DISAGREEMENTS].records if audit.DISAGREEMENTS in metadata else ()
    return Audited(
        source=observation.asset_key.path[-1],
        rows=metadata[audit.ROWS].value,
        expectations=metadata[audit.ASKED].value,
        met=metadata[audit.MET].value,
        data_docs=metadata[audit.PAGE].path,
        disagreements=[{name: str(value) for name, value in record.data.items()} for record in unmet],
    )


def _print(env: Environment, found: Sequence[Audited]) -> None:
    from etl_assets.audit.data_docs import index_of  # noqa: PLC0415 -- slow

    if not found:
        console().print("No table is there yet: run a source first.")
        return
    rows = [(each.source, each.rows, each.expectations, each.expectations - each.met) for each in found]
    table(("table", "rows", "expectations", "not met"), rows)
    for each in found:
        for unmet in each.disagreements:
            click.echo(f"\n{each.source}, {' — '.join(unmet.values())}")
    unsound = sum(bool(each.disagreements) for each in found)
    said = f"{counted(unsound, 'table')} not as declared." if unsound else "Every table is as declared."
    click.echo(f"\n{said}\nData Docs: {index_of(env.settings.home)}")
