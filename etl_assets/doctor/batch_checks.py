"""Compares a batch that was read again with what is stored of it: its rejected records, and its ledger entry."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from etl_assets.load.rejected import rejected_records
from etl_assets.model.batch import REJECTED_RECORD_NO, REJECTED_RULES
from etl_assets.model.rule import KEY_UNIQUE
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from etl_assets.model.batch import Batch
    from etl_assets.postgres.ledger.entries import Entry
    from etl_assets.postgres.ledger.quarantine import Rejected
    from etl_assets.schema import Schema
    from etl_assets.source import Source


def rules_of_the_database(source: Source) -> frozenset[str]:
    """Return the names of the rules that depend on other rows, which reading a batch alone cannot evaluate."""
    schema = source.schema
    of_schema = (*(lookup.rule for lookup in schema.lookups), *(claim.rule for claim in schema.claims))
    return frozenset((*of_schema, *(rule.name for rule in source.loader.rules), KEY_UNIQUE))


def effective_rows(batch: Batch, stored: Iterable[Rejected]) -> pl.DataFrame:
    """Return the rows of a batch without those of records that are in the quarantine and were not replayed."""
    numbers = [record.record_no for record in stored if record.status != "replayed"]
    return batch.rows.filter(~pl.col(RECORD_NO).is_in(numbers)) if numbers else batch.rows


def rejected_problems(batch: Batch, stored: Sequence[Rejected], source: Source) -> list[str]:
    """Compare the rejected records of a batch with the quarantine.

    Args:
        batch: As it is read now, with corrections.
        stored: What the quarantine has of the delivery's current generation.
        source: The declaration.

    Returns:
        What differs, as clauses without contents of records.
    """
    broken: dict[int, list[str]] = dict(batch.rejected.select(REJECTED_RECORD_NO, REJECTED_RULES).iter_rows())
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    elsewhere = rules_of_the_database(source)
    for record in stored:
        if problem := _rules_problem(record, broken.get(record.record_no), elsewhere):
            numbers[problem].append(record.record_no)
    for record_no in broken.keys() - {record.record_no for record in stored}:
        numbers["break rules and are not in the quarantine"].append(record_no)
    for record_no in _other_contents(batch, stored, source.schema):
        numbers["have other bytes, fields or another location in the delivery than in the quarantine"].append(record_no)
    return [f"has {len(found)} records that {problem}, the first {min(found)}" for problem, found in numbers.items()]


def entry_problem(batch: Batch, stored: Sequence[Rejected], entry: Entry, schema: Schema) -> str:
    """Compare the counts of a ledger entry with a batch, none of whose records was replayed; empty if they agree."""
    rows = effective_rows(batch, stored)
    keys = rows.select(schema.key).n_unique() if rows.height and schema.key else rows.height
    expected = {
        "read": batch.read,
        "rejected": len(stored),
        "filtered": batch.filtered,
        "produced": rows.height + batch.outdone,
        "duplicate": rows.height - keys + batch.outdone,
    }
    for name, number in expected.items():
        if (counted := getattr(entry.counts, name)) != number:
            return f"has {number} {name}, and its ledger entry counts {counted}"
    reported = {KEY_UNIQUE, *batch.reported, *(lookup.rule for lookup in schema.lookups if lookup.missing == "report")}
    rules = {rule: number for rule, number in entry.rules.items() if rule not in reported}
    if rules != Counter(rule for record in stored for rule in record.rules if rule not in reported):
        return "has other rules that records broke than its ledger entry counts"
    return ""


def _rules_problem(record: Rejected, broken: Collection[str] | None, elsewhere: frozenset[str]) -> str:
    """Return what is wrong with the rules of a record in the quarantine; empty if nothing is.

    Args:
        record: The record.
        broken: The rules that it breaks when it is read again; None if it breaks none.
        elsewhere: Rules that reading cannot evaluate.
    """
    if record.status == "replayed":
        return "break rules and are marked as replayed" if broken is not None else ""
    if broken is None:
        return "" if set(record.rules) <= elsewhere else "are in the quarantine and break no rule"
    return "" if set(record.rules) == set(broken) else "break other rules than the quarantine has of them"


def _other_contents(batch: Batch, stored: Sequence[Rejected], schema: Schema) -> Iterator[int]:
    """Yield the numbers of the records whose bytes, fields or location differ from those in the quarantine."""
    by_number = {record.record_no: record for record in stored}
    numbers = pl.Series(REJECTED_RECORD_NO, list(by_number), dtype=pl.Int64)
    rules = pl.Series(REJECTED_RULES, [record.rules for record in stored], dtype=pl.List(pl.String))
    read = rejected_records(replace(batch, rejected=pl.DataFrame([numbers, rules])), schema)
    for record_no, location, raw, fields in read.select(REJECTED_RECORD_NO, "location", "raw", "fields").iter_rows():
        then = by_number[record_no]
        same_fields = then.correction is not None or then.fields == (None if fields is None else json.loads(fields))
        if raw != then.raw or location != then.location or not same_fields:
            yield record_no
