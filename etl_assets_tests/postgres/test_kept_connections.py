"""Connections are kept while this process executes a run, without what their sessions left, and never after a fault."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psycopg
import pytest

from etl_assets.errors import TransientLoadError
from etl_assets.load.partition_lock import PartitionLock
from etl_assets.postgres import kept_connections
from etl_assets.postgres.connection import connect, connected, in_session
from etl_assets.postgres.ledger import locks
from etl_assets.postgres.migrations import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.postgres.connection import Connection


@pytest.fixture
def kept(database_url: str) -> Iterator[str]:
    """The URL of a database whose connections are kept."""
    kept_connections.begin(database_url)
    yield database_url
    kept_connections.end(database_url)


def backend(connection: Connection) -> int:
    return connection.info.backend_pid


def value(url: str, query: str) -> object:
    row = in_session(url, lambda connection: connection.execute(query.encode()).fetchone())
    return row and row[0]


def test_sessions_of_a_run_share_a_connection(kept: str) -> None:
    assert in_session(kept, backend) == in_session(kept, backend)


def test_sessions_at_the_same_time_have_connections_of_their_own(kept: str) -> None:
    with connected(kept) as one, connected(kept) as other:
        assert backend(one) != backend(other)


def test_no_connection_is_kept_without_a_run(database_url: str) -> None:
    assert in_session(database_url, backend) != in_session(database_url, backend)


def test_a_connection_is_closed_when_the_last_run_ends(kept: str) -> None:
    kept_connections.begin(kept)
    first = in_session(kept, backend)
    kept_connections.end(kept)
    assert in_session(kept, backend) == first, "another run is not over"
    kept_connections.end(kept)
    with connect(kept) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
        while connection.execute(query, (first,)).fetchone() != (0,):
            pass
    kept_connections.begin(kept)


@pytest.mark.parametrize(
    ("statement", "left"),
    [
        ("SET synchronous_commit = off", "SELECT current_setting('synchronous_commit') = 'off'"),
        ("SELECT pg_advisory_lock(1)", "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory'"),
        ("CREATE TEMP TABLE etl_staging (x integer)", "SELECT to_regclass('pg_temp.etl_staging') IS NOT NULL"),
    ],
)
def test_a_session_finds_nothing_that_the_one_before_left(kept: str, statement: str, left: str) -> None:
    with connected(kept) as connection:
        connection.execute(statement.encode())
        first = backend(connection)
    assert in_session(kept, backend) == first
    assert value(kept, left) is False
    assert value(kept, "SHOW jit") == "off", "a setting of every session"


def test_no_connection_is_kept_after_a_fault(kept: str) -> None:
    with connected(kept) as one, connected(kept) as other:
        before = {backend(one), backend(other)}
    with pytest.raises(ValueError, match="of the work"), connected(kept):
        raise ValueError("of the work")
    with connected(kept) as one, connected(kept) as other:
        assert before.isdisjoint({backend(one), backend(other)})


def test_a_connection_with_an_open_transaction_is_not_kept(kept: str) -> None:
    with connected(kept) as connection:
        first = backend(connection)
        connection.execute("BEGIN")
    assert in_session(kept, backend) != first


def test_a_connection_whose_transactions_only_read_is_not_kept(kept: str) -> None:
    with connected(kept) as connection:
        first = backend(connection)
        connection.read_only = True
    assert in_session(kept, backend) != first


def test_a_connection_that_the_server_has_ended_is_not_used_again(kept: str) -> None:
    first = in_session(kept, backend)
    with connect(kept) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (first,))
    with connected(kept) as connection:
        assert connection.execute("SELECT pg_backend_pid() <> %s", (first,)).fetchone() == (True,)


def test_a_statement_whose_columns_have_changed_is_planned_on_another_connection(kept: str) -> None:
    with connect(kept) as other:
        other.execute("CREATE TABLE things AS SELECT 1::integer AS x")
        for _ in range(6):  # the driver prepares a statement that it sends again and again
            assert value(kept, "SELECT x FROM things") == 1
        other.execute("ALTER TABLE things ALTER x TYPE text")
    with pytest.raises(TransientLoadError, match="planned"), connected(kept) as connection:
        connection.execute("SELECT x FROM things")
    assert value(kept, "SELECT x FROM things") == "1"


def test_a_forked_process_leaves_the_connections_of_its_parent_alone(kept: str) -> None:
    first = in_session(kept, backend)
    child = os.fork()
    if not child:
        os._exit(int(kept_connections.take(kept) is not None))
    assert os.waitpid(child, 0)[1] == 0
    assert in_session(kept, backend) == first


def test_the_lock_of_a_partition_ends_with_its_session_and_its_connection_is_kept(kept: str) -> None:
    migrate(kept)
    lock = PartitionLock(kept, "people", "a", "run")
    assert value(kept, f"SELECT pg_try_advisory_lock({locks.lock_number('people', 'a')})") is False
    first = backend(lock.connection)
    lock.release()
    with connect(kept) as other:
        assert locks.held_lock_numbers(other) == frozenset()
    with connected(kept) as one, connected(kept) as other:
        assert first in {backend(one), backend(other)}


def test_releasing_a_lock_whose_connection_is_broken_closes_it(kept: str) -> None:
    migrate(kept)
    lock = PartitionLock(kept, "people", "a", "run")
    with connect(kept) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (backend(lock.connection),))
    lock.release()
    assert lock.connection.closed
    with pytest.raises(psycopg.OperationalError):
        lock.connection.execute("SELECT")
