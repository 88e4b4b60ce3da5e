"""From a schema to the expectations that say the same: one for each rule that a stored table can be held against.

Values only; nothing of Great Expectations is loaded. An expectation is named like the rule it speaks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from etl_assets.model.expectation import Expectation
from etl_assets.schema.rules import NotAudited
from etl_assets.schema.rules.type import WrittenAsType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from etl_assets.schema import Schema
    from etl_assets.schema.rules import Audit

KEY: Final = "record__key"
"""What the expectation that no two rows share a key is called; the table's primary key is the rule."""
_OF_INPUT: Final = NotAudited("the table does not have the column")


@dataclass(frozen=True)
class Suite:
    """A schema, said again.

    Attributes:
        expectations: In the order of the columns, then of the rules over whole records.
        left_out: The rules that are not said, and why.
    """

    expectations: tuple[Expectation, ...]
    left_out: Mapping[str, str]


def compiled(schema: Schema) -> Suite:
    """Say a schema as expectations over its stored table.

    Args:
        schema: The contract; it has been checked.
    """
    audits = dict(_audits(schema))
    said = tuple(audit for audit in audits.values() if isinstance(audit, Expectation))
    left_out = {rule: audit.reason for rule, audit in audits.items() if isinstance(audit, NotAudited)}
    return Suite((_key(schema), *said), left_out)


def _audits(schema: Schema) -> Iterator[tuple[str, Audit]]:
    """Each rule, and what an audit asks for it. That a text is stored as one is asked too, though nothing breaks it."""
    for column in schema.columns:
        stored = WrittenAsType()
        for rule in (stored, *(rule for rule in column.rules if rule != stored)):
            yield rule.name(column.name), rule.audit(column.name, column.type, schema.key)
    for column in schema.inputs:
        for rule in column.rules:
            yield rule.name(column.name), _OF_INPUT
    for whole in schema.rules:
        of_table = set(whole.columns) <= set(schema.names)
        yield whole.name, whole.audit(schema.types(), schema.key) if of_table else _OF_INPUT


def _key(schema: Schema) -> Expectation:
    said = f"no two rows have the same {', '.join(schema.key)}"
    if len(schema.key) == 1:
        expectation, arguments = "expect_column_values_to_be_unique", {"column": schema.key[0]}
        return Expectation(expectation, name=KEY, blocking=True, description=said, **arguments)
    expectation = "expect_compound_columns_to_be_unique"
    return Expectation(expectation, name=KEY, blocking=True, description=said, column_list=list(schema.key))
