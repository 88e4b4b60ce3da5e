"""A load whose database goes away waits for it, writes each batch once, and says what stays if it waits in vain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import stamina
from psycopg import sql

from etl_assets.errors import EnvironmentFaultError, TransientLoadError
from etl_assets.load.transaction import BatchTransaction
from etl_assets.postgres import connection as connections
from etl_assets.postgres.connection import connected
from etl_assets_tests.chaos import faults
from etl_assets_tests.chaos.victim import BATCHES, EXPECTED, REJECTED
from etl_assets_tests.load.feed import Feed
from etl_assets_tests.proxy import proxied

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.postgres.ledger.entries import Entry
    from etl_assets_tests.proxy import Proxy


@pytest.fixture
def proxy(migrated_url: str, quick_waits: None) -> Iterator[Proxy]:  # noqa: ARG001 -- sets the waits
    """A proxy before an empty warehouse."""
    with proxied(migrated_url) as proxy:
        yield proxy


def _going_away(proxy: Proxy, returns_after: int | None) -> type[BatchTransaction]:
    """Return a transaction whose database goes away in the second batch, when its ledger entry is written."""
    away: list[bool] = []

    class GoingAway(BatchTransaction):
        def write_entry(self, entry: Entry) -> None:
            super().write_entry(entry)
            if entry.number == faults.FATAL_BATCH and not away:
                away.append(True)
                proxy.go_away(returns_after)

    return GoingAway


def test_a_load_waits_for_its_database_and_writes_each_batch_once(proxy: Proxy) -> None:
    feed = Feed(proxy.url)
    delivery = feed.send(*BATCHES, rejected=REJECTED)
    feed.transaction = _going_away(proxy, returns_after=4)
    report = feed.load(delivery)
    assert proxy.refused == 4
    assert report.status == "loaded"
    assert feed.rows() == EXPECTED
    assert feed.query("SELECT number FROM etl.batch ORDER BY 1") == [(1,), (2,), (3,)]


def test_a_load_that_waits_in_vain_says_how_many_batches_stay(
    proxy: Proxy, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETL_ASSETS_DATABASE_WAIT", "0")
    feed = Feed(proxy.url)
    delivery = feed.send(*BATCHES, rejected=REJECTED)
    feed.transaction = _going_away(proxy, returns_after=None)
    with pytest.raises(EnvironmentFaultError, match=r"no longer answers.*committed, and that stay: 1 of 3\."):
        feed.load(delivery)
    with connected(migrated_url) as connection:
        assert connection.execute("SELECT count(*) FROM etl.batch").fetchall() == [(1,)]


def test_a_table_that_another_session_has_locked_is_an_error_with_its_remedy(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = Feed(migrated_url)
    feed.take(BATCHES[0])
    delivery = feed.send(BATCHES[1])
    monkeypatch.setitem(connections._SESSION, "lock_timeout", "20ms")
    with connected(migrated_url) as other, other.transaction(), stamina.set_testing(True, attempts=2):
        other.execute("LOCK TABLE core.stock")
        with pytest.raises(TransientLoadError, match=r"lock_timeout.*pg_stat_activity.*and that stay: 0 of 1"):
            feed.load(delivery)


def test_an_index_that_is_built_while_another_session_writes_is_an_error_with_its_remedy(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = Feed(migrated_url)
    feed.take(BATCHES[0])
    ((index,),) = feed.query("SELECT indexname FROM pg_indexes WHERE indexdef LIKE '%USING brin%'")
    with connected(migrated_url) as connection:
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier("core", index)))
    delivery = feed.send(BATCHES[1])
    monkeypatch.setitem(connections._SESSION, "lock_timeout", "20ms")
    with connected(migrated_url) as other, other.transaction():
        other.execute("UPDATE core.stock SET note = note")
        with pytest.raises(TransientLoadError, match="lock_timeout"):
            feed.load(delivery)
