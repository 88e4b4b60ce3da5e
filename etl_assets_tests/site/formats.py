"""The pages of the formats: each with its options, and the rules that its records can break."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import etl_assets
from etl_assets import Csv, Field, Filler, FixedWidth, OneOf, RecordCode, SqlDump, Sqlite, Xml
from etl_assets_tests.site import arguments
from etl_assets_tests.site.vocabulary import formats_of_files, module_of, names_of

if TYPE_CHECKING:
    from etl_assets.extract.base import Format

FOLDER: Final = "reference/formats"
_EXAMPLES: Final = {
    "FixedWidth": FixedWidth((Field("name", 3, 9), Filler(10, 12, blank=True)), code=RecordCode(1, 2, records=("10",))),
    "OneOf": OneOf(Csv(), Csv(delimiter=";")),
    "Sqlite": Sqlite(table="orders"),
    "SqlDump": SqlDump(table="orders", dialect="mysql"),
    "Xml": Xml(record="/orders/order"),
}
"""Declarations of the formats that need arguments, with everything that has a rule."""
_SECTIONS: Final = {"OneOf": "layouts-over-time"}
"""Where the guide has a format, if not below a heading of its name."""


def pages() -> dict[str, str]:
    """Return the pages by their paths."""
    named = {name: getattr(etl_assets, name) for name in formats_of_files()}
    rows = "".join(f"| [`{name}`]({name.lower()}.md) | {_first(declared)} |\n" for name, declared in named.items())
    made = {f"{FOLDER}/{name.lower()}.md": _page(name, declared) for name, declared in named.items()}
    parts = sorted(set(names_of("formats")) - named.keys())
    made[f"{FOLDER}/parts.md"] = "# Parts of formats\n\n" + "\n".join(
        f"::: etl_assets.{module_of(name)}.{name}\n" for name in parts
    )
    index = (
        "# Formats\n\nHow the bytes of a file are cut into records. [Formats](../../formats.md) has examples, and what "
        f"each does with files that are broken.\n\n| format | reads |\n| --- | --- |\n{rows}"
    )
    return {f"{FOLDER}/index.md": index} | made


def _page(name: str, declared: type[Format]) -> str:
    section = _SECTIONS.get(name, name.lower())
    guide = f"[Formats](../../formats.md#{section}) has examples."
    return (
        f"# {name}\n\n{arguments.description(declared)}\n\n{guide}\n\n## Arguments\n\n{arguments.table(declared)}\n"
        f"{_rules(declared)}"
    )


def _rules(declared: type[Format]) -> str:
    """Return the table of the rules that records can break whatever the schema is."""
    example = _EXAMPLES.get(declared.__name__) or declared()
    rows = "".join(f"| `{rule.name}` | {rule.words} |\n" for rule in example.rules)
    if isinstance(example, OneOf):
        return "Its records have the rules of the layout of their file.\n"
    return f"## Rules of its records\n\n| rule | requires that |\n| --- | --- |\n{rows}"


def _first(declared: type[Format]) -> str:
    return arguments.description(declared).partition("\n\n")[0].replace("\n", " ").partition(". ")[0].rstrip(".")
