"""A write mode that breaks its contract does not pass the suite: the named test fails for each wrong variant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from etl_assets.load.writers import Append, Upsert
from etl_assets.load.writers.keyed_rows import KeyedRows
from etl_assets.load.writers.record_rows import RecordRows
from etl_assets_tests.conformance.writer_suite import WriterSuite

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from etl_assets.load.prepare import Prepared
    from etl_assets.load.writers import RowWriter, Writer, WriterContext
    from etl_assets.postgres.ledger.entries import Kind
    from etl_assets.postgres.tables.upsert import Written


class _Outranked(KeyedRows):
    def begin(self, newer: Sequence[int]) -> None:
        del newer


class _Miscounted(KeyedRows):
    def write(self, prepared: Prepared, kind: Kind) -> Written:
        written = super().write(prepared, kind)
        return replace(written, inserted=written.updated, updated=written.inserted)


class _Lost(KeyedRows):
    def write(self, prepared: Prepared, kind: Kind) -> Written:
        written = super().write(replace(prepared, rows=prepared.rows[1:], encoded=None), kind)
        return replace(written, unchanged=written.unchanged + 1)


class _Doubled(RecordRows):
    def write(self, prepared: Prepared, kind: Kind) -> Written:
        del kind
        return self.rows_in(self.context.target.table).add(prepared.rows, prepared.encoded)


@dataclass(frozen=True)
class OverwritesNewerRows(Upsert):
    def open(self, context: WriterContext) -> KeyedRows:
        return _Outranked(context)


@dataclass(frozen=True)
class Miscounts(Upsert):
    def open(self, context: WriterContext) -> KeyedRows:
        return _Miscounted(context)


@dataclass(frozen=True)
class LosesRows(Upsert):
    def open(self, context: WriterContext) -> KeyedRows:
        return _Lost(context)


@dataclass(frozen=True)
class DoublesRows(Append):
    def open(self, context: WriterContext) -> RowWriter:
        return _Doubled(context)


@pytest.mark.parametrize(
    ("wrong", "test"),
    [
        (OverwritesNewerRows(), "test_the_order_of_loads_does_not_decide_what_is_in_the_table"),
        (Miscounts(), "test_every_record_of_a_first_delivery_is_a_row_and_is_counted"),
        (LosesRows(), "test_every_record_of_a_first_delivery_is_a_row_and_is_counted"),
        (DoublesRows(), "test_a_delivery_that_is_loaded_twice_changes_nothing"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_the_suite_fails_for_a_wrong_mode(wrong: Writer, test: str, migrated_url: str, tmp_path: Path) -> None:
    class Suite(WriterSuite):
        key = ("code",) if wrong.needs_key else ()

        def writer(self) -> Writer:
            return wrong

    suite = Suite()
    arguments = {"world": suite.new_world(migrated_url, tmp_path)}
    if "order_of_loads" in test:
        arguments["tmp_path"] = tmp_path  # type: ignore[assignment]
    with pytest.raises(AssertionError):
        getattr(suite, test)(**arguments)
