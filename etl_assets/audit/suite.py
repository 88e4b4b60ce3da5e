"""What an audit checks: an expectation for each rule that can be checked in a stored table, and the declared ones.

The module has only values and does not load Great Expectations. An expectation has the name of its rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from etl_assets.model.expectation import Expectation
from etl_assets.model.expectation_types import IN_DATABASE, OF_ALL_ROWS, ROWS
from etl_assets.schema.rules import NotAudited
from etl_assets.schema.rules.type import WrittenAsType

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from etl_assets.schema import Schema
    from etl_assets.schema.rules import Audit
    from etl_assets.source import Source

KEY: Final = "record__key"
"""Name of the expectation that no two rows share a key. The matching rule is the table's primary key."""
ROW_COUNT: Final = "record__row_count"
"""Name of the expectation that the table has as many rows as the ledger has of it."""
_OF_INPUT: Final = NotAudited("the table does not have the column")
_NOT_LOADED: Final = NotAudited("the table does not have the column yet; the next load adds it")
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


def compile_suite(schema: Schema, not_loaded: Collection[str] = ()) -> Suite:
    """Translate a schema into expectations over its stored table.

    Args:
        schema: The contract, already checked.
        not_loaded: Columns that are declared and that no load has added yet; what is about them is left out.
    """
    audits = {**_key(schema, not_loaded), **dict(_audits(schema, not_loaded))}
    expectations = tuple(audit for audit in audits.values() if isinstance(audit, Expectation))
    left_out = {rule: audit.reason for rule, audit in audits.items() if isinstance(audit, NotAudited)}
    return Suite(expectations, left_out)


def declared(source: Source, not_loaded: Collection[str] = ()) -> tuple[Expectation, ...]:
    """Return the declared expectations that are checked over a whole table.

    Those of a source with partitions are about the rows of one partition: of them, only what each row must meet. A
    class of one's own is left to the runs, because the pages cannot show it.

    Args:
        source: The declaration.
        not_loaded: Columns that no load has added yet; expectations that name one are left out.
    """
    loaded = (each for each in source.expectations if not set(each.columns) & set(not_loaded))
    known = (expectation for expectation in loaded if expectation.type in IN_DATABASE)
    if source.partitions is None:
        return tuple(known)
    return tuple(expectation for expectation in known if expectation.type not in OF_ALL_ROWS | {ROWS})


def row_count(entered: int) -> Expectation:
    """Return the expectation that a table has as many rows as the ledger inserted and did not delete."""
    description = "the table has as many rows as the ledger inserted and did not delete"
    return Expectation("expect_table_row_count_to_equal", name=ROW_COUNT, description=description, value=entered)


def _audits(schema: Schema, not_loaded: Collection[str]) -> Iterator[tuple[str, Audit]]:
    """Yield each rule with its audit. The type of text columns is audited too, though no value can break that rule."""
    for column in schema.columns:
        stored = WrittenAsType()
        for rule in (stored, *(rule for rule in column.rules if rule != stored)):
            audit = rule.audit(column.name, column.type, schema.key)
            yield rule.name(column.name), _NOT_LOADED if column.name in not_loaded else audit
    for column in schema.inputs:
        for rule in column.rules:
            yield rule.name(column.name), _OF_INPUT
    for info in schema.key_rules:
        yield info.name, _OF_RECORDS
    for whole in schema.rules:
        of_table = set(whole.columns) <= set(schema.names)
        audit = whole.audit(schema.types(), schema.key) if of_table else _OF_INPUT
        yield whole.name, _NOT_LOADED if set(whole.columns) & set(not_loaded) else audit


def _key(schema: Schema, not_loaded: Collection[str]) -> dict[str, Audit]:
    """Return the expectation that no two rows share a key, by its name; nothing if there is no key."""
    if not schema.key:
        return {}
    if set(schema.key) & set(not_loaded):
        return {KEY: _NOT_LOADED}
    description = f"no two rows have the same {', '.join(schema.key)}"
    if len(schema.key) == 1:
        expectation = "expect_column_values_to_be_unique"
        arguments: dict[str, Any] = {"column": schema.key[0]}
    else:
        expectation, arguments = "expect_compound_columns_to_be_unique", {"column_list": list(schema.key)}
    return {KEY: Expectation(expectation, name=KEY, blocking=True, description=description, **arguments)}
