"""`Journal`: the events of a source that are acknowledged and not yet in a file, in a database of SQLite.

An event is acknowledged once its transaction is durable. When the events are enough or old enough, they become a file
of the inbox and leave the journal. Several processes of one machine share a journal.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal
from uuid import uuid4

from etl_assets.receive.keeping import FULL_SECONDS, About, keep
from etl_assets.receive.part import Part
from etl_assets.receive.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.extract.inbox import Events, Inbox
    from etl_assets.receive.keeping import Receipt

_NAME: Final = "events.sqlite"
_FULLEST: Final = 16
"""How many times ``close_bytes`` a journal may have, while its events cannot become a file."""
_PIECE: Final = 1024 * 1024
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, sha BLOB NOT NULL, has_id INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS event_sha ON event (sha) WHERE NOT has_id;
CREATE TABLE IF NOT EXISTS id (id BLOB PRIMARY KEY, sha BLOB NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS id_at ON id (at);
CREATE TABLE IF NOT EXISTS open (name TEXT NOT NULL, bytes INTEGER NOT NULL, since REAL NOT NULL, closing INTEGER);
"""


@dataclass(frozen=True)
class Event:
    """An event that was sent.

    Attributes:
        body: The JSON object, on one line.
        id: The digest of the publisher's id of the request; empty for none.
    """

    body: bytes
    id: str

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the body."""
        return sha256(self.body).digest()


Outcome = Literal["new", "repeated", "conflict"]


class Journal:
    """The open events of a source. One thread uses it at a time."""

    def __init__(self, inbox: Inbox, events: Events) -> None:
        """Open the journal, and create it if there is none.

        Raises:
            sqlite3.Error: If it cannot be opened.
            OSError: If the folder cannot be made.
        """
        self._inbox = inbox
        self._events = events
        self._folder = inbox.folder
        self._folder.make()
        path = self._folder.path / _NAME
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._database = sqlite3.connect(path, timeout=10.0, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.executescript(_TABLES)
        with self._transaction():
            if self._database.execute("SELECT 1 FROM open").fetchone() is None:
                self._database.execute("INSERT INTO open VALUES (?, 0, 0, NULL)", (uuid4().hex,))

    def append(self, events: Sequence[Event]) -> list[Outcome]:
        """Enter events durably, in their order, and return what became of each.

        Raises:
            Refusal: If the journal has too many. Then none is entered.
            sqlite3.Error: If it cannot be written. Then none is entered.
        """
        with self._transaction():
            (size,) = self._database.execute("SELECT bytes FROM open").fetchone()
            if size > _FULLEST * self._events.close_bytes:
                raise Refusal(503, "Too many events wait. Nothing was kept. Send it again later.", FULL_SECONDS)
            now = time.time()
            outcomes = [self._enter(event, now) for event in events]
            added = sum(len(each.body) + 1 for each, outcome in zip(events, outcomes, strict=True) if outcome == "new")
            if added:
                self._database.execute(
                    "UPDATE open SET since = CASE WHEN bytes = 0 THEN ? ELSE since END, bytes = bytes + ?", (now, added)
                )
        return outcomes

    def _enter(self, event: Event, now: float) -> Outcome:
        digest = event.digest
        if event.id:
            known = self._database.execute("SELECT sha FROM id WHERE id = ?", (bytes.fromhex(event.id),)).fetchone()
            if known is not None:
                return "repeated" if known[0] == digest else "conflict"
            self._database.execute("INSERT INTO id VALUES (?, ?, ?)", (bytes.fromhex(event.id), digest, now))
        elif self._events.repeats == "drop":
            same = "SELECT 1 FROM event WHERE sha = ? AND NOT has_id"
            if self._database.execute(same, (digest,)).fetchone() is not None:
                return "repeated"
        self._database.execute(
            "INSERT INTO event (sha, has_id, body) VALUES (?, ?, ?)", (digest, bool(event.id), event.body)
        )
        return "new"

    def is_due(self, started: float) -> bool:
        """Return whether the events are to become a file.

        Args:
            started: When this process began. Publishers who were not answered before send their events again, and
                these are compared with those in the journal; so their time begins again.
        """
        size, since, closing = self._database.execute("SELECT bytes, since, closing FROM open").fetchone()
        if closing is not None or size >= self._events.close_bytes:
            return True
        return bool(size) and time.time() - max(since, started) >= self._events.close_seconds

    def close_file(self) -> Receipt | None:
        """Make a file of the events so far, exactly once; a crash in the middle of it is made good by the next call.

        The number of the last event is entered first, so that the file is the same whichever process writes it. The
        file is kept under an id of its own, so that it is kept once. Then its events are deleted.

        Returns:
            The receipt of the file; None if there are no events.

        Raises:
            Refusal: If too many files wait.
            OSError: If the file cannot be written.
            sqlite3.Error: If the journal cannot be written.
        """
        with self._transaction():
            name, closing = self._database.execute("SELECT name, closing FROM open").fetchone()
            if closing is None:
                (closing,) = self._database.execute("SELECT max(seq) FROM event").fetchone()
                if closing is None:
                    return None
                self._database.execute("UPDATE open SET closing = ?", (closing,))
        part = Part.create(self._folder)
        try:
            self._write(part, closing)
            if not part.size:  # another process was faster
                return None
            id_ = sha256(f"file {name} {closing}".encode()).hexdigest()
            about = About(id=id_, suffix=".ndjson", is_of_events=True)
            receipt = keep(self._folder, part, about, self._inbox.max_waiting)
        finally:
            part.discard()
        self._forget(closing)
        return receipt

    def _write(self, part: Part, last: int) -> None:
        buffer = bytearray()
        for (body,) in self._database.execute("SELECT body FROM event WHERE seq <= ? ORDER BY seq", (last,)):
            buffer += body + b"\n"
            if len(buffer) >= _PIECE:
                part.write(buffer)
                buffer = bytearray()
        part.write(buffer)

    def _forget(self, last: int) -> None:
        """Delete the events of a file, and the ids that are old."""
        now = time.time()
        with self._transaction():
            self._database.execute("DELETE FROM event WHERE seq <= ?", (last,))
            self._database.execute("DELETE FROM id WHERE at < ?", (now - self._inbox.remember.total_seconds(),))
            (left,) = self._database.execute("SELECT coalesce(sum(length(body) + 1), 0) FROM event").fetchone()
            self._database.execute("UPDATE open SET bytes = ?, since = ?", (left, now))
            self._database.execute("UPDATE open SET closing = NULL WHERE closing = ?", (last,))

    def close(self) -> None:
        """Close the database; the events stay."""
        self._database.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")
