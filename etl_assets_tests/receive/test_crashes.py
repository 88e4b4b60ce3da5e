"""Crashes, full disks, folders that cannot be written, and the end: only what was acknowledged is kept, all of it."""

from __future__ import annotations

import http.client
import os
import random
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import psutil
import pytest

from etl_assets.extract.inbox_folder import InboxFolder
from etl_assets_tests.receive.receiving import Receiving, head, read_all

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DYING = """
import os
import etl_assets.{module} as module
from etl_assets.cli import main
whole = module.{name}
def dying(*arguments):
    {when}
    os.kill(os.getpid(), 9)
module.{name} = dying
main()
"""
BODY = b"id,name\n1,Ada\n"


def test_a_process_that_is_killed_during_a_body_keeps_nothing_and_the_next_removes_its_part(
    receiver: Receiving,
) -> None:
    receiver.declare("orders")
    receiver.start()
    with receiver.connection(head("orders", "Content-Length: 3000000") + b"x" * 2_000_000):
        receiver.until(lambda: receiver.parts("orders"))
        receiver.end(signal.SIGKILL)
    assert receiver.parts("orders") != []
    receiver.start()
    receiver.until(lambda: receiver.parts("orders") == [])
    assert receiver.files("orders") == []


@pytest.mark.parametrize(
    ("module", "name", "when", "kept"),
    [
        ("receive.app", "keep", "pass", 0),
        ("extract.inbox_folder", "InboxFolder.remember", "pass", 0),
        ("extract.inbox_folder", "InboxFolder.remember", "whole(*arguments)", 0),
        ("receive.app", "keep", "whole(*arguments)", 1),
    ],
    ids=["before it is kept", "before its id", "after its id", "before the answer"],
)
def test_a_file_that_is_sent_again_after_a_crash_is_kept_once(
    receiver: Receiving, module: str, name: str, when: str, kept: int
) -> None:
    receiver.declare("orders")
    receiver.start(code=DYING.format(module=module, name=name, when=when))
    with pytest.raises((OSError, http.client.HTTPException)):
        receiver.send("orders", BODY, Idempotency_Key="1")
    assert len(receiver.files("orders")) == kept
    receiver.start()
    answers = [receiver.send("orders", BODY, Idempotency_Key="1") for _ in range(2)]
    assert [answer.status for answer in answers] == [200 if kept else 201, 200]
    assert len(receiver.files("orders")) == 1
    receiver.until(lambda: receiver.parts("orders") == [])


def test_a_note_that_a_crash_cut_is_removed(tmp_path: Path) -> None:
    folder = InboxFolder(tmp_path / "inbox")
    folder.make()
    (folder.path / f".{uuid4().hex}").write_text("{")
    before = sorted(path.name for path in folder.path.iterdir() if not path.name.startswith("."))
    folder.tidy(timedelta(days=1), timedelta(days=1))
    assert sorted(path.name for path in folder.path.iterdir()) == [".lock", *before]


def test_the_part_of_another_process_that_runs_is_left_alone(receiver: Receiving) -> None:
    receiver.declare("orders")
    receiver.start()
    second = Receiving(receiver.folder)
    try:
        with receiver.connection(head("orders", "Content-Length: 2000000") + b"x" * 1_500_000) as connection:
            receiver.until(lambda: receiver.parts("orders"))
            second.start()
            time.sleep(0.5)
            assert len(receiver.parts("orders")) == 1
            connection.sendall(b"x" * 500_000)
            assert connection.recv(100).startswith(b"HTTP/1.1 201 ")
    finally:
        assert second.end() == 0


def test_two_processes_that_get_the_same_bytes_at_once_keep_one_file(receiver: Receiving) -> None:
    receiver.declare("orders")
    second = Receiving(receiver.folder)
    for each in (receiver, second):
        each.start()
    try:
        with ThreadPoolExecutor(8) as threads:
            for number in range(10):
                body = f"id\n{number}\n".encode()
                answers = threads.map(lambda each, body=body: each.send("orders", body).status, [receiver, second] * 4)
                assert sorted(answers) == [200] * 7 + [201]
        assert len(receiver.files("orders")) == 10
    finally:
        second.end()


def test_a_signal_lets_a_body_end_and_takes_no_new_connection(receiver: Receiving) -> None:
    receiver.declare("orders")
    receiver.start()
    with receiver.connection(head("orders", "Content-Length: 10") + b"id\n") as connection:
        receiver.until(lambda: receiver.parts("orders"))
        assert receiver.process is not None
        receiver.process.send_signal(signal.SIGTERM)
        receiver.until(lambda: not _connects(receiver))
        connection.sendall(b"1\n2\n3\n4")
        assert read_all(connection).startswith(b"HTTP/1.1 201 ")
    assert receiver.process.wait(30) == 0
    assert (len(receiver.files("orders")), receiver.parts("orders")) == (1, [])


def _connects(receiver: Receiving) -> bool:
    try:
        with receiver.connection():
            return True
    except ConnectionRefusedError:
        return False


def test_a_body_that_does_not_end_in_time_is_given_up_when_the_receiver_ends(receiver: Receiving) -> None:
    receiver.declare("orders")
    receiver.start("--end-seconds", "1")
    with receiver.connection(head("orders", "Content-Length: 10") + b"id\n") as connection:
        receiver.until(lambda: receiver.parts("orders"))
        started = time.monotonic()
        assert receiver.end() == 0
        assert time.monotonic() - started < 8
        assert read_all(connection)[:12] in {b"HTTP/1.1 503", b""}
    assert (receiver.files("orders"), receiver.parts("orders")) == ([], [])


def test_a_file_beyond_the_largest_that_the_system_allows_is_refused_and_nothing_is_left(receiver: Receiving) -> None:
    receiver.declare("orders")
    receiver.start(limit=2_000_000)
    answer = receiver.send("orders", b"x" * 3_000_000)
    assert (answer.status, answer.headers["retry-after"]) == (507, "60")
    assert (receiver.files("orders"), receiver.parts("orders")) == ([], [])
    assert receiver.send("orders", BODY).status == 201


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this account cannot mount a disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def _fill(filler: Path) -> None:
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return


def test_a_full_disk_refuses_files_and_events_until_there_is_space(receiver: Receiving, small_disk: Path) -> None:
    receiver.environ["ETL_ASSETS_INBOX"] = str(small_disk)
    receiver.declare("orders")
    receiver.declare("clicks", 'token=Secret("TEST_TOKEN"), events=Events(close_seconds=3600)', "Ndjson()")
    receiver.start("--keep-free", "0")
    assert receiver.send("clicks", b'{"id": 1}', method="POST").status == 201
    assert receiver.send("orders", b"x" * 5_000_000).status == 507
    assert receiver.send("orders", iter([b"x" * 1_000_000] * 5)).status == 507
    assert list((small_disk / "orders" / "parts").iterdir()) == []
    filler = small_disk / "filler"
    _fill(filler)
    assert receiver.send("orders", BODY).status == 507
    event = b'{"id": 2, "name": "' + b"x" * 500_000 + b'"}'
    assert receiver.send("clicks", event, method="POST").status == 507
    assert list((small_disk / "orders" / "files").iterdir()) == []
    filler.unlink()
    assert receiver.send("orders", BODY).status == 201
    assert receiver.send("clicks", event, method="POST").status == 201
    assert receiver.end() == 0
    (file_of_events,) = (small_disk / "clicks" / "files").iterdir()
    assert file_of_events.read_bytes() == b'{"id": 1}\n' + event + b"\n"


def test_a_disk_that_becomes_full_in_the_middle_of_a_body_leaves_nothing(receiver: Receiving, small_disk: Path) -> None:
    receiver.environ["ETL_ASSETS_INBOX"] = str(small_disk)
    receiver.declare("orders")
    receiver.start("--keep-free", "0")
    answer = receiver.send("orders", iter([b"x" * 1_000_000] * 6))
    assert answer.status == 507
    assert [path.name for path in small_disk.rglob("*") if path.is_file()] == [".lock"]


def test_a_disk_that_is_nearly_full_keeps_its_last_space_free(receiver: Receiving, small_disk: Path) -> None:
    receiver.environ["ETL_ASSETS_INBOX"] = str(small_disk)
    receiver.declare("orders")
    receiver.start("--keep-free", "3")
    assert receiver.send("orders", BODY).status == 201
    assert receiver.send("orders", b"x" * 1_200_000).status == 503


def test_an_inbox_that_cannot_be_written_refuses_for_now(receiver: Receiving, small_disk: Path) -> None:
    receiver.environ["ETL_ASSETS_INBOX"] = str(small_disk)
    receiver.declare("orders")
    receiver.declare("clicks", 'token=Secret("TEST_TOKEN"), events=Events()', "Ndjson()")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    receiver.start("--keep-free", "0")
    assert receiver.send("orders", BODY).status == 503
    assert receiver.send("clicks", b"{}", method="POST").status == 503
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert receiver.send("orders", BODY).status == 201
    assert receiver.send("clicks", b"{}", method="POST").status == 201


def test_memory_stays_flat_for_a_large_body(receiver: Receiving) -> None:
    receiver.declare("orders")
    receiver.start("--keep-free", "0")
    assert receiver.process is not None
    process = psutil.Process(receiver.process.pid)
    receiver.send("orders", BODY)
    before = process.memory_info().rss
    peak = [before]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak.append(process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    size = 200
    answer = receiver.send("orders", iter([b"0123456789abcdef" * 65536] * size), timeout=120)
    done.set()
    watcher.join()
    assert (answer.status, answer.content["size"]) == (201, size * 1024 * 1024)
    assert max(peak) - before < 24 * 1024 * 1024


def test_a_secret_that_changes_in_its_file_is_read_again(receiver: Receiving) -> None:
    file = receiver.folder / "token"
    file.write_text("the-first-token-of-all\n")
    receiver.declare("orders", 'token=Secret("FILED_TOKEN")')
    receiver.environ["FILED_TOKEN_FILE"] = str(file)
    receiver.start()
    assert receiver.send("orders", BODY, Authorization="Bearer the-first-token-of-all").status == 201
    file.write_text("the-second-token-of-all\n")
    receiver.until(lambda: receiver.send("orders", BODY, Authorization="Bearer the-second-token-of-all").status == 200)
    assert receiver.send("orders", BODY, Authorization="Bearer the-first-token-of-all").status == 401


def test_whatever_was_acknowledged_is_kept_exactly_once_whenever_the_process_is_killed(receiver: Receiving) -> None:
    """Publishers send until they are acknowledged, each request under its id; the process is killed again and again."""
    receiver.declare("orders")
    receiver.declare("clicks", 'token=Secret("TEST_TOKEN"), events=Events(close_seconds=0.2)', "Ndjson()")
    receiver.start()
    chance = random.Random(7)  # noqa: S311 -- when the process is killed
    stop = threading.Event()
    acknowledged: dict[str, list[int]] = {"orders": [], "clicks": []}

    def publish(source: str, first: int) -> None:
        number = first
        while not stop.is_set():
            body = b"id\n%d\n" % number if source == "orders" else b'{"id": %d}' % number
            while True:
                try:
                    answer = replace(receiver).send(source, body, Idempotency_Key=str(number), timeout=10)
                except (OSError, http.client.HTTPException):
                    time.sleep(0.02)
                    continue
                if answer.status in {200, 201}:
                    break
                assert answer.status == 503, answer
            acknowledged[source].append(number)
            number += 1

    publishers = [
        threading.Thread(target=publish, args=(source, 100_000 * number))
        for number, source in enumerate(["orders", "orders", "clicks", "clicks"])
    ]
    for publisher in publishers:
        publisher.start()
    for _ in range(4):
        time.sleep(chance.uniform(0.3, 1.2))
        receiver.end(signal.SIGKILL)
        receiver.start()
    time.sleep(0.3)
    stop.set()
    for publisher in publishers:
        publisher.join()
    assert receiver.end() == 0
    orders = [
        int((receiver.inbox("orders") / "files" / key).read_text().split()[1]) for key in receiver.files("orders")
    ]
    lines = [(receiver.inbox("clicks") / "files" / key).read_text().splitlines() for key in receiver.files("clicks")]
    clicks = [int(line.removeprefix('{"id": ').removesuffix("}")) for each in lines for line in each]
    assert min(map(len, acknowledged.values())) > 20
    assert sorted(orders) == sorted(acknowledged["orders"])
    assert sorted(clicks) == sorted(acknowledged["clicks"])
