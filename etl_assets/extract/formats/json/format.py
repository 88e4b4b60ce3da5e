"""Json: the format of one JSON document, in which an array, or the members of an object, are the records.

The exact syntax:

* The document is UTF-8; a byte order mark is accepted. It must be valid JSON up to the end of the file, except that
  a record may be anything whose quotes and brackets are closed: then this record alone is malformed.
* An array at the path: each of its elements is a record. An object: it is one record; with ``.*``, each member is one.
  Anything else is one malformed record. Objects on the way that lack the next name of the path count as skipped, and
  with ``missing_ok`` what is null on the way or at its end.
* Names are the keys of a record. A key that a record does not have is null, like a JSON null.
* A text becomes its characters, a number its published digits; ``true`` and ``false`` become these words. Arrays and
  objects stay JSON as published, unless ``flatten`` or ``explode`` name them: declare their columns as json.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from etl_assets.extract.base import Format
from etl_assets.extract.formats.json.options import ObjectOptions
from etl_assets.extract.formats.json.path import Path
from etl_assets.extract.formats.json.reader import JsonReader
from etl_assets.extract.formats.json.reread import reread
from etl_assets.extract.formats.recognition import mismatch_of_text
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.model.batch import RawBatch
    from etl_assets.model.delivery import MemberIndex, Span


@dataclass(frozen=True)
class Json(ObjectOptions, Format):
    """One JSON document; see `ObjectOptions` for the other arguments.

    Attributes:
        records: Where the records are, as a path: ``$`` is the document, ``.name`` or ``['na.me']`` a member, ``[*]``
            each element of an array, and ``.*``, at the end, each member of an object.
        key_name: The name under which the key of each member is published; for paths that end with ``.*``.
        missing_ok: Whether a document that lacks the path, or has null there, has no records; else it is refused.
    """

    records: str = "$"
    key_name: str | None = None
    missing_ok: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            members = self.path.members
        except ValueError as error:
            remedy = "Write a path such as $, $.items, $.groups[*].items, $['na.me'] or $.items.*"
            raise self.mistake("records", f"{self.records!r} {error}", remedy) from None
        if members and not self.key_name:
            raise self.mistake("key_name", "is missing", "Name the column of the keys: key_name='code'")
        if not members and self.key_name is not None:
            raise self.mistake("key_name", "is for the members of an object", "End records with .*, or leave it out")
        if self.key_name is not None and self.key_name in (RECORD_NO, self.explode):
            raise self.mistake("key_name", f"is {self.key_name!r}, which is taken", "Write another name")

    @property
    def path(self) -> Path:
        """The path to the records."""
        return Path.parse(self.records)

    def mismatch(self, head: bytes) -> str | None:
        """Return why a file is not of this format; see `Format.mismatch`."""
        return mismatch_of_text(self, head)

    def read(
        self, stream: BinaryIO, member: str, *, after: Span | None = None, index: MemberIndex | None = None
    ) -> Iterator[RawBatch]:
        """Cut a document into batches of at most ``batch_bytes``; see `Format.read`."""
        reader = JsonReader(stream, member, self)
        return reader.through(after) if index is None else reader.indexed(index)

    def reread(self, names: Sequence[str], records: Mapping[int, bytes], context: str = "") -> RawBatch:  # noqa: ARG002 -- its records need none
        """Parse single records again; see `Format.reread`."""
        return reread(self, names, records, self.key_name)
