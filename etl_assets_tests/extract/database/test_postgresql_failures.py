"""PostgreSQL that fails: each failure is an error that says so without secrets, and never a short delivery."""

from __future__ import annotations

import importlib
import math
import socket
import threading
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
import pytest

from etl_assets import Database, DatabaseExtractor, Partition
from etl_assets.errors import DeliveryError, DeliveryMissingError, DeliveryUnreachableError, EnvironmentFaultError
from etl_assets.extract.database.address import address_of
from etl_assets.extract.database.connecting import connect
from etl_assets.extract.database.dialects.postgresql import PostgresqlSession
from etl_assets.extract.database.freezing import ParquetFile
from etl_assets_tests.extract.database.frozen import freeze
from etl_assets_tests.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from etl_assets_tests.extract.database.conftest import Postgres

KILL = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'etl-assets' AND datname = current_database()
"""


def test_a_server_that_goes_away_before_the_snapshot_is_unreachable(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    connecting = PostgresqlSession.__init__
    with closing(Proxy(postgres.owner_url)) as proxy:

        def go_away_afterwards(session: PostgresqlSession, *arguments: Any) -> None:
            connecting(session, *arguments)
            proxy.go_away()

        monkeypatch.setattr(PostgresqlSession, "__init__", go_away_afterwards)
        address = f"postgresql://127.0.0.1:{urlsplit(proxy.url).port}{urlsplit(proxy.url).path}"
        with pytest.raises(DeliveryUnreachableError), connect(address_of(address, "a test"), postgres.access):
            pass


def test_a_password_with_any_character_logs_in(postgres: Postgres, reader: Database, tmp_path: Path) -> None:
    frozen = freeze(postgres.extractor(query="SELECT 1 AS x", access=reader), tmp_path)
    assert frozen.records == [{"x": "1"}]


def test_a_wrong_password_is_refused_without_showing_it(
    postgres: Postgres, reader: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("READER_PASSWORD", "wrong-password")
    with pytest.raises(DeliveryError) as raised:
        freeze(postgres.extractor(table="t", access=reader), tmp_path)
    shown = f"{raised.value!r}{raised.value.__context__ and raised.value.__suppress_context__}"
    assert "wrong-password" not in shown
    if "refuses this login" not in shown:
        pytest.skip("this server asks for no password")


def test_a_server_that_does_not_answer_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(DeliveryUnreachableError, match="a retry may help"):
        freeze(DatabaseExtractor("postgresql://127.0.0.1:1/shop", table="t"), tmp_path)


def test_what_is_missing_is_named(postgres: Postgres, tmp_path: Path) -> None:
    with pytest.raises(DeliveryMissingError, match=r"no table public\.gone"):
        freeze(postgres.extractor(table="public.gone"), tmp_path)
    with pytest.raises(DeliveryMissingError, match=r'relation "gone" does not exist'):
        freeze(postgres.extractor(query="SELECT * FROM gone"), tmp_path)
    elsewhere = DatabaseExtractor(f"{postgres.url}_gone", table="t", access=postgres.access)
    with pytest.raises(DeliveryMissingError, match=r"no such database|no database"):
        freeze(elsewhere, tmp_path)


def test_a_wrong_query_is_shown(postgres: Postgres, tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match=r'column "nope" does not exist.*Correct table, query or columns'):
        freeze(postgres.extractor(query="SELECT nope"), tmp_path)


def test_a_missing_right_is_named(postgres: Postgres, reader: Database, tmp_path: Path) -> None:
    postgres.run("CREATE TABLE t (id int)")
    with pytest.raises(DeliveryError, match=r"does not let this user read.*permission denied for table t"):
        freeze(postgres.extractor(table="t", access=reader), tmp_path)


def test_a_slow_statement_ends_at_the_deadline(postgres: Postgres, tmp_path: Path) -> None:
    access = Database(postgres.access.user, postgres.access.password, deadline=0.5)
    with pytest.raises(DeliveryUnreachableError, match="took longer"):
        freeze(postgres.extractor(query="SELECT pg_sleep(30)::text AS x", access=access), tmp_path)


def test_a_view_that_fails_midway_is_no_delivery_and_shows_no_value(postgres: Postgres, tmp_path: Path) -> None:
    postgres.run(
        "CREATE TABLE t AS SELECT i, repeat('x', 200) AS x, i::text AS n FROM generate_series(1, 200000) i",
        "UPDATE t SET n = 'secret value' WHERE i = 199000",
        "CREATE VIEW v AS SELECT i, x, n::int AS n FROM t",
    )
    with pytest.raises(DeliveryError, match=r"cannot answer.*Check the query or the view") as raised:
        freeze(postgres.extractor(table="v"), tmp_path)
    assert not isinstance(raised.value, DeliveryUnreachableError)
    assert "secret value" not in str(raised.value)


def test_a_connection_that_ends_in_the_middle_is_no_delivery(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.run("CREATE TABLE t AS SELECT i, repeat('x', 500) AS x FROM generate_series(1, 200000) i")
    add, killed = ParquetFile.add, list[object]()

    def kill(self: ParquetFile, batch: pa.RecordBatch) -> None:
        if not killed:
            with psycopg.connect(postgres.owner_url, autocommit=True) as connection:
                killed.extend(connection.execute(KILL).fetchall())
        add(self, batch)

    monkeypatch.setattr(ParquetFile, "add", kill)
    with pytest.raises(DeliveryUnreachableError):
        freeze(postgres.extractor(table="t"), tmp_path)
    assert killed


def test_more_bytes_than_allowed_are_no_delivery(postgres: Postgres, tmp_path: Path) -> None:
    postgres.run("CREATE TABLE t AS SELECT md5(i::text) AS x FROM generate_series(1, 10000) i")
    access = Database(postgres.access.user, postgres.access.password, max_bytes=1000)
    with pytest.raises(DeliveryError, match="need more than 1,000 bytes"):
        freeze(postgres.extractor(table="t", access=access), tmp_path)


def test_a_driver_that_is_not_installed_is_named_with_its_extra(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(EnvironmentFaultError, match=r"etl-assets\[postgres\]"):  # noqa: SIM117 -- one block
        with postgres.extractor(table="t").fetch(Partition()):
            pass


@contextmanager
def becoming_silent(port: int, after: int) -> Iterator[int]:
    """Forward connections to a port, and after some bytes of their answers nothing more; yield the port to use."""
    stopped = threading.Event()

    def forward(source: socket.socket, target: socket.socket, left: float) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                left -= len(data)
                if left < 0:
                    stopped.wait()
                    return
                target.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as opened:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client = opened.enter_context(listener.accept()[0])
                    server = opened.enter_context(socket.create_connection(("127.0.0.1", port)))
                    connections.extend((client, server))
                    for source, target, left in ((server, client, after), (client, server, math.inf)):
                        threads.append(threading.Thread(target=forward, args=(source, target, left)))
                        threads[-1].start()

        connections: list[socket.socket] = []
        threads = [threading.Thread(target=accept)]
        threads[0].start()
        yield listener.getsockname()[1]
        stopped.set()
        listener.shutdown(socket.SHUT_RDWR)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


def test_a_server_that_becomes_silent_is_given_up(postgres: Postgres, tmp_path: Path) -> None:
    postgres.run("CREATE TABLE t AS SELECT i, repeat('x', 500) AS x FROM generate_series(1, 100000) i")
    access = Database(postgres.access.user, postgres.access.password, timeout=2.0)
    parts = urlsplit(postgres.url)
    with becoming_silent(parts.port or 5432, 20_000_000) as port:
        extractor = DatabaseExtractor(f"postgresql://127.0.0.1:{port}{parts.path}", table="t", access=access)
        with pytest.raises(DeliveryUnreachableError, match="took longer"):
            freeze(extractor, tmp_path)
