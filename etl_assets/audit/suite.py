"""Translate a schema into expectations: one for each rule that can be checked in a stored table.

The module has only values and does not load Great Expectations. An expectation has the name of its rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from etl_assets.model.expectation import Expectation
from etl_assets.schema.rules import NotAudited
from etl_assets.schema.rules.type import WrittenAsType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from etl_assets.schema import Schema
    from etl_assets.schema.rules import Audit

KEY: Final = "record__key"
"""Name of the expectation that no two rows share a key. The matching rule is the table's primary key."""
_OF_INPUT: Final = NotAudited("the table does not have the column")
_OF_RECORDS: Final = NotAudited("it compares the records of a delivery, and the table has one row for each key")


@dataclass(frozen=True)
class Suite:
    """The expectations of a schema.

    Attributes:
        expectations: In the order of the columns, then of the rules over whole records.
        left_out: Rules that have no expectation: name to reason.
    """

    expectations: tuple[Expectation, ...]
    left_out: Mapping[str, str]


def compile_suite(schema: Schema) -> Suite:
    """Translate a schema into expectations over its stored table.

    Args:
        schema: The contract, already checked.
    """
    audits = dict(_audits(schema))
    expectations = tuple(audit for audit in audits.values() if isinstance(audit, Expectation))
    left_out = {rule: audit.reason for rule, audit in audits.items() if isinstance(audit, NotAudited)}
    return Suite((*_key(schema), *expectations), left_out)


def _audits(schema: Schema) -> Iterator[tuple[str, Audit]]:
    """Yield each rule with its audit. The type of text columns is audited too, though no value can break that rule."""
    for column in schema.columns:
        stored = WrittenAsType()
        for rule in (stored, *(rule for rule in column.rules if rule != stored)):
            yield rule.name(column.name), rule.audit(column.name, column.type, schema.key)
    for column in schema.inputs:
        for rule in column.rules:
            yield rule.name(column.name), _OF_INPUT
    for info in schema.key_rules:
        yield info.name, _OF_RECORDS
    for whole in schema.rules:
        of_table = set(whole.columns) <= set(schema.names)
        yield whole.name, whole.audit(schema.types(), schema.key) if of_table else _OF_INPUT


def _key(schema: Schema) -> Iterator[Expectation]:
    if not schema.key:
        return
    description = f"no two rows have the same {', '.join(schema.key)}"
    if len(schema.key) == 1:
        expectation = "expect_column_values_to_be_unique"
        arguments: dict[str, Any] = {"column": schema.key[0]}
    else:
        expectation, arguments = "expect_compound_columns_to_be_unique", {"column_list": list(schema.key)}
    yield Expectation(expectation, name=KEY, blocking=True, description=description, **arguments)
