"""The folder of an inbox: where each thing is, which file is the newest, and what happens to a loaded file.

Receivers and runs share it, also from several processes: one that changes more than one file holds its lock.

======== ===============================================================================================================
files    received files that wait to be loaded, by key; a file appears here whole, and is never changed
loaded   files whose rows are committed, until they are removed
notes    what is known of a waiting file besides its bytes: hash, size, the publisher's name of it
ids      which file a publisher's id of a request stands for
parts    bodies that have not arrived whole; each is locked by its writer
newest   the note of the newest file that was loaded
======== ===============================================================================================================
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import file_digest
from typing import TYPE_CHECKING, Final, Self
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_KEY: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d\.\d{6})Z-[0-9a-f]{12}[.a-z0-9]*")
_TEMPORARY: Final = re.compile(r"\.[0-9a-f]{32}")
"""The name of a note while it is written."""
_MOMENT: Final = "%Y-%m-%dT%H.%M.%S.%f"
_ROOMS: Final = ("files", "loaded", "notes", "ids", "parts")


@dataclass(frozen=True)
class Note:
    """What is known of a received file.

    Attributes:
        key: Its key.
        sha256: Of its bytes, in hex.
        size: Number of bytes.
        name: The publisher's name of it; empty if the publisher gave none.
        id: The digest of the publisher's id of the request; empty if there was none.
        committed: Of a note in ``ids``: whether the file is known to be kept, wherever it is now.
    """

    key: str
    sha256: str
    size: int
    name: str = ""
    id: str = ""
    committed: bool = False

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return the note in a file; None if there is no file, or if it was cut by a crash."""
        try:
            return cls(**json.loads(path.read_text("utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Write the note to a file, durably; its name is durable after `fsync_folder`."""
        temporary = path.with_name(f".{uuid4().hex}")  # as in _TEMPORARY
        try:
            with temporary.open("w", encoding="utf-8") as file:
                json.dump(asdict(self), file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@dataclass(frozen=True)
class InboxFolder:
    """The inbox of one source.

    Attributes:
        path: The folder; it is made with the first file.
    """

    path: Path

    def room(self, name: str) -> Path:
        """Return one of the folders inside."""
        return self.path / name

    def make(self) -> None:
        """Make the folder and those inside, for this account alone."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in _ROOMS:
            self.room(name).mkdir(mode=0o700, exist_ok=True)
        fsync_folder(self.path)
        fsync_folder(self.path.parent)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the folder, in which one process at a time changes what the folder knows."""
        descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def waiting(self) -> list[str]:
        """Return the keys of the files that wait, oldest first; none if nothing was ever received."""
        try:
            return sorted(name for name in os.listdir(self.room("files")) if not name.startswith("."))  # noqa: PTH208 -- ten thousand names, for each body
        except FileNotFoundError:
            return []

    def is_waiting(self, key: str) -> bool:
        """Return whether a file waits to be loaded."""
        return (self.room("files") / key).exists()

    def newest(self, waiting: list[str]) -> Note | None:
        """Return the note of the newest file that was ever received; None for none.

        Args:
            waiting: The keys of the files that wait.
        """
        loaded = Note.read(self.path / "newest")
        key = next((name for name in reversed(waiting) if _KEY.fullmatch(name)), None)
        if key is None or (loaded is not None and loaded.key >= key):
            return loaded
        note = self.note(key)
        if not self._note_path(key).exists():
            note.write(self._note_path(key))  # a crash took it, and the bytes need not be read for each request
        return note

    def note(self, key: str) -> Note:
        """Return the note of a waiting file; if a crash took it, what the bytes say.

        Raises:
            FileNotFoundError: If there is neither.
        """
        return Note.read(self._note_path(key)) or _note_of(self.room("files") / key)

    def known(self, id_: str) -> Note | None:
        """Return the note of the file that came with an id; None if none did, or if it was not kept after all."""
        note = Note.read(self.id_path(id_))
        return note if note is not None and (note.committed or self.is_waiting(note.key)) else None

    def remember(self, note: Note) -> None:
        """Keep the note of the file that came with an id, durably."""
        note.write(self.id_path(note.id))
        fsync_folder(self.room("ids"))

    def id_path(self, id_: str) -> Path:
        """Return the path of the note of an id."""
        return self.room("ids") / id_

    def loaded(self, key: str, keep: timedelta) -> None:
        """Take a file out of those that wait, because its rows are committed; it may be called again.

        What says that the file was kept is written before the file is moved.

        Args:
            key: Of the file.
            keep: How long the file stays in ``loaded``; with zero it is removed now.

        Raises:
            FileNotFoundError: If no such file waits.
        """
        path = self.room("files") / key
        with self.locked():
            note = self.note(key)
            if note.id:
                self.remember(replace(note, committed=True))
            newest = Note.read(self.path / "newest")
            if _KEY.fullmatch(key) and (newest is None or newest.key < key):
                note.write(self.path / "newest")
                fsync_folder(self.path)
            if keep:
                path.replace(self.room("loaded") / key)
            else:
                path.unlink()
            self._note_path(key).unlink(missing_ok=True)

    def tidy(self, keep: timedelta, remember: timedelta) -> None:
        """Remove what crashes left behind, loaded files, and ids that are old.

        Args:
            keep: How long loaded files stay.
            remember: How long ids are remembered.
        """
        remove_orphans(self.room("parts"))
        now = time.time()
        for path in _entries(self.room("loaded")):
            with suppress(FileNotFoundError):
                if path.stat().st_ctime < now - keep.total_seconds():
                    path.unlink()
        with self.locked():
            for path in _entries(self.path):
                if _TEMPORARY.fullmatch(path.name):
                    path.unlink()
            for path in _entries(self.room("notes")):
                if path.name.startswith(".") or not self.is_waiting(path.name.removesuffix(".json")):
                    path.unlink(missing_ok=True)
            for path in _entries(self.room("ids")):
                with suppress(FileNotFoundError):
                    if path.name.startswith(".") or path.stat().st_mtime < now - remember.total_seconds():
                        self._forget(path)

    def _forget(self, path: Path) -> None:
        note = Note.read(path)
        if note is None or note.committed or not self.is_waiting(note.key):
            path.unlink()

    def _note_path(self, key: str) -> Path:
        return self.room("notes") / f"{key}.json"


def next_key(newest: Note | None, digest: str, suffix: str) -> str:
    """Return a key that is greater than that of the newest file: the time of arrival, the hash, and a suffix.

    Args:
        newest: The note of the newest file; None for none.
        digest: SHA-256 (hex) of the bytes.
        suffix: What the name ends in, such as ``.csv``.
    """
    now = datetime.now(UTC).replace(tzinfo=None)
    match = _KEY.fullmatch(newest.key) if newest is not None else None
    if match is not None:
        now = max(now, datetime.strptime(match[1], _MOMENT) + timedelta(microseconds=1))  # noqa: DTZ007 -- UTC throughout
    return f"{now.strftime(_MOMENT)}Z-{digest[:12]}{suffix}"


def fsync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_orphans(folder: Path) -> None:
    """Remove the parts whose writers are gone; a writer holds a lock on its part."""
    for path in _entries(folder):
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


def _note_of(path: Path) -> Note:
    with path.open("rb") as file:
        return Note(path.name, file_digest(file, "sha256").hexdigest(), os.fstat(file.fileno()).st_size)
