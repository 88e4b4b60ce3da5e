"""Every write mode of the package conforms to the contract of write modes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets.load.writers import Append, History, Replace, Snapshot, Upsert
from etl_assets.postgres.tables import upsert
from etl_assets_tests.conformance.writer_suite import WriterSuite

if TYPE_CHECKING:
    from etl_assets.load.writers import Writer


class TestUpsert(WriterSuite):
    def writer(self) -> Writer:
        return Upsert()


class TestUpsertByOrder(WriterSuite):
    order_by = "at"

    def writer(self) -> Writer:
        return Upsert()


class TestUpsertOfManyRows(TestUpsertByOrder):
    @pytest.fixture(autouse=True)
    def _many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let few rows be written as many are."""
        monkeypatch.setattr(upsert, "REPLACED_FROM", 1)


class TestUpsertOfManyRowsInPlace(TestUpsertOfManyRows):
    fillfactor = 45


class TestSnapshot(WriterSuite):
    def writer(self) -> Writer:
        return Snapshot(max_deleted=1.0)


class TestSnapshotThatMarks(WriterSuite):
    def writer(self) -> Writer:
        return Snapshot(max_deleted=1.0, mark=True)


class TestAppend(WriterSuite):
    key = ()

    def writer(self) -> Writer:
        return Append()


class TestAppendByKey(WriterSuite):
    def writer(self) -> Writer:
        return Append()


class TestReplace(WriterSuite):
    key = ()

    def writer(self) -> Writer:
        return Replace()


class TestHistory(WriterSuite):
    def writer(self) -> Writer:
        return History()


class TestHistoryOfSnapshots(WriterSuite):
    def writer(self) -> Writer:
        return History(snapshot=Snapshot(max_deleted=1.0))


class TestHistoryOfSomeColumns(WriterSuite):
    def writer(self) -> Writer:
        return History(columns=("amount",))


class TestHistoryByOrder(WriterSuite):
    order_by = "at"

    def writer(self) -> Writer:
        return History()


class TestHistoryByOrderOfSomeColumns(WriterSuite):
    order_by = "at"

    def writer(self) -> Writer:
        return History(columns=("amount",))
