"""Xml: the format of XML documents, which combines its options and its reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from etl_assets.extract.base import Format
from etl_assets.extract.formats.recognition import mismatch_of_text
from etl_assets.extract.formats.xml.batch import RULES
from etl_assets.extract.formats.xml.options import XmlOptions
from etl_assets.extract.formats.xml.reader import XmlReader
from etl_assets.extract.formats.xml.reread import reread

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.extract.base import Naming
    from etl_assets.model.batch import RawBatch
    from etl_assets.model.delivery import MemberIndex, Span
    from etl_assets.model.rule import RuleInfo


@dataclass(frozen=True)
class Xml(XmlOptions, Format):
    """XML; see `XmlOptions` for the arguments."""

    @property
    def naming(self) -> Naming:
        """See `Format.naming`."""
        return "union"

    @property
    def rules(self) -> tuple[RuleInfo, ...]:
        """See `Format.rules`."""
        return RULES

    def mismatch(self, head: bytes) -> str | None:
        """Return why a file is not of this format; see `Format.mismatch`."""
        return mismatch_of_text(self, head)

    def read(
        self, stream: BinaryIO, member: str, *, after: Span | None = None, index: MemberIndex | None = None
    ) -> Iterator[RawBatch]:
        """Cut a file into batches of at most ``batch_bytes``; see `Format.read`."""
        reader = XmlReader(self, stream, member)
        return reader.through(after) if index is None else reader.indexed(index)

    def reread(self, names: Sequence[str], records: Mapping[int, bytes], context: str = "") -> RawBatch:
        """Parse single records again; see `Format.reread`."""
        return reread(self, names, records, context)
