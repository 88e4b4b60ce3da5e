"""The documented arguments are those of the classes, with their defaults."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from typing import Any

import pytest

from etl_assets import (
    Column,
    Csv,
    DltExtractor,
    Excel,
    FileExtractor,
    Incremental,
    Json,
    Monitors,
    Ndjson,
    Parquet,
    RestExtractor,
    Schema,
    Source,
    SqlDump,
    Sqlite,
    Xml,
)
from etl_assets.schema.rules import KINDS
from etl_assets_tests.documented import ROOT

DECLARING = "\n".join(
    (ROOT / "docs" / name).read_text("utf-8")
    for name in ("declaring-a-source.md", "formats.md", "rest-apis.md", "dlt.md", "databases.md")
)
DOCUMENTED = (
    *(Source, FileExtractor, Schema, Column),
    *(Csv, Ndjson, Json, Xml, Excel, Parquet, SqlDump, Sqlite),
    *(RestExtractor, Incremental, DltExtractor),
)
OF_FILES = {"member", "password", "settle_seconds"}
"""Arguments of every extractor which only files have; the others refuse them."""
NOTHING: tuple[Any, ...] = (None, (), "", {}, Monitors())
"""What a default in words may stand for: the class finds another value itself."""


def documented(section: str) -> dict[str, str]:
    """The arguments in the table of a section, with the cell of their default."""
    text = re.split(rf"^## {section}$", DECLARING, maxsplit=1, flags=re.MULTILINE)[1]
    text = re.split(r"^## ", text, maxsplit=1, flags=re.MULTILINE)[0]
    table = text.split("| argument | meaning | default |\n| --- | --- | --- |\n", 1)[1].split("\n\n", 1)[0]
    found = {}
    for row in table.splitlines():
        names, _, default = (cell.strip() for cell in row.strip("|").replace("\\|", "\0").split("|"))
        defaults = [part.strip() for part in default.split(", `" if "`), `" in default else ", ")]
        for number, name in enumerate(re.findall(r"`(\w+)`", names)):
            several = len(re.findall(r"`(\w+)`", names)) > 1
            found[name] = defaults[number] if several and default else default
    return found


def value_of(text: str) -> Any:
    """The Python value that a default's cell says; Ellipsis where it says it in words."""
    if size := re.fullmatch(r"(\d+) (MiB|GiB)", text):
        return int(size[1]) * (2**20 if size[2] == "MiB" else 2**30)
    literal = re.match(r"`?([^`]*)`?", text)
    try:
        return ast.literal_eval(literal[1]) if literal else ...
    except (SyntaxError, ValueError):
        return ...


def declared(declared_class: type) -> dict[str, Any]:
    """The arguments of a class, with their defaults; `inspect.Parameter.empty` for those that must be given."""
    factories = {
        field.name: field.default_factory()
        for field in dataclasses.fields(declared_class)
        if field.default_factory is not dataclasses.MISSING
    }
    found = {}
    for name, parameter in inspect.signature(declared_class).parameters.items():
        if parameter.kind is not parameter.VAR_KEYWORD:
            found[name] = factories.get(name, parameter.default)
    return found


@pytest.mark.parametrize("section", DOCUMENTED, ids=lambda each: each.__name__)
def test_the_documented_arguments_are_those_of_the_class(section: type) -> None:
    positional = {"name", "type"} if section is Column else set()
    others = (
        set(KINDS) - positional
        if section is Column
        else OF_FILES
        if section in (RestExtractor, DltExtractor)
        else set()
    )
    assert set(documented(section.__name__)) | positional == set(declared(section)) - others


@pytest.mark.parametrize("section", DOCUMENTED, ids=lambda each: each.__name__)
def test_the_documented_defaults_are_those_of_the_class(section: type) -> None:
    wrong = {}
    defaults = declared(section)
    for name, text in documented(section.__name__).items():
        default = defaults[name]
        if not text:
            right = default is inspect.Parameter.empty
        elif (value := value_of(text)) is ...:
            right = default in NOTHING or text == f"`{type(default).__name__}()`"
        else:
            right = value == default
        if not right:
            wrong[name] = (text, default)
    assert wrong == {}
