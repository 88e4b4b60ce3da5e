"""``etl-assets audit``: checks the stored tables against their declarations with Great Expectations."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from etl_assets.cli import FAILED, UNSOUND
from etl_assets.cli.completion import SOURCES
from etl_assets.cli.environment import declared, environment, source_named
from etl_assets.cli.terminal import console, count_text, emit, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import dagster as dg

    from etl_assets.cli.environment import Environment


@dataclass(frozen=True)
class Audited:
    """The result of the audit of one table.

    Attributes:
        source: Name of the source.
        rows: How many rows the table has.
        expectations: How many expectations were evaluated.
        met: How many of them are met.
        data_docs: Path of the page in Data Docs.
        disagreements: Each expectation that is not met: the rule, its description and the result.
    """

    source: str
    rows: int
    expectations: int
    met: int
    data_docs: str
    disagreements: list[dict[str, str]]


@click.command(name="audit")
@click.argument("names", nargs=-1, shell_complete=SOURCES)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each table.")
@click.pass_context
def command(ctx: click.Context, names: tuple[str, ...], *, as_json: bool) -> None:
    """Check stored tables against their declarations with Great Expectations; write Data Docs.

    Audits all tables, or those of the sources NAMES. The audit reads only the tables and does not depend on the ingest.
    Exits with 4 if a table is not as declared.
    """
    with environment() as env:
        env.require_current()
        known = declared(env.settings)
        chosen = [source_named(known, name).name for name in names]
        from etl_assets.cli.orchestration import orchestration

        with orchestration(env, verbose=ctx.obj["verbose"]) as dagster:
            observations, error = dagster.audit(chosen)
        tables = [_audited(observation) for observation in observations]
    for file in () if names else known.broken.values():
        click.echo(f"Its table was not audited: {file.error}", err=True)
    for audited in tables if as_json else ():
        emit(asdict(audited))
    if not as_json and not (error and not tables):
        _print(env, tables)
    if any(audited.disagreements for audited in tables):
        ctx.exit(UNSOUND)
    if error:
        click.echo(error, err=True)
        ctx.exit(FAILED)


def _audited(observation: dg.AssetObservation) -> Audited:
    """Read the result of an audit from the metadata of its observation."""
    from etl_assets.graph.assets import audit

    metadata: Mapping[str, Any] = observation.metadata
    unmet = metadata[audit.DISAGREEMENTS].records if audit.DISAGREEMENTS in metadata else ()
    return Audited(
        source=observation.asset_key.path[-1],
        rows=metadata[audit.ROWS].value,
        expectations=metadata[audit.EXPECTATIONS].value,
        met=metadata[audit.EXPECTATIONS_MET].value,
        data_docs=metadata[audit.PAGE].path,
        disagreements=[{name: str(value) for name, value in record.data.items()} for record in unmet],
    )


def _print(env: Environment, tables: Sequence[Audited]) -> None:
    from etl_assets.audit.data_docs import index_of

    if not tables:
        console().print("There is no table yet: run a source first.")
        return
    rows = [(item.source, item.rows, item.expectations, item.expectations - item.met) for item in tables]
    table(("table", "rows", "expectations", "not met"), rows)
    for audited in tables:
        for unmet in audited.disagreements:
            click.echo(f"\n{audited.source}, {' — '.join(unmet.values())}")
    unsound = sum(bool(audited.disagreements) for audited in tables)
    result = f"{count_text(unsound, 'table')} not as declared." if unsound else "Every table is as declared."
    click.echo(f"\n{result}\nData Docs: {index_of(env.settings.home)}")
