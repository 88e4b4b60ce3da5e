"""Events: each is durable before it is acknowledged, and many of them become one file, once."""

from __future__ import annotations

import json
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from etl_assets import Events, Inbox, Ndjson, Secret
from etl_assets.receive.journal import Event, Journal
from etl_assets.receive.keeping import About, keep
from etl_assets.receive.part import Part
from etl_assets.receive.refusal import Refusal
from etl_assets_tests.receive.receiving import receiving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from etl_assets_tests.receive.receiving import Receiving

EVENTS = 'token=Secret("TEST_TOKEN"), events=Events({})'


def events_of(receiver: Receiving, source: str) -> list[dict[str, object]]:
    """The events of all files, in the order of the files."""
    folder = receiver.inbox(source) / "files"
    return [json.loads(line) for key in receiver.files(source) for line in (folder / key).read_text().splitlines()]


def open_events(receiver: Receiving, source: str) -> int:
    with sqlite3.connect(receiver.inbox(source) / "events.sqlite") as database:
        (count,) = database.execute("SELECT count(*) FROM event").fetchone()
    database.close()
    return int(count)


@pytest.fixture(scope="module")
def collecting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiving]:
    with receiving(tmp_path_factory.mktemp("events")) as receiver:
        receiver.declare("slow", EVENTS.format("close_seconds=3600"), "Ndjson()")
        receiver.declare("quick", EVENTS.format("close_seconds=1"), "Ndjson()")
        receiver.declare("large", EVENTS.format("close_seconds=3600, close_bytes=1000"), "Ndjson()")
        receiver.declare("kept", EVENTS.format('close_seconds=3600, repeats="keep"'), "Ndjson()")
        receiver.declare("small", EVENTS.format("max_bytes=100"), "Ndjson()")
        receiver.start()
        yield receiver


def test_an_event_is_durable_when_it_is_acknowledged(collecting: Receiving) -> None:
    collecting.send("slow", b'{"id": 0}', method="POST")
    before = open_events(collecting, "slow")
    answer = collecting.send("slow", b'{"id": 1}', method="POST")
    assert (answer.status, answer.content["key"], answer.content["size"]) == (201, None, 9)
    assert open_events(collecting, "slow") == before + 1


def test_events_become_a_file_when_they_are_old_enough(collecting: Receiving) -> None:
    for number in range(5):
        collecting.send("quick", json.dumps({"id": number}).encode(), method="POST")
    collecting.until(lambda: len(events_of(collecting, "quick")) == 5)
    assert [event["id"] for event in events_of(collecting, "quick")] == list(range(5))
    collecting.until(lambda: open_events(collecting, "quick") == 0)


def test_events_become_files_when_they_are_enough_and_none_is_lost_or_doubled(collecting: Receiving) -> None:
    def send(number: int) -> int:
        return collecting.send("large", json.dumps({"id": number, "name": "x" * 50}).encode(), method="POST").status

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(send, range(200))) == {201}
    files = len(collecting.files("large"))
    left = open_events(collecting, "large")
    assert files >= 2
    collecting.until(lambda: len(events_of(collecting, "large")) + open_events(collecting, "large") == 200)
    assert left < 200


def test_an_event_with_the_bytes_of_an_earlier_one_is_dropped(collecting: Receiving) -> None:
    bodies = [b'{"id": 71}', b'{"id": 72}', b'{"id": 71}']
    answers = [collecting.send("slow", body, method="POST") for body in bodies]
    assert [answer.status for answer in answers] == [201, 201, 200]
    assert answers[2].content["duplicate"] is True


def test_an_event_with_the_bytes_of_an_earlier_one_is_kept_if_that_is_declared(collecting: Receiving) -> None:
    bodies = [b'{"id": 71}', b'{"id": 72}', b'{"id": 71}']
    assert [collecting.send("kept", body, method="POST").status for body in bodies] == [201, 201, 201]


def test_an_event_is_the_same_if_its_id_is(collecting: Receiving) -> None:
    def status(body: bytes, id_: str) -> int:
        return collecting.send("kept", body, method="POST", Idempotency_Key=id_).status

    assert status(b'{"id": 81}', "a") == 201
    assert status(b'{"id": 81}', "a") == 200
    assert status(b'{"id": 81}', "b") == 201
    assert status(b'{"id": 82}', "a") == 409


def test_an_id_is_remembered_after_its_file_was_closed(collecting: Receiving) -> None:
    assert collecting.send("quick", b'{"id": 91}', method="POST", Idempotency_Key="c").status == 201
    collecting.until(lambda: open_events(collecting, "quick") == 0)
    assert collecting.send("quick", b'{"id": 91}', method="POST", Idempotency_Key="c").status == 200


def test_an_event_on_several_lines_is_kept_on_one(collecting: Receiving) -> None:
    body = b'\r\n{"id": 5,\r\n  "name": "a\\nb"\n}\n'
    assert collecting.send("quick", body, method="POST").status == 201
    collecting.until(lambda: {"id": 5, "name": "a\nb"} in events_of(collecting, "quick"))


@pytest.mark.parametrize(
    "body", [b"{", b"[1]", b"1", b'{"a": "\xff"}', b'{"a": 1}{"b": 2}', b"id,name\n1,2\n", b"[" * 50_000]
)
def test_what_is_no_object_is_refused(collecting: Receiving, body: bytes) -> None:
    before = open_events(collecting, "slow")
    assert collecting.send("slow", body, method="POST").status == 400
    assert open_events(collecting, "slow") == before


def test_an_event_that_is_too_large_or_packed_is_refused(collecting: Receiving) -> None:
    assert collecting.send("small", b'{"a": "' + b"x" * 100 + b'"}', method="POST").status == 413
    assert collecting.send("small", b"{}", method="POST", Content_Encoding="gzip").status == 415


def test_the_events_become_files_when_the_receiver_ends(receiver: Receiving) -> None:
    receiver.declare("slow", EVENTS.format("close_seconds=3600"), "Ndjson()")
    receiver.start()
    receiver.send("slow", b'{"id": 1}', method="POST")
    assert receiver.end() == 0
    assert events_of(receiver, "slow") == [{"id": 1}]


def test_events_survive_a_crash_and_are_compared_with_those_that_are_sent_again(receiver: Receiving) -> None:
    receiver.declare("slow", EVENTS.format("close_seconds=3600"), "Ndjson()")
    receiver.start()
    for number in range(3):
        receiver.send("slow", json.dumps({"id": number}).encode(), method="POST")
    receiver.end(9)
    receiver.start()
    assert receiver.send("slow", b'{"id": 1}', method="POST").status == 200
    assert receiver.end() == 0
    assert [event["id"] for event in events_of(receiver, "slow")] == [0, 1, 2]


DYING = """
import os
import etl_assets.receive.journal as journal
from etl_assets.cli import main
{patch}
main()
"""
CRASHES = {
    "before the file": "journal.keep = lambda *_: os.kill(os.getpid(), 9)",
    "after the file": "kept = journal.keep\njournal.keep = lambda *a: (kept(*a), os.kill(os.getpid(), 9))",
}


@pytest.mark.parametrize("crash", CRASHES)
@pytest.mark.parametrize("loaded", [False, True], ids=["waiting", "loaded meanwhile"])
def test_a_crash_while_a_file_is_closed_loses_and_doubles_nothing(
    receiver: Receiving, monkeypatch: pytest.MonkeyPatch, crash: str, *, loaded: bool
) -> None:
    receiver.declare("quick", EVENTS.format("close_seconds=1"), "Ndjson()")
    receiver.start(code=DYING.format(patch=CRASHES[crash]))
    receiver.send("quick", b'{"id": 1}', method="POST", Idempotency_Key="x")
    assert receiver.process is not None
    receiver.process.wait(30)
    seen = events_of(receiver, "quick")
    assert seen == ([{"id": 1}] if crash == "after the file" else [])
    if loaded and seen:
        monkeypatch.setenv("ETL_ASSETS_HOME", str(receiver.home))
        inbox = Inbox(Ndjson(), token=Secret("TEST_TOKEN"), source="quick")
        inbox.folder.loaded(receiver.files("quick")[0], inbox.keep)
    receiver.start()
    assert receiver.send("quick", b'{"id": 1}', method="POST", Idempotency_Key="x").status == 200
    receiver.until(lambda: open_events(receiver, "quick") == 0)
    assert receiver.end() == 0
    assert events_of(receiver, "quick") == ([] if loaded and seen else [{"id": 1}])


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inbox:
    monkeypatch.setenv("ETL_ASSETS_HOME", str(tmp_path))
    return Inbox(Ndjson(), token=Secret("T"), events=Events(close_bytes=10), source="s", max_waiting=1)


def journal_of(inbox: Inbox) -> Journal:
    assert inbox.events is not None
    return Journal(inbox, inbox.events)


def test_two_processes_that_close_the_same_events_make_one_file(inbox: Inbox) -> None:
    first, second = journal_of(inbox), journal_of(inbox)
    first.append([Event(b'{"id": 1}', "")])
    assert second.append([Event(b'{"id": 1}', ""), Event(b'{"id": 2}', "")]) == ["repeated", "new"]
    assert first.close_file() is not None
    assert second.close_file() is None
    assert len(inbox.list()) == 1
    first.close()
    second.close()


def test_events_that_equal_those_of_the_file_before_are_another_file(inbox: Inbox) -> None:
    journal = journal_of(replace(inbox, max_waiting=10))
    for id_ in ("aa" * 32, "bb" * 32):
        assert journal.append([Event(b'{"alarm": 1}', id_)]) == ["new"]
        receipt = journal.close_file()
        assert receipt is not None
        assert not receipt.duplicate
    assert len(inbox.list()) == 2
    journal.close()


def test_events_whose_file_was_kept_before_a_crash_are_not_kept_again_after_another_file(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = replace(inbox, max_waiting=10)
    journal = journal_of(inbox)
    journal.append([Event(b'{"id": 1}', "")])
    with monkeypatch.context() as crashing:
        crashing.setattr(Journal, "_forget", _crash)
        with pytest.raises(KeyboardInterrupt):
            journal.close_file()
    part = Part.create(inbox.folder)
    part.write(b"of another machine")
    keep(inbox.folder, part, About(), 10)
    part.discard()
    receipt = journal.close_file()
    assert receipt is not None
    assert receipt.duplicate
    assert len(inbox.list()) == 2
    assert journal.close_file() is None
    journal.close()


def _crash(*_: object) -> None:
    raise KeyboardInterrupt


def test_events_that_cannot_become_a_file_stay_and_are_refused_when_they_are_too_many(inbox: Inbox) -> None:
    journal = journal_of(inbox)
    journal.append([Event(b'{"id": 1}', "")])
    journal.close_file()
    journal.append([Event(b'{"id": %d}' % number, "") for number in range(100, 200)])
    with pytest.raises(Refusal, match="Too many files"):
        journal.close_file()
    with pytest.raises(Refusal, match="Too many events"):
        journal.append([Event(b'{"id": 5}', "")])
    inbox.folder.loaded(inbox.list()[0], inbox.keep)
    receipt = journal.close_file()
    assert receipt is not None
    assert (inbox.folder.room("files") / receipt.note.key).read_bytes().count(b"\n") == 100
    assert journal.append([Event(b'{"id": 5}', "")]) == ["new"]
    journal.close()


def test_the_time_of_events_from_before_a_crash_begins_again(inbox: Inbox) -> None:
    journal = journal_of(inbox)
    journal.append([Event(b"{}", "")])
    journal._database.execute("UPDATE open SET since = since - 3600")
    assert journal.is_due(started=0.0)
    assert not journal.is_due(started=time.time())
    journal.close()
