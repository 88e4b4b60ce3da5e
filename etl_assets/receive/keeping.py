"""Keeps a whole body as a file of the inbox, unless it was received before."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from etl_assets.extract.inbox_folder import Note, fsync_folder, next_key
from etl_assets.receive.refusal import Refusal

if TYPE_CHECKING:
    from etl_assets.extract.inbox_folder import InboxFolder
    from etl_assets.receive.part import Part

FULL_SECONDS: Final = 60
"""After how many seconds a publisher may try again if too many files wait."""


@dataclass(frozen=True)
class Receipt:
    """What the publisher is answered.

    Attributes:
        note: Of the file that has the bytes.
        duplicate: Whether they were received before.
    """

    note: Note
    duplicate: bool


@dataclass(frozen=True)
class About:
    """What a request says about its body.

    Attributes:
        name: The publisher's name of the file; empty for none.
        id: The digest of the publisher's id of the request; empty for none.
        suffix: What the key ends in, such as ``.csv``.
        is_of_events: Whether it is a file of events, which its id alone identifies: other events may be the same.
    """

    name: str = ""
    id: str = ""
    suffix: str = ""
    is_of_events: bool = False


def keep(folder: InboxFolder, part: Part, about: About, max_waiting: int) -> Receipt:
    """Give a part its name among the files that wait, durably.

    It is a duplicate if the id of its request was received with the same bytes, or if the newest file of the source
    has the same bytes and it is no file of events. The same bytes after others are another file: the publisher went
    back to them.

    Args:
        folder: The inbox.
        part: The whole body; it is left to the caller, who discards it.
        about: What the request says about it.
        max_waiting: How many files may wait.

    Raises:
        Refusal: If the id was received with other bytes, or too many files wait.
        OSError: If the inbox cannot be written.
    """
    part.flush()
    digest = part.sha256
    with folder.locked():
        if about.id and (known := folder.known(about.id)) is not None:
            if known.sha256 != digest:
                raise Refusal(
                    409, "The id of the request was used for other bytes. Nothing was kept. Send them under a new id."
                )
            fsync_folder(folder.room("files"))  # the process that named the file may have crashed before it did
            return Receipt(known, duplicate=True)
        waiting = folder.waiting()
        newest = folder.newest(waiting)
        if newest is not None and newest.sha256 == digest and not about.is_of_events:
            fsync_folder(folder.room("files"))
            if about.id:
                folder.remember(replace(newest, id=about.id, committed=True))
            return Receipt(newest, duplicate=True)
        check_waiting(len(waiting), max_waiting)
        note = Note(next_key(newest, digest, about.suffix), digest, part.size, about.name, about.id)
        note.write(folder.room("notes") / f"{note.key}.json")
        fsync_folder(folder.room("notes"))
        if about.id:
            folder.remember(note)
        os.link(part.path, folder.room("files") / note.key)
        fsync_folder(folder.room("files"))
    return Receipt(note, duplicate=False)


def check_waiting(waiting: int, max_waiting: int) -> None:
    """Raise a `Refusal` if no further file may wait."""
    if waiting >= max_waiting:
        raise Refusal(503, "Too many files wait to be loaded. Nothing was kept. Send it again later.", FULL_SECONDS)
