"""A database that was reached before is waited for, and work on it is done again without harm."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import psycopg
import pytest
import stamina

from etl_assets.errors import EnvironmentFaultError, SettingsError, TransientLoadError
from etl_assets.postgres.connection import connect, connected, in_session, in_transaction
from etl_assets_tests.databases import drop_database, fresh_database
from etl_assets_tests.proxy import proxied

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.postgres.connection import Connection
    from etl_assets_tests.proxy import Proxy


@pytest.fixture
def proxy(migrated_url: str, quick_waits: None) -> Iterator[Proxy]:  # noqa: ARG001 -- sets the waits
    """A proxy before an empty warehouse."""
    with proxied(migrated_url) as proxy:
        yield proxy


def _count(connection: Connection) -> int:
    row = connection.execute("SELECT count(*) FROM etl.drift").fetchone()
    return row[0] if row else 0


def test_the_first_connection_of_a_process_fails_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ETL_ASSETS_DATABASE_WAIT", "300")
    with pytest.raises(SettingsError, match=r"nobody@127.0.0.1:1/x does not accept .*Nothing more was") as caught:
        connect("postgresql://nobody:secret@127.0.0.1:1/x")
    assert "secret" not in str(caught.value)
    assert caplog.records == []


def test_a_database_that_was_reached_before_is_waited_for(proxy: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    connect(proxy.url).close()
    proxy.go_away(returns_after=3)
    with caplog.at_level(logging.WARNING), connected(proxy.url) as connection:
        assert _count(connection) == 0
    assert proxy.refused == 3
    assert [message.split(". ")[0].split(" at ")[0] for message in caplog.messages] == ["The database"] * 2
    assert "does not answer. Waiting for it" in caplog.messages[0]
    assert "answers again" in caplog.messages[1]


def test_a_database_that_does_not_come_back_in_time_is_given_up_until_it_is_reached_again(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETL_ASSETS_DATABASE_WAIT", "1")
    connect(proxy.url).close()
    proxy.go_away()
    with pytest.raises(EnvironmentFaultError, match=r"no longer answers.*committed before stays.*Start the server"):
        connect(proxy.url)
    refused = proxy.refused
    assert refused > 1
    with pytest.raises(EnvironmentFaultError):
        connect(proxy.url)
    assert proxy.refused == refused + 1, "it is not waited for again"
    proxy.go_away(returns_after=0)
    connect(proxy.url).close()
    proxy.go_away(returns_after=2)
    connect(proxy.url).close()


def test_a_database_that_was_dropped_is_not_waited_for(postgres_url: str, caplog: pytest.LogCaptureFixture) -> None:
    with fresh_database(postgres_url) as url:
        connect(url).close()
    with pytest.raises(SettingsError, match=r"does not exist\. Nothing more was written"):
        connect(url)
    assert caplog.records == []


@pytest.mark.usefixtures("quick_waits")
def test_a_server_that_comes_back_without_the_database_is_not_waited_for_any_longer(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETL_ASSETS_DATABASE_WAIT", "300")
    with fresh_database(postgres_url) as url, proxied(url) as proxy:
        connect(proxy.url).close()
        drop_database(postgres_url, url.rpartition("/")[2])
        proxy.go_away(returns_after=2)
        with pytest.raises(SettingsError, match="does not exist"):
            connect(proxy.url)
        assert proxy.refused == 2


def test_who_does_not_want_to_wait_does_not(proxy: Proxy) -> None:
    connect(proxy.url).close()
    proxy.go_away()
    with pytest.raises(SettingsError):
        connect(proxy.url, wait=False)
    assert proxy.refused == 1


def test_work_whose_connection_breaks_is_done_again(proxy: Proxy) -> None:
    tries = []

    def work(connection: Connection) -> int:
        tries.append(connection)
        if len(tries) == 1:
            proxy.go_away(returns_after=2)
        return _count(connection)

    assert in_session(proxy.url, work) == 0
    assert len(tries) == 2


def test_work_that_fails_for_another_reason_is_not_done_again(migrated_url: str) -> None:
    tries = []

    def work(connection: Connection) -> None:
        tries.append(connection)
        raise psycopg.errors.DiskFull("no space")

    with pytest.raises(EnvironmentFaultError, match="counting: the disk of the database has no space left"):
        in_session(migrated_url, work, "counting")
    assert len(tries) == 1


@pytest.mark.parametrize("answer_lost", [False, True])
def test_a_transaction_is_done_exactly_once_even_if_the_answer_to_commit_is_lost(
    migrated_url: str,
    monkeypatch: pytest.MonkeyPatch,
    answer_lost: bool,  # noqa: FBT001 -- a parameter of the test
) -> None:
    commit = psycopg.Transaction._commit_gen
    broken: list[psycopg.Transaction] = []

    def breaking(transaction: psycopg.Transaction) -> Iterator[object]:
        if not broken:
            broken.append(transaction)
            if answer_lost:
                yield from commit(transaction)
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        yield from commit(transaction)

    with connected(migrated_url) as connection:
        connection.execute("CREATE TABLE etl.once (number integer)")
    try:
        monkeypatch.setattr(psycopg.Transaction, "_commit_gen", breaking)
        with stamina.set_testing(True, attempts=2):
            result = in_transaction(
                migrated_url,
                lambda connection: connection.execute("INSERT INTO etl.once VALUES (1) RETURNING number").fetchall(),
            )
        assert result == [(1,)]
        assert broken
        with connected(migrated_url) as connection:
            assert connection.execute("SELECT count(*) FROM etl.once").fetchall() == [(1,)]
    finally:
        with connected(migrated_url) as connection:
            connection.execute("DROP TABLE etl.once")


def test_a_fault_that_does_not_pass_is_an_error_after_some_tries(migrated_url: str) -> None:
    def work(_: Connection) -> None:
        raise psycopg.errors.DeadlockDetected("")

    with (
        stamina.set_testing(True, attempts=3),
        pytest.raises(TransientLoadError, match=r"The database ended a deadlock .*Run it again\."),
    ):
        in_session(migrated_url, work)
