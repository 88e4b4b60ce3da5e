"""The pages of the authoring vocabulary: every name of `etl_assets`, by its docstring."""

from __future__ import annotations

from typing import Final

import etl_assets
from etl_assets.extract.base import Format

FOLDER: Final = "reference/vocabulary"
_STAGES: Final = ("Extractor", "Format", "Validator", "Transformer", "Loader", "LineFormat")
"""The classes to derive from: their methods are shown too."""
_TITLES: Final = {
    "source": "Source and schema",
    "partitions": "Partitions and triggers",
    "extractors": "Extractors",
    "places": "Places and logins",
    "write-modes": "Write modes",
    "alerts": "Alerts and monitors",
    "stages": "Stages",
}
"""Title of each page, by its name; the formats have pages of their own."""
_HOMES: Final = (
    ("extract.access.", "places"),
    ("extract.base", "stages"),
    ("extract.formats.lines", "stages"),
    ("extract.formats.", "formats"),
    ("extract.", "extractors"),
    ("load.writers.", "write-modes"),
    ("load.", "stages"),
    ("validate.", "stages"),
    ("transform.", "stages"),
    ("postgres.", "stages"),
    ("model.batch", "stages"),
    ("model.delivery", "stages"),
    ("model.alert", "alerts"),
    ("model.monitors", "alerts"),
    ("model.partitions", "partitions"),
    ("model.trigger", "partitions"),
    ("", "source"),
)
"""The page of the names of a module, by how the module begins; the first that fits."""


def pages() -> dict[str, str]:
    """Return the pages by their paths."""
    rows = "".join(f"| [{title}]({name}.md) | {_links(name)} |\n" for name, title in _TITLES.items())
    formats = ", ".join(f"[{name}](../formats/{name.lower()}.md)" for name in formats_of_files())
    index = (
        "# Vocabulary\n\nWhat a file of sources imports from `etl_assets`. Nothing here imports Dagster.\n\n"
        f"| page | names |\n| --- | --- |\n{rows}| [Formats](../formats/index.md) | {formats} |\n"
    )
    made = {f"{FOLDER}/{name}.md": _page(name, title) for name, title in _TITLES.items()}
    return {f"{FOLDER}/index.md": index} | made


def module_of(name: str) -> str:
    """Return the module, below `etl_assets`, that defines a name of the vocabulary."""
    return next(module for module, names in etl_assets._NAMES_BY_MODULE.items() if name in names)


def names_of(page: str) -> list[str]:
    """Return the names on a page: the class that the page is about first."""
    return [name for name in etl_assets.__all__ if _home(name) == page]


def formats_of_files() -> list[str]:
    """Return the names of the formats that a declaration can name."""
    return [
        name
        for name in sorted(etl_assets.__all__)
        if isinstance(named := getattr(etl_assets, name), type)
        and issubclass(named, Format)
        and _home(name) == "formats"
    ]


def _home(name: str) -> str:
    module = module_of(name)
    return next(page for begin, page in _HOMES if module.startswith(begin))


def _links(page: str) -> str:
    return ", ".join(f"[{name}]({page}.md#etl_assets.{module_of(name)}.{name})" for name in names_of(page))


def _page(name: str, title: str) -> str:
    parts = [f"# {title}\n"]
    for each in names_of(name):
        members = "\n    options:\n      members: true\n" if each in _STAGES else ""
        parts.append(f"::: etl_assets.{module_of(each)}.{each}{members}\n")
    return "\n".join(parts)
