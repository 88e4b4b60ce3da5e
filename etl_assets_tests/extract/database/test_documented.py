"""What `docs/databases.md` says: its examples load, its arguments and defaults are those of the classes."""

from __future__ import annotations

import dataclasses
import re
from datetime import timedelta

import pytest

from etl_assets import Database, DatabaseExtractor, KeyComparison
from etl_assets.extract.access.base import Access
from etl_assets.extract.base import Extractor
from etl_assets_tests.documented import ROOT, example, examples
from etl_assets_tests.documents.test_defaults import declared, value_of

TEXT = (ROOT / "docs" / "databases.md").read_text("utf-8")
OF_ARCHIVES = {field.name for field in dataclasses.fields(Extractor)} - {"format"}


def documented(section: str) -> dict[str, str]:
    """The arguments in the table of a section, with the cell of their default."""
    table = TEXT.split(f"## {section}\n", 1)[1].split("| --- | --- | --- |\n", 1)[1].split("\n\n", 1)[0]
    rows = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table.splitlines()]
    return {row[0].strip("` "): row[-1].strip("| ") for row in rows}


@pytest.mark.parametrize("class_", [DatabaseExtractor, Database], ids=lambda class_: class_.__name__)
def test_the_documented_arguments_are_those_of_the_class_with_their_defaults(class_: type) -> None:
    arguments = {name: default for name, default in declared(class_).items() if name not in OF_ARCHIVES | {"password"}}
    texts = {name: text for name, text in documented(class_.__name__).items() if name != "password"}
    assert set(texts) == set(arguments)
    for name, text in texts.items():
        value = value_of(text)
        if name in {field.name for field in dataclasses.fields(Access)}:
            assert value_of(text.partition(" ")[0]) == arguments[name]
        elif text in ("", "none"):
            assert not arguments[name] or arguments[name] is declared(class_)["url"]
        elif value is ...:
            assert text.strip("`") == {"access": "Database()", "format": 'Parquet(binary="hex")'}[name]
        else:
            assert value == arguments[name]
    if class_ is DatabaseExtractor:
        assert (arguments["access"], arguments["format"].binary) == (Database(), "hex")


def test_the_documented_arguments_of_a_key_comparison_are_those_of_the_class() -> None:
    assert documented("Deleted rows") == {"every": "", "max_absent": "0.1"}
    assert KeyComparison(timedelta(days=1)).max_absent == 0.1
    assert set(declared(KeyComparison)) == {"every", "max_absent"}


def test_every_documented_declaration_loads() -> None:
    assert [each.module() for each in examples("docs/databases.md")]
    several = example("docs/databases.md", "MARIADB =")
    for name in ("MARIADB", "SQL_SERVER", "ORACLE"):
        getattr(several, name).check("source 'x'")
        getattr(several, name).check_partitions(None, "source 'x'")
    others = example("docs/databases.md", "SNOWFLAKE =")
    for name in ("SNOWFLAKE", "TRINO", "DB2"):
        getattr(others, name).check("source 'x'")
    for name in ("SQLITE", "DUCKDB"):
        getattr(several, name).check("source 'x'")
        getattr(several, name).check_partitions(several.PARTITIONS, "source 'x'")


def test_every_documented_url_is_one() -> None:
    from etl_assets.extract.database.address import address_of

    urls = re.findall(r"`((?:postgresql|mysql|mssql|oracle|sqlite|duckdb)://[^`…]+)`", TEXT)
    assert len(urls) >= 8
    for url in urls:
        address_of(url, "x")
