"""Writes what a contract declares as the file of a source, for a person to read and complete."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

from etl_assets.contract.values import names_in
from etl_assets.infer.python import argument, expression, text_of, written
from etl_assets.model.partitions import Files
from etl_assets.model.text import escape_control_characters

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.contract.importing import Imported

_WIDTH: Final = 120
_UNKNOWN_PLACE: Final = (
    "Where do the records come from? The contract names no files that can be read. Declare the extractor."
)
_UNKNOWN_KEY: Final = "The contract has no primary key. Without one every record is a row: which columns identify it?"


def write_declaration(imported: Imported) -> str:
    """Return the file of the source that a contract declares."""
    body = list(_body(imported))
    code = "\n".join(line for line in body if not line.lstrip().startswith("#"))
    names = names_in(code.removeprefix("SOURCE = ")) - {"__doc__"}
    return "\n".join([*_docstring(imported), *_imports(names), "", *_not_understood(imported), *body, ""])


def _docstring(imported: Imported) -> list[str]:
    if not _is_docstring(imported.description):
        return []
    return [f'"""{imported.description}"""', ""]


def _is_docstring(text: str) -> bool:
    """Return whether a text is the same as a docstring, of every version of Python."""
    lines = text.split("\n")
    plain = all(line == line.rstrip() and line.isprintable() for line in lines[:-1]) and lines[-1].isprintable()
    return bool(text.strip()) and plain and not set(text) & {"\\", '"'} and text[:1] != " " and lines[-1:] != [" "]


def _imports(names: set[str]) -> Iterator[str]:
    if "datetime" in names:
        yield "import datetime"
    if "Decimal" in names:
        yield "from decimal import Decimal"
    if names & {"datetime", "Decimal"}:
        yield ""
    ours = sorted(names - {"datetime", "Decimal"})
    line = f"from etl_assets import {', '.join(ours)}"
    if len(line) <= _WIDTH:
        yield line
    else:
        yield from ("from etl_assets import (", *(f"    {name}," for name in ours), ")")


def _not_understood(imported: Imported) -> Iterator[str]:
    if imported.not_understood:
        yield "# Of the contract, this declaration does not have:"
        for clause in imported.not_understood:
            yield from _comment(f"* {clause}", "", indent_next="  ")


def _body(imported: Imported) -> Iterator[str]:
    yield "SOURCE = Source("
    yield f"    name={text_of(imported.name)},"
    if _is_docstring(imported.description):
        yield "    description=__doc__,"
    else:
        yield f"    description={text_of(imported.description or imported.name)},"
    if imported.owner is None:
        yield '    owner="team:unknown",  # Who is responsible?'
    else:
        yield f"    owner={text_of(imported.owner)},"
    further = dict(imported.of_source)
    if "extractor" in further:
        yield from written(argument("extractor", further.pop("extractor")), "    ")
    else:
        yield from _comment(_UNKNOWN_PLACE, "    ")
        partitions = further.get("partitions")
        place = (
            "TODO.csv" if partitions is None else "TODO/*.csv" if isinstance(partitions, Files) else "TODO/{key}.csv"
        )
        yield f"    extractor=FileExtractor(location={text_of(place)}, format=Csv()),"
    yield from _schema(imported)
    if not imported.key and "write" not in further:
        yield from _comment(_UNKNOWN_KEY, "    ")
        yield "    write=Append(),"
    yield from _arguments(further, "    ")
    yield ")"


def _schema(imported: Imported) -> Iterator[str]:
    yield "    schema=Schema("
    yield "        columns=("
    for column in imported.columns:
        yield from written(expression(column), " " * 12)
    yield "        ),"
    given = ({"key": imported.key} if imported.key else {}) | imported.of_schema
    yield from _arguments(given, "        ")
    yield "    ),"


def _arguments(values: dict[str, Any], indent: str) -> Iterator[str]:
    for name, value in values.items():
        yield from written(argument(name, value), indent)


def _comment(text: str, indent: str, indent_next: str = "") -> Sequence[str]:
    return textwrap.wrap(
        escape_control_characters(text),
        _WIDTH,
        initial_indent=f"{indent}# ",
        subsequent_indent=f"{indent}# {indent_next}",
        break_on_hyphens=False,
    )
