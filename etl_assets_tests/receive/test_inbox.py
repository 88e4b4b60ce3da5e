"""The extractor `Inbox`, its declaration, and its folder."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import Column, Csv, Events, Files, Inbox, Json, Partition, Schema, Secret, Signature, Source, Static
from etl_assets.errors import DeclarationError, DeliveryError, DeliveryMissingError, SettingsError
from etl_assets.extract.inbox_folder import Note, next_key
from etl_assets.receive.door import Door
from etl_assets.receive.keeping import About, keep
from etl_assets.receive.part import Part
from etl_assets.receive.refusal import Refusal
from etl_assets.receive.request import headers_of
from etl_assets.testing import ExtractorSuite

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets import Extractor
    from etl_assets.extract.inbox_folder import InboxFolder
    from etl_assets.receive.keeping import Receipt

TOKEN = Secret("TEST_TOKEN")


def send(folder: InboxFolder, body: bytes, about: About | None = None) -> Receipt:
    part = Part.create(folder)
    part.write(body)
    try:
        return keep(folder, part, about or About(suffix=".csv"), 100)
    finally:
        part.discard()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ETL_ASSETS_HOME", str(tmp_path / "[a] home"))
    return tmp_path / "[a] home"


@pytest.fixture
def inbox() -> Inbox:
    return Inbox(Csv(), token=TOKEN, source="orders")


class TestInbox(ExtractorSuite):
    @pytest.fixture
    def extractor(self, inbox: Inbox) -> Extractor:
        return inbox

    @pytest.fixture
    def there(self, inbox: Inbox) -> Partition:
        key = send(inbox.folder, b"id\n1\n2\n").note.key
        return Partition(key, key)

    @pytest.fixture
    def missing(self) -> Partition:
        return Partition("2026-01-01T00.00.00.000000Z-000000000000.csv")


def source_with(extractor: Inbox, partitions: Any = Files()) -> Source:  # noqa: B008 -- a frozen value
    return Source(
        name="orders",
        description="Orders.",
        owner="team:tests",
        extractor=extractor,
        schema=Schema((Column("id", "integer", required=True),), ("id",)),
        partitions=partitions,
    )


def test_a_source_gives_its_inbox_its_name() -> None:
    source = source_with(Inbox(Csv(), token=TOKEN))
    assert isinstance(source.extractor, Inbox)
    assert source.extractor.source == "orders"
    assert source.extractor.folder.path.name == "orders"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"token": None}, "anybody could send"),
        ({"signature": Signature(TOKEN, header="X Y")}, "names a header"),
        ({"id_header": ""}, "names a header"),
        ({"max_bytes": 0}, "max_bytes is 0"),
        ({"max_waiting": 0}, "max_waiting is 0"),
        ({"deadline": 0.0}, "deadline is 0"),
        ({"timeout": float("inf")}, "timeout is inf"),
        ({"keep": timedelta(-1)}, "keep is negative"),
        ({"remember": timedelta(-1)}, "remember is negative"),
        ({"events": Events()}, "format is json, and events"),
        ({"events": Events(close_bytes=0)}, "close_bytes is 0"),
        ({"events": Events(max_bytes=0)}, "max_bytes is 0"),
        ({"events": Events(close_seconds=0.0)}, "close_seconds is 0"),
    ],
)
def test_a_mistake_in_a_declaration_is_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        source_with(Inbox(**{"format": Json(), "token": TOKEN, **arguments}))


def test_repeats_are_dropped_or_kept() -> None:
    with pytest.raises(DeclarationError, match="repeats"):
        Events(repeats="loaded")  # type: ignore[arg-type]


@pytest.mark.parametrize("partitions", [None, Static(("a",))])
def test_an_inbox_needs_a_partition_for_each_file(partitions: Static | None) -> None:
    with pytest.raises(DeclarationError, match="Declare Files"):
        source_with(Inbox(Csv(), token=TOKEN), partitions)


def test_an_inbox_to_which_nothing_was_sent_has_no_file_and_no_folder(inbox: Inbox, home: Path) -> None:
    assert inbox.list() == []
    with pytest.raises(DeliveryMissingError):
        inbox.poll(Partition("a.csv"))
    assert not home.exists()


@pytest.mark.parametrize("key", ["", ".lock", "../newest", "../../x", ".."])
def test_no_key_leads_out_of_the_folder(inbox: Inbox, key: str) -> None:
    send(inbox.folder, b"id\n1\n")
    with pytest.raises(DeliveryError), inbox.fetch(Partition(key)):
        pass


def test_the_folders_are_for_this_account_alone(inbox: Inbox) -> None:
    key = send(inbox.folder, b"id\n1\n").note.key
    path = inbox.folder.path
    assert path.stat().st_mode & 0o077 == 0
    assert (path / "files" / key).stat().st_mode & 0o077 == 0


def test_keys_ascend_although_the_clock_goes_back() -> None:
    future = Note("2999-01-01T00.00.00.000000Z-000000000000", "x", 1)
    assert next_key(future, "ab" * 32, ".csv") == "2999-01-01T00.00.00.000001Z-abababababab.csv"


def test_a_file_whose_note_was_lost_is_still_compared_and_loaded(inbox: Inbox) -> None:
    receipt = send(inbox.folder, b"id\n1\n")
    (inbox.folder.room("notes") / f"{receipt.note.key}.json").write_text("{")
    assert send(inbox.folder, b"id\n1\n").duplicate
    with inbox.fetch(Partition(receipt.note.key)) as fetched:
        assert fetched.stream.read() == b"id\n1\n"
    inbox.folder.loaded(receipt.note.key, inbox.keep)
    assert send(inbox.folder, b"id\n1\n").duplicate


def test_a_file_that_changed_is_left_where_it_is_after_the_load(inbox: Inbox) -> None:
    partition = Partition(send(inbox.folder, b"id\n1\n").note.key)
    polled = inbox.poll(partition)
    assert not inbox.after_load(partition, {})
    assert inbox.after_load(partition, polled)
    assert not inbox.after_load(partition, polled)
    assert inbox.list() == []


def test_a_removed_file_that_was_never_loaded_can_be_sent_again(inbox: Inbox) -> None:
    about = About(id="1" * 64)
    key = send(inbox.folder, b"id\n1\n", about).note.key
    (inbox.folder.room("files") / key).unlink()
    assert not send(inbox.folder, b"id\n1\n", about).duplicate


def test_tidying_removes_what_is_old_and_what_crashes_left(inbox: Inbox) -> None:
    folder = inbox.folder
    keys = [send(folder, body, About(id=str(number) * 64)).note.key for number, body in enumerate([b"1", b"2", b"3"])]
    folder.loaded(keys[0], timedelta(days=1))
    (folder.room("notes") / "lost.json").write_text("{}")
    (folder.room("parts") / "lost.part").touch()
    folder.tidy(timedelta(days=1), timedelta(days=1))
    assert [path.name for path in folder.room("loaded").iterdir()] == [keys[0]]
    assert len(list(folder.room("ids").iterdir())) == 3
    assert len(list(folder.room("notes").iterdir())) == 2
    assert list(folder.room("parts").iterdir()) == []
    for path in folder.room("ids").iterdir():
        os.utime(path, (time.time() - 90_000,) * 2)
    folder.tidy(timedelta(0), timedelta(days=1))
    assert list(folder.room("loaded").iterdir()) == []
    assert sorted(path.name[0] for path in folder.room("ids").iterdir()) == ["1", "2"]
    assert folder.waiting() == keys[1:]


def test_a_token_may_have_characters_beyond_ascii(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_TOKEN", "a-pässwort-of-the-tests")
    door = Door(inbox)
    right, wrong = (
        headers_of({"headers": [(b"Authorization", f"Bearer a-{word}-of-the-tests".encode())]})
        for word in ("pässwort", "passwort")
    )
    assert door.admit(right) == (inbox, None)
    with pytest.raises(Refusal):
        door.admit(wrong)


def test_a_secret_that_is_missing_or_short_lets_nothing_be_received(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match="no secret TEST_TOKEN"):
        Door(inbox)
    monkeypatch.setenv("TEST_TOKEN", "short")
    with pytest.raises(SettingsError, match="shorter than 16") as caught:
        Door(inbox)
    assert "short." not in str(caught.value)
