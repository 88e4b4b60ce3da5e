"""The pages of the commands, from click: usage, help, arguments and options."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Final

import click

from etl_assets.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER: Final = "reference/commands"
_PROGRAM: Final = "etl-assets"


def pages() -> dict[str, str]:
    """Return a page for each command, and one that lists them with the exit codes, by their paths."""
    top = click.Context(main, info_name=_PROGRAM)
    made = {}
    rows = ""
    for name in main.list_commands(top):
        command = main.get_command(top, name)
        assert command is not None
        rows += f"| [`{_PROGRAM} {name}`]({name}.md) | {command.get_short_help_str(limit=200)} |\n"
        made[f"{FOLDER}/{name}.md"] = "\n".join(_sections(command, click.Context(command, top, name), "#"))
    index = (
        f"# Commands\n\n{_text(main)}\n\n| command | does |\n| --- | --- |\n{rows}\n{_paragraphs(main.epilog or '')}\n"
    )
    return {f"{FOLDER}/index.md": index} | made


def _sections(command: click.Command, context: click.Context, level: str) -> Iterator[str]:
    """Yield the section of a command, and those of the commands below it."""
    yield f"{level} {context.command_path}\n\n{_text(command)}\n"
    yield f"```text\n{' '.join([context.command_path, *command.collect_usage_pieces(context)])}\n```\n"
    records = [record for parameter in command.params if (record := parameter.get_help_record(context)) is not None]
    if records:
        rows = "".join(f"| `{_cell(name)}` | {_cell(text)} |\n" for name, text in records)
        yield f"| option | meaning |\n| --- | --- |\n{rows}"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _sections(below, click.Context(below, context, name), "##")


def _text(command: click.Command) -> str:
    return _paragraphs(inspect.cleandoc(command.help or "").partition("\f")[0])


def _paragraphs(text: str) -> str:
    r"""Return paragraphs as Markdown; those after ``\b`` keep their lines."""
    made = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        lines = paragraph.splitlines()
        if lines[0].strip() == "\b":
            made.append("```text\n" + "\n".join(lines[1:]) + "\n```")
        else:
            made.append(_escaped(" ".join(line.strip() for line in lines)))
    return "\n\n".join(made)


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", "\\*")


def _cell(text: str) -> str:
    return _escaped(text).replace("|", "\\|") if "`" not in text else text.replace("|", "\\|")
