"""What landing finds out about a batch of delimited text, so that the batch is read without another scan.

Only batches of well-behaved text have it: plain, without blank lines and comments, with one kind of line ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from etl_assets.extract.formats.csv.records import Records, field_counts, find_delimiters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from etl_assets.extract.formats.bits import Flags, Positions
    from etl_assets.extract.formats.csv.plain import PlainText


@dataclass(frozen=True)
class FoundRecords:
    """Where the records of a batch end, and which of them are malformed.

    Attributes:
        lengths: Number of bytes of each record, with its line end.
        line_end: Number of bytes of each line end.
        lines: Number of line ends in all bytes.
        misquoted: The indices of the records whose quotes break the rule.
        miscounted: The indices of the others that have more or fewer fields than there are names.
    """

    lengths: NDArray[np.uint32]
    line_end: int
    lines: int
    misquoted: Positions
    miscounted: Positions

    @property
    def nbytes(self) -> int:
        """Number of bytes in memory, about."""
        return self.lengths.nbytes + self.misquoted.nbytes + self.miscounted.nbytes

    @classmethod
    def of(cls, text: PlainText, records: Records, names: int) -> Self | None:
        """Return what was found out about some text; None if the text must be scanned again.

        Args:
            text: The bytes of a batch; what follows its last record is ignored.
            records: Its records.
            names: The number of fields that each record is to have.
        """
        if text.rewriting is not None or not len(records) or not records.gapless:
            return None
        line_ends = records.stops - records.ends
        if line_ends.min() != line_ends.max():
            return None
        counts = field_counts(find_delimiters(text.data, records, text.layout.delimiter).outer, records, names)
        wrong = np.zeros(len(records), bool) if counts is None else (counts != names) & ~records.misquoted
        return cls(
            lengths=np.diff(records.stops, prepend=0).astype(np.uint32),
            line_end=int(line_ends[0]),
            lines=records.lines,
            misquoted=np.flatnonzero(records.misquoted),
            miscounted=np.flatnonzero(wrong),
        )

    def records_of(self, text: PlainText) -> Records | None:
        """Return the records of the same text; None if it has another length."""
        stops = np.cumsum(self.lengths, dtype=np.int64)
        if int(stops[-1]) != len(text.data):
            return None
        starts = np.concatenate((np.zeros(1, np.int64), stops[:-1]))
        return Records(
            starts=starts,
            ends=stops - self.line_end,
            stops=stops,
            misquoted=self._flags(self.misquoted),
            gapless=True,
            consumed=len(text.data),
            lines=self.lines,
            inside=None,
            miscounted=self._flags(self.miscounted),
        )

    def _flags(self, indices: Positions) -> Flags:
        flags = np.zeros(len(self.lengths), bool)
        flags[indices] = True
        return flags
