from __future__ import annotations

import fcntl
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from etl_assets.errors import SettingsError
from etl_assets.local import EmbeddedServer, embedded, supervisor
from etl_assets.local.account import account_for
from etl_assets.local.binaries import binaries
from etl_assets_tests.ports import free_port

if TYPE_CHECKING:
    from etl_assets_tests.local.conftest import Holders


def _ask(url: str, question: str) -> object:
    with psycopg.connect(url) as connection:
        answer = connection.execute(question.encode()).fetchone()
    assert answer is not None
    return answer[0]


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _wait_until_nothing_is_left(home: Path, seconds: float = 15) -> None:
    """Wait for the lock that the kernel releases when the last process of the server has ended."""
    deadline = time.monotonic() + seconds
    while (descriptor := supervisor.lock(home / "postgres" / "server.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)) is None:
        assert time.monotonic() < deadline, "a process of the server is left"
        time.sleep(0.02)
    os.close(descriptor)


def _postmaster(home: Path) -> int:
    return int((home / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])


def _supervisor(home: Path) -> int:
    parent = int(Path(f"/proc/{_postmaster(home)}/stat").read_text().rpartition(")")[2].split()[1])
    assert "supervisor.py" in Path(f"/proc/{parent}/cmdline").read_text()
    return parent


def test_a_first_start_creates_two_empty_databases(new_home: Path) -> None:
    with embedded(new_home) as server:
        assert _ask(server.url, "SELECT current_database()") == "warehouse"
        assert _ask(server.dagster_url, "SELECT current_database()") == "dagster"


def test_data_survive_a_restart(home: Path) -> None:
    with embedded(home) as server, psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    with embedded(home) as server:
        assert _ask(server.url, "SELECT sum(n) FROM kept") == 500500


def test_committed_data_survive_a_crash_of_the_server(home: Path) -> None:
    with embedded(home) as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE kept_too AS SELECT generate_series(1, 1000) AS n")
        os.kill(_postmaster(home), signal.SIGKILL)
    with embedded(home) as server:
        assert _ask(server.url, "SELECT sum(n) FROM kept_too") == 500500


def test_the_server_has_stopped_when_its_only_holder_has_closed(home: Path) -> None:
    with embedded(home) as server:
        url = server.url
    assert not _answers(url)
    _wait_until_nothing_is_left(home, seconds=0)
    assert not (home / "postgres" / "data" / "postmaster.pid").exists()


def test_closing_twice_does_nothing(home: Path) -> None:
    server = EmbeddedServer.start(home)
    server.close()
    server.close()


def test_one_process_can_hold_the_server_twice(home: Path) -> None:
    with embedded(home) as first:
        with embedded(home) as second:
            assert second.url == first.url
        assert _answers(first.url)


def test_a_second_process_shares_the_server_and_outlives_the_first(home: Path, holders: Holders) -> None:
    first = holders.start(home)
    started = _ask(first.url, "SELECT pg_postmaster_start_time()")
    second = holders.start(home)
    assert second.url == first.url
    first.end()
    assert _ask(second.url, "SELECT pg_postmaster_start_time()") == started
    second.end()
    assert not _answers(second.url)


def test_processes_that_start_at_once_share_one_server(new_home: Path, holders: Holders) -> None:
    starting = [holders.begin(new_home) for _ in range(4)]
    assert len({holder.wait_until_it_holds().url for holder in starting}) == 1


def test_the_server_ends_when_its_only_holder_is_killed(home: Path, holders: Holders) -> None:
    owner = holders.start(home)
    owner.kill()
    _wait_until_nothing_is_left(home)
    assert not _answers(owner.url)


def test_the_server_keeps_running_for_its_other_holder_when_its_starter_is_killed(home: Path, holders: Holders) -> None:
    owner = holders.start(home)
    with embedded(home) as server:
        owner.kill()
        time.sleep(0.3)
        assert _answers(server.url)


def test_the_server_ends_when_its_starter_is_killed_during_the_start(home: Path, holders: Holders) -> None:
    for delay in (0.25, 0.3, 0.35, 0.4, 0.5):
        holder = holders.begin(home)
        time.sleep(delay)
        holder.kill()
    _wait_until_nothing_is_left(home)
    with embedded(home) as server:
        assert _answers(server.url)


def test_a_start_after_a_kill_waits_until_the_old_server_has_ended(home: Path, holders: Holders) -> None:
    holders.start(home).kill()
    with embedded(home) as server:
        assert _answers(server.url)
        time.sleep(0.3)
        assert _answers(server.url)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start ends the orphan")
def test_the_server_ends_when_its_supervisor_is_killed(home: Path, holders: Holders) -> None:
    owner = holders.start(home)
    os.kill(_supervisor(home), signal.SIGKILL)
    _wait_until_nothing_is_left(home)
    with embedded(home) as server:
        assert _answers(server.url)
    owner.end()


def test_a_stale_pid_file_with_the_pid_of_another_process_is_ignored(home: Path) -> None:
    with embedded(home):
        kept = (home / "postgres" / "data" / "postmaster.pid").read_text().splitlines()
        os.kill(_postmaster(home), signal.SIGKILL)
    account = account_for(home / "postgres" / "data")
    with subprocess.Popen(["sleep", "60"], **account.identity) as stranger:
        pid_file = home / "postgres" / "data" / "postmaster.pid"
        pid_file.write_text("\n".join([str(stranger.pid), *kept[1:]]) + "\n")
        os.chown(pid_file, account.uid, account.gid)
        with embedded(home) as server:
            assert _answers(server.url)
        stranger.kill()


def test_a_port_that_was_not_written_before_a_kill_is_chosen_again(home: Path) -> None:
    with embedded(home):
        pass
    (home / "postgres" / "port").write_text("")
    with embedded(home) as server:
        assert _answers(server.url)
    assert (home / "postgres" / "port").read_text().isdecimal()


def test_data_on_which_another_server_runs_are_refused(spare_home: Path) -> None:
    data = spare_home / "postgres" / "data"
    account = account_for(data)
    control = [binaries(account, data.parent).program("pg_ctl"), "-D", str(data), "-w", "-l", str(data / "log")]
    port = free_port()
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
    # the server keeps its standard output open, so the test must not wait until that is closed
    assert subprocess.call([*control, "-o", options, "start"], stdout=subprocess.DEVNULL, **account.identity) == 0
    try:
        before = (data / "postmaster.pid").read_text()
        with pytest.raises(SettingsError, match="Another PostgreSQL server"):
            EmbeddedServer.start(spare_home)
        assert (data / "postmaster.pid").read_text() == before
    finally:
        account.run([*control, "-m", "fast", "stop"])


def test_a_declared_port_is_used(home: Path) -> None:
    port = free_port()
    with embedded(home, port) as server:
        assert server.port == port


def test_a_declared_port_that_is_taken_is_an_error(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(SettingsError, match=f"Port {port}, declared in ETL_ASSETS_PORT, is taken"):
            EmbeddedServer.start(home, port)


def test_a_declared_port_other_than_that_of_the_running_server_is_an_error(home: Path) -> None:
    with embedded(home) as server, pytest.raises(SettingsError, match=f"runs on port {server.port} already"):
        EmbeddedServer.start(home, server.port - 1)


def test_the_port_is_the_same_next_time(home: Path) -> None:
    with embedded(home) as server:
        port = server.port
    with embedded(home) as server:
        assert server.port == port


def test_another_port_is_chosen_when_the_remembered_one_is_taken(home: Path) -> None:
    with embedded(home) as server:
        port = server.port
    with socket.create_server(("127.0.0.1", port)), embedded(home) as server:
        assert server.port != port
        assert _answers(server.url)


def test_data_of_another_major_version_are_an_error_and_not_changed(spare_home: Path) -> None:
    (spare_home / "postgres" / "data" / "PG_VERSION").write_text("16\n")
    with pytest.raises(SettingsError, match="has data of PostgreSQL 16, and the embedded server is PostgreSQL 18"):
        EmbeddedServer.start(spare_home)


def test_a_server_that_does_not_start_is_an_error_with_the_end_of_its_log(spare_home: Path) -> None:
    (spare_home / "postgres" / "data" / "global" / "pg_control").unlink()
    with pytest.raises(SettingsError, match=r"did not start.*could not (find|open).*"):
        EmbeddedServer.start(spare_home)
    _wait_until_nothing_is_left(spare_home)


def test_a_connection_needs_the_password(home: Path) -> None:
    with embedded(home) as server:
        trusted = "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'"
        assert _ask(server.superuser_url(), trusted) == 0
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(host="127.0.0.1", port=server.port, user="etl_assets", password="guess", dbname="warehouse")


def test_only_the_random_passwords_are_hashed_once(home: Path) -> None:
    with embedded(home) as server, psycopg.connect(server.superuser_url(), autocommit=True) as connection:
        connection.execute("CREATE ROLE chosen PASSWORD 'by a person'")
        roles = "SELECT rolname, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL"
        passwords: dict[str, str] = dict(connection.execute(roles).fetchall())
        connection.execute("DROP ROLE chosen")
    for name in ("etl_assets", "etl_assets_loader"):
        assert passwords[name].startswith("SCRAM-SHA-256$1:")
    assert passwords["chosen"].startswith("SCRAM-SHA-256$4096:")


def test_only_this_user_can_read_the_password(home: Path) -> None:
    with embedded(home) as server:
        path = home / "postgres" / "password"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.read_text() not in repr(server)
        assert path.read_text() in server.superuser_url()


def test_other_accounts_can_read_and_change_none_of_its_files(new_home: Path) -> None:
    former = os.umask(0)
    try:
        with embedded(new_home):
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (new_home / "postgres").iterdir()}
    finally:
        os.umask(former)
    assert modes.keys() >= {"data", "password", "port", "ready", "server.log"}
    opened = {name for name, mode in modes.items() if mode & 0o077 and not name.startswith("binaries-")}
    assert opened == set(), "only the copied programs may be read by others"


def test_the_server_is_durable_and_listens_only_on_loopback(home: Path) -> None:
    with embedded(home) as server:
        expected = {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "data_checksums": "on",
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "client_connection_check_interval": "500ms",
            "server_encoding": "UTF8",
        }
        assert {name: _ask(server.superuser_url(), f"SHOW {name}") for name in expected} == expected


def test_the_server_releases_the_locks_of_a_killed_client_at_once(home: Path) -> None:
    with embedded(home) as server:
        code = (
            "import psycopg, sys\n"
            "c = psycopg.connect(sys.argv[1]); c.execute('SELECT pg_advisory_lock(1)'); print('held', flush=True)\n"
            "c.execute('SELECT pg_sleep(60)')"
        )
        with subprocess.Popen([sys.executable, "-c", code, server.url], stdout=subprocess.PIPE) as client:
            assert client.stdout is not None
            assert client.stdout.readline() == b"held\n"
            client.send_signal(signal.SIGKILL)
        with psycopg.connect(server.url) as connection:
            connection.execute("SET lock_timeout = '5s'")
            connection.execute("SELECT pg_advisory_lock(1)")


def test_the_log_contains_no_record_contents(home: Path) -> None:
    with embedded(home) as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TEMP TABLE t (name text CHECK (name <> 'Jane Roe'))")
            connection.commit()
            with pytest.raises(psycopg.errors.CheckViolation):
                connection.execute("INSERT INTO t VALUES ('Jane Roe')")
        assert "Jane" not in (home / "postgres" / "server.log").read_text()


def test_the_log_says_why_a_session_crashed_but_not_what_its_statement_was(home: Path) -> None:
    with embedded(home) as server:
        with psycopg.connect(server.url) as connection:
            pid = connection.info.backend_pid
            threading.Timer(0.1, os.kill, (pid, signal.SIGKILL)).start()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 'Jane Roe', pg_sleep(60)")
        log = home / "postgres" / "server.log"
        deadline = time.monotonic() + 15
        while (
            "database system is ready" not in log.read_text().rpartition(f"(PID {pid}) was terminated by signal 9")[2]
        ):
            assert time.monotonic() < deadline, "the log does not say that the session crashed"
            time.sleep(0.01)
        assert "Jane" not in log.read_text()


def test_a_command_waits_while_the_server_recovers_from_a_crash(home: Path) -> None:
    with embedded(home) as server:
        with psycopg.connect(server.url) as connection:
            os.kill(connection.info.backend_pid, signal.SIGKILL)
        with embedded(home) as second:
            assert _answers(second.url)


def test_errors_of_sessions_are_not_logged_and_those_of_the_server_are(home: Path) -> None:
    with embedded(home) as server:
        assert _ask(server.url, "SHOW log_min_messages") == "log"
        command = Path(f"/proc/{_postmaster(home)}/cmdline").read_bytes().split(b"\0")
        assert b"--log_min_messages=error" in command


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists the processes of a server that was killed")
def test_a_start_ends_the_long_statement_of_a_server_that_was_killed(home: Path) -> None:
    with embedded(home) as server, psycopg.connect(server.url) as connection:
        endless = "DO 'DECLARE n bigint := 0; BEGIN LOOP n := n + 1; END LOOP; END'"
        with ThreadPoolExecutor() as pool:
            statement = pool.submit(connection.execute, endless)
            while _ask(server.url, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %'") == 0:
                time.sleep(0.01)
            os.kill(_postmaster(home), signal.SIGKILL)
            began = time.monotonic()
            with embedded(home) as second:
                assert _answers(second.url)
            assert time.monotonic() - began < supervisor._ORPHAN_SECONDS / 2
            assert isinstance(statement.exception(), psycopg.OperationalError)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists the processes of a server that was killed")
def test_a_start_ends_the_long_statement_of_a_server_that_was_killed_with_its_supervisor(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etl_assets.local.server._END_BY_ITSELF_SECONDS", 1.0)
    with embedded(home) as server, psycopg.connect(server.url) as connection:
        endless = "DO 'DECLARE n bigint := 0; BEGIN LOOP n := n + 1; END LOOP; END'"
        with ThreadPoolExecutor() as pool:
            statement = pool.submit(connection.execute, endless)
            while _ask(server.url, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %'") == 0:
                time.sleep(0.01)
            for pid in (_supervisor(home), _postmaster(home)):
                os.kill(pid, signal.SIGKILL)
            with embedded(home) as second:
                assert _answers(second.url)
            assert isinstance(statement.exception(), psycopg.OperationalError)


def test_a_large_log_is_cut_at_the_next_start(home: Path) -> None:
    log = home / "postgres" / "server.log"
    log.write_text("x" * (supervisor._LOG_BYTES + 1))
    with embedded(home):
        former = home / "postgres" / "server.log.1"
        assert log.stat().st_size < 10_000
        assert former.stat().st_size > supervisor._LOG_BYTES
        assert stat.S_IMODE(former.stat().st_mode) == 0o600


def test_text_sorts_and_changes_case_alike_on_every_machine(home: Path) -> None:
    with embedded(home) as server:
        assert _ask(server.url, "SELECT upper('straße und öl')") == "STRAßE UND ÖL"
        assert _ask(server.url, "SELECT string_agg(x, '' ORDER BY x) FROM unnest(ARRAY['b','a','B','é']) x") == "Babé"
