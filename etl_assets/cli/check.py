"""``etl-assets check``: checks every declaration without a database, for CI and pre-commit."""

from __future__ import annotations

from pathlib import Path

import click

from etl_assets.cli import WRONG_SETTINGS
from etl_assets.cli.terminal import console, count_text, emit
from etl_assets.settings import Settings


@click.command(name="check")
@click.argument("names", metavar="[NAME|FILE]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def command(ctx: click.Context, names: tuple[str, ...], *, as_json: bool) -> None:
    """Check the declarations of all sources, or show only what is wrong in those of NAMES; no database is needed.

    Everything that Dagster loads is built: declarations, what they say of each other, assets written by hand. Exits
    with 3 if a file is wrong. A reference to a table that nothing here makes is a warning. Files that are not of the
    project are passed over, so that pre-commit may name any.
    """
    from etl_assets import catalog
    from etl_assets.cli import references
    from etl_assets.graph import needed

    settings = Settings.from_environment()
    declared = catalog.of_settings(settings)
    location = needed.of_catalog(declared, settings)
    broken = [references.Problem(file.name, file.path, file.problem) for file in location.broken.values()]
    paths = {*location.assets, *(file.file for file in broken)}
    chosen = {path for path in paths if not names or _is_named(path, names)}
    errors = [each for each in (*broken, *references.to_unknown_columns(declared)) if each.file in chosen]
    warnings = [each for each in references.to_unknown_tables(declared, location) if each.file in chosen]
    known = {Path(path).stem for path in paths}
    unknown = [name for name in names if not name.endswith(".py") and name not in known]
    if unknown:
        raise click.UsageError(f"There is no source {unknown[0]!r}. etl-assets sources lists them.")
    if as_json:
        found = {
            f"{kind}s": [{"name": each.name, "file": each.file, kind: each.text} for each in problems]
            for kind, problems in (("error", errors), ("warning", warnings))
        }
        emit({"checked": len(chosen), **found})
    else:
        for each in (*errors, *warnings):
            console().print(f"{each.file}\n    {each.text}\n", markup=False)
        doubts = f", {count_text(len(warnings), 'warning')}" if warnings else ""
        console().print(f"{count_text(len(chosen), 'file')} checked, {count_text(len(errors), 'error')}{doubts}.")
    if errors:
        ctx.exit(WRONG_SETTINGS)


def _is_named(path: str, names: tuple[str, ...]) -> bool:
    """Whether a file is among names of sources and paths of files."""
    here = Path(path)
    return any(name == here.stem or (name.endswith(".py") and Path(name).absolute() == here) for name in names)
