"""``etl-assets contract``: writes declarations as data contracts, and declarations from data contracts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

import click

from etl_assets.cli.environment import declared, source_named
from etl_assets.cli.terminal import count_text
from etl_assets.errors import SettingsError
from etl_assets.model.text import escape_control_characters

if TYPE_CHECKING:
    from collections.abc import Sequence

_STDOUT: Final = "-"
_TO = click.option(
    "--to", metavar="FOLDER|-", default=_STDOUT, show_default=True, help="Write files into this folder, or print."
)


@click.group(name="contract")
def command() -> None:
    """Write declarations as contracts of the Open Data Contract Standard, or from such contracts.

    It needs the extra: pip install 'etl-assets[contract]'
    """
    from importlib.util import find_spec

    if find_spec("open_data_contract_standard") is None:
        raise SettingsError(
            "The package for data contracts is not installed. Nothing was written. Install the extra: "
            "pip install 'etl-assets[contract]'"
        )


@command.command()
@click.argument("names", metavar="[NAME]…", nargs=-1)
@_TO
def export(names: Sequence[str], to: str) -> None:
    """Write the contracts of sources, of all by default; a file NAME.odcs.yaml is replaced.

    What a contract cannot have, such as the code of a transformer, is printed and listed in the document.
    """
    from etl_assets import contract

    known = declared()
    sources = [source_named(known, name) for name in names] or list(known.sources.values())
    for place, source in enumerate(sources):
        exported = contract.export(source)
        text = exported.contract.to_yaml()
        if to == _STDOUT:
            click.echo(("---\n" if place else "") + text, nl=False)
        else:
            path = Path(to, f"{source.name}.odcs.yaml")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            click.echo(f"{path} is written.")
        for clause in exported.not_carried:
            click.echo(f"{source.name}: the contract does not have {escape_control_characters(clause)}.", err=True)


@command.command(name="import")
@click.argument("file", type=click.File(encoding="utf-8"))
@_TO
def import_(file: TextIO, to: str) -> None:
    """Write the declaration of each table of a contract, from FILE or - for standard input.

    What of the contract is not declared is printed, and is in comments of the file. No file is replaced.
    """
    from etl_assets import contract
    from etl_assets.contract.written import write_declaration

    imported = contract.import_contract(file.read())
    paths = [Path(to, f"{each.name}.py") for each in imported]
    if to != _STDOUT and (taken := [path for path in paths if path.exists()]):
        raise click.UsageError(f"{taken[0]} exists. Nothing was written. Name another folder, or delete that file.")
    for each, path in zip(imported, paths, strict=True):
        text = write_declaration(each)
        if to == _STDOUT:
            click.echo(text, nl=False)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            click.echo(f"{path} is written. Read it, then try it with `etl-assets preview {path}`.")
        columns = count_text(len(each.columns), "column")
        click.echo(f"{each.name}: {columns}; {len(each.not_understood):,} not understood.", err=True)
        for clause in each.not_understood:
            click.echo(f"  {escape_control_characters(clause)}", err=True)
