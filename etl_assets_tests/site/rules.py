"""The pages of the rules: docstring, argument, and what the suite of each kind tries, with its meaning in SQL.

Every kind has a `RuleSuite`, which tests all that a page shows: cells that keep and break the rule, the declarations
that are refused, and that the audit's SQL finds the rows that break it.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import Final

import polars as pl

import etl_assets
from etl_assets.audit.suite import compile_suite
from etl_assets.errors import DeclarationError
from etl_assets.model.expectation_types import ROWS
from etl_assets.postgres.tables.expectation_queries import RowTest, translate
from etl_assets.schema import Column, Schema
from etl_assets.schema.rules import KINDS
from etl_assets_tests import schema as suites
from etl_assets_tests.conformance.rule_suite import KEY, RuleSuite
from etl_assets_tests.site import arguments

FOLDER: Final = "reference/rules"
_TABLE: Final = "core.example"
_UNIQUE: Final = ("expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique")
_OF_RECORDS: Final = (
    'Rule("a_at_most_b", pl.col("a") <= pl.col("b"), "a is at most b")',
    'UniqueTogether("a", "b")',
    'ForeignKey(("a", "b"), "core.parents", missing="reject")',
)
"""A declaration of each rule over records, where `a` and `b` are columns."""


def pages() -> dict[str, str]:
    """Return a page for each kind of rule, one for the rules over records, and one that lists them, by their paths."""
    by_kind = suites_by_kind()
    rows = "".join(f"| [`{kind}`]({kind}.md) | {_line(rule.__doc__)} |\n" for kind, rule in KINDS.items())
    index = (
        "# Rules\n\nWhat a value or a record must keep. A record that breaks one is rejected whole, and waits in the "
        "[quarantine](../../quarantine.md). A missing value keeps every rule except `required`.\n\n"
        f"| rule of a column | requires |\n| --- | --- |\n{rows}\n"
        "[Rules over records](records.md) compare columns, name a parent by several columns, or claim values together. "
        "Each [format](../formats/index.md) has rules of its own, such as `record__malformed`.\n"
    )
    made = {f"{FOLDER}/index.md": index}
    made |= {f"{FOLDER}/{kind}.md": _page(kind, by_kind[kind]) for kind in KINDS}
    return made | {f"{FOLDER}/records.md": _records()}


def meaning(schema: Schema, rule: str) -> str:
    """Return a rule in SQL: the query for the stored rows that break it, or the reason why there is none."""
    suite = compile_suite(schema)
    if rule in suite.left_out:
        return f"An audit does not check it: {suite.left_out[rule]}.\n"
    (expectation,) = (each for each in suite.expectations if each.name == rule)
    types = {column.name: column.type.name for column in schema.columns}
    translated = translate(expectation, types, frozenset(schema.key))
    if expectation.type == ROWS:
        query = str(expectation.arguments["unexpected_rows_query"]).replace("(SELECT * FROM {batch})", _TABLE)
        query = query.replace("{batch}", _TABLE).rpartition(" LIMIT ")[0]
    elif isinstance(translated, RowTest):
        parts = (part.as_string() for part in (translated.considered, translated.unexpected))
        conditions = " AND ".join(part for part in parts if part != "TRUE")
        query = f"SELECT {', '.join(schema.key)} FROM {_TABLE} WHERE {conditions}"
    elif expectation.type in _UNIQUE:
        columns = list(expectation.columns)
        query = (
            f"SELECT {', '.join(columns)} FROM {_TABLE} WHERE {' AND '.join(f'{name} IS NOT NULL' for name in columns)}"
        )
        query += f" GROUP BY {', '.join(columns)} HAVING count(*) > 1"
    else:
        given = ", ".join(f"{name}={value!r}" for name, value in expectation.arguments.items())
        return f"An audit asks the table for its columns: `{expectation.type}({given})`.\n"
    lines = re.sub(r" (FROM|WHERE|GROUP BY|LEFT JOIN|CROSS JOIN) ", r"\n\1 ", query)
    return f"The rows of a table that break it, where `n` is the key:\n\n```sql\n{lines}\n```\n"


def suites_by_kind() -> dict[str, type[RuleSuite]]:
    """Return the first suite of each kind."""
    for module in pkgutil.iter_modules(suites.__path__):
        importlib.import_module(f"{suites.__name__}.{module.name}")
    found: dict[str, type[RuleSuite]] = {}
    for suite in RuleSuite.__subclasses__():
        found.setdefault(suite.rule.kind, suite)
    return found


def _page(kind: str, suite: type[RuleSuite]) -> str:
    rule = KINDS[kind]
    schema = Schema((KEY, suite.column), key=("n",))
    (info,) = (each for each in schema.rule_infos if each.name == f"x__{kind}")
    consent = (
        "[`max_rejected`](../../declaring-a-source.md#source) consents to records that break it."
        if rule.by_consent
        else "Each run with a record that breaks it opens an alert, whatever `max_rejected` is."
    )
    declared = f"Its argument of `Column` is `{kind}: {rule.keyword}`." if rule.keyword else "Every column has it."
    return (
        f"# {kind}\n\n{arguments.as_markdown(_text(rule.__doc__))}\n\n{declared} {consent}\n\n"
        f"## Example\n\n```python\n{suite.column!r}\n```\n\n"
        f"In checks and in the quarantine it is `{info.name}`: {info.words}.\n\n"
        f"| published | |\n| --- | --- |\n{_cells(suite)}\n"
        f"## In SQL\n\n{meaning(schema, info.name)}\n{_refused(suite)}"
    )


def _cells(suite: type[RuleSuite]) -> str:
    """Return a row of a table for each cell that the suite publishes, once."""
    verdicts: dict[str | None, str] = {}
    for cells, verdict in ((suite.kept, "keeps it"), (suite.broken, "breaks it")):
        for cell in cells:
            again = cell is not None and cell in verdicts
            verdicts[cell] = "keeps it; the second record with it breaks it" if again else verdict
    return "".join(
        f"| {'nothing' if cell is None else f'`{cell}`' if cell.strip() else f'{len(cell)} blanks'} | {verdict} |\n"
        for cell, verdict in verdicts.items()
    )


def _refused(suite: type[RuleSuite]) -> str:
    """Return what declarations are refused, with the error of each."""
    errors = []
    for wrong in suite.wrong:
        written = ", ".join(f'"{wrong[name]}"' if name == "type" else f"{name}={wrong[name]!r}" for name in wrong)
        try:
            Schema((KEY, Column("x", **wrong)), key=("n",)).check("source 'example'")
        except DeclarationError as error:
            errors.append(f'Column("x", {written})\n# {error}\n')
    text = "\n".join(errors)
    return f"## Declarations that are refused\n\n```python\n{text}```\n" if errors else ""


def _records() -> str:
    """Return the page of the rules over whole records, from a declaration of each."""
    names = {name: getattr(etl_assets, name) for name in etl_assets.__all__} | {"pl": pl}
    rules = {
        text: eval(text, names)  # noqa: S307 -- written above
        for text in _OF_RECORDS
    }
    columns = (KEY, Column("a", "integer", required=True), Column("b", "integer", required=True))
    schema = Schema(columns, key=("n",), rules=tuple(rules.values()))
    sections = [
        f"::: {type(rule).__module__}.{type(rule).__name__}\n\n```python\n{text}\n```\n\nIn checks and in the "
        f"quarantine it is `{rule.name}`: {rule.words}.\n\n{meaning(schema, rule.name)}"
        for text, rule in rules.items()
    ]
    return "# Rules over records\n\n`Schema(rules=(…))` has them.\n\n" + "\n".join(sections)


def _text(docstring: str | None) -> str:
    return "\n".join(line.strip() for line in (docstring or "").partition("\n\n    Attributes:")[0].splitlines())


def _line(docstring: str | None) -> str:
    return arguments.as_markdown(" ".join(_text(docstring).split())).replace("|", "\\|")
