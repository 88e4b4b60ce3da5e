"""Csv: the format of delimited text, which combines its options and its reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from etl_assets.extract.base import Format
from etl_assets.extract.formats.csv.options import CsvOptions
from etl_assets.extract.formats.csv.parse import RULES
from etl_assets.extract.formats.csv.reader import CsvReader
from etl_assets.extract.formats.csv.reread import reread
from etl_assets.extract.formats.recognition import mismatch_of_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.extract.base import Naming
    from etl_assets.model.batch import RawBatch
    from etl_assets.model.delivery import MemberIndex, Span
    from etl_assets.model.rule import OnBreach, RuleInfo


@dataclass(frozen=True)
class Csv(CsvOptions, Format):
    """Delimited text; see `CsvOptions` for the arguments."""

    @property
    def naming(self) -> Naming:
        """See `Format.naming`."""
        return "declared" if isinstance(self.header, tuple) else "header"

    @property
    def rules(self) -> tuple[RuleInfo, ...]:
        """See `Format.rules`."""
        return RULES

    @property
    def on_unterminated(self) -> OnBreach:
        """See `Format.on_unterminated`."""
        return self.unterminated

    def mismatch(self, head: bytes) -> str | None:
        """Return why a file is not of this format; see `Format.mismatch`. A header has at least two names."""
        return mismatch_of_text(self, head, least_names=0 if isinstance(self.header, tuple) else 2)

    def read(
        self, stream: BinaryIO, member: str, *, after: Span | None = None, index: MemberIndex | None = None
    ) -> Iterator[RawBatch]:
        """Cut a file into batches of at most ``batch_bytes``; see `Format.read`."""
        reader = CsvReader(self, stream, member)
        return reader.through(after) if index is None else reader.indexed(index)

    def reread(self, names: Sequence[str], records: Mapping[int, bytes], context: str = "") -> RawBatch:  # noqa: ARG002 -- has none
        """Parse single records again; see `Format.reread`."""
        return reread(self, names, records)
