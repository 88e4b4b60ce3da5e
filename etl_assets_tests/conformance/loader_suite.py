"""The contract of every Loader, as a suite to subclass.

Subclass `LoaderSuite` in a test module, name the subclass ``Test…`` and implement ``loader``. The loader loads
deliveries, which the suite makes in memory, into a real warehouse.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import is_dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import pytest

from etl_assets.errors import BusyError, TooManyRejectedError
from etl_assets.load import ReplayRequest, Target
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries, locks, quarantine
from etl_assets.postgres.ledger.conservation import conservation, table_violations
from etl_assets_tests.load.feed import Feed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.load import Loader
    from etl_assets.model.batch import Batch
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.ledger.quarantine import Rejected

_NUMBER: Final = count(1)
FIRST: Final = [("apple", 1, "red"), ("plum", 2, None)]
SECOND: Final = [("fig", 3, "soft"), ("kiwi", 4, "")]


class LoaderSuite(ABC):
    """The invariants of the stage."""

    @abstractmethod
    def loader(self) -> Loader:
        """The loader under test."""

    @pytest.fixture
    def feed(self, warehouse_url: str) -> Feed:
        return Feed(warehouse_url, source=f"loaded_{next(_NUMBER)}", loader=self.loader())

    @staticmethod
    def violations(feed: Feed, delivery: Delivery) -> list[str]:
        with connected(feed.url) as connection:
            return [*conservation(connection, delivery), *table_violations(connection, feed.source, feed.table)]

    @staticmethod
    def waiting(feed: Feed) -> list[Rejected]:
        with connected(feed.url) as connection:
            return quarantine.find(connection, source=feed.source)

    def test_the_loader_is_a_frozen_value_that_states_its_rules(self) -> None:
        loader = self.loader()
        assert is_dataclass(loader)
        hash(loader)
        assert all(rule.name and rule.words for rule in loader.rules)

    def test_every_row_of_every_batch_is_written_and_counted(self, feed: Feed) -> None:
        report = feed.take(FIRST, SECOND)
        assert feed.rows() == sorted([*FIRST, *SECOND])
        assert (report.status, report.counts.inserted, report.counts.read) == ("loaded", 4, 4)
        assert report.delivery.status == "complete"
        assert self.violations(feed, report.delivery) == []

    def test_loading_a_delivery_again_changes_nothing(self, feed: Feed) -> None:
        delivery = feed.send(FIRST, SECOND)
        feed.load(delivery)
        before = feed.query(f"SELECT ctid, xmin, t.* FROM {feed.table} t ORDER BY code")
        assert feed.load(delivery).status == "unchanged"
        assert feed.load(delivery, force=True).written.unchanged == 4
        assert feed.query(f"SELECT ctid, xmin, t.* FROM {feed.table} t ORDER BY code") == before

    def test_a_newer_delivery_changes_rows_and_an_older_one_does_not(self, feed: Feed) -> None:
        older, newer = feed.send(FIRST), feed.send([("apple", 7, "red")])
        assert feed.load(newer).counts.inserted == 1
        assert feed.load(older).counts.unchanged == 1
        assert feed.rows() == [("apple", 7, "red"), ("plum", 2, None)]

    def test_the_last_record_of_a_key_is_stored(self, feed: Feed) -> None:
        report = feed.take([("apple", 1, "a"), ("apple", 2, "b")], [("apple", 3, "c")])
        assert feed.rows() == [("apple", 3, "c")]
        assert (report.counts.duplicate, report.counts.inserted, report.counts.updated) == (1, 1, 1)
        assert self.violations(feed, report.delivery) == []

    def test_rejected_records_wait_with_their_bytes_and_rules(self, feed: Feed) -> None:
        report = feed.take(FIRST, rejected={1: ["amount__type"]})
        (record,) = self.waiting(feed)
        assert (record.record_no, record.rules, record.raw) == (1, ["amount__type"], b"record 1")
        assert (report.counts.rejected, report.rules) == (1, {"amount__type": 1})
        assert self.violations(feed, report.delivery) == []

    def test_more_rejected_records_than_are_consented_to_stop_the_load(self, feed: Feed) -> None:
        feed.max_rejected = 0.0
        delivery = feed.send(FIRST, rejected={1: ["amount__type"]})
        with pytest.raises(TooManyRejectedError, match="Nothing of this batch"):
            feed.load(delivery)
        assert self.waiting(feed) == []
        with connected(feed.url) as connection:
            stored = deliveries.by_id(connection, delivery.id)
        assert stored is not None
        assert stored.status == "refused"

    def test_an_interrupted_load_is_resumed_after_its_last_batch(self, feed: Feed) -> None:
        delivery = feed.send(FIRST, SECOND)
        whole = feed.batches(delivery)
        feed.open = lambda skip: _broken_after(whole[0]) if not skip else iter(whole[1:])
        with pytest.raises(ConnectionAbortedError):
            feed.load(delivery)
        assert feed.rows() == FIRST
        report = feed.load(delivery)
        assert (report.status, report.counts.inserted, report.written.inserted) == ("resumed", 4, 2)
        assert self.violations(feed, report.delivery) == []

    def test_a_partition_that_another_run_has_locked_is_left_alone(self, feed: Feed) -> None:
        delivery = feed.send(FIRST)
        with connected(feed.url) as other:
            locks.lock(other, feed.source, "")
            with pytest.raises(BusyError):
                feed.load(delivery)
        assert feed.load(delivery).status == "loaded"

    def test_a_replay_writes_records_that_keep_the_rules_and_the_others_keep_waiting(self, feed: Feed) -> None:
        delivery = feed.take([], rejected={1: ["a__type"], 2: ["a__type"]}).delivery
        ids = [record.id for record in self.waiting(feed)]

        def make_batch(claimed: Sequence[Rejected], number: int) -> Batch:
            first = claimed[0].record_no
            return feed.batch(number, first, [("apple", 1, None)], {first + 1: ["b__type"]})

        request = ReplayRequest(feed.url, "replay", self.target(feed), delivery, ids, make_batch)
        counts = self.loader().replay(request)
        assert (counts.read, counts.rejected, counts.inserted) == (2, 1, 1)
        assert feed.rows() == [("apple", 1, None)]
        assert [(record.record_no, record.rules) for record in self.waiting(feed)] == [(2, ["b__type"])]
        assert self.violations(feed, delivery) == []
        assert self.loader().replay(replace(request, ids=[ids[0]])).read == 0

    @staticmethod
    def target(feed: Feed) -> Target:
        return Target(feed.table, feed.schema, feed.fingerprint, max_rejected=1.0)


def _broken_after(batch: Batch) -> Iterator[Any]:
    yield batch
    raise ConnectionAbortedError
