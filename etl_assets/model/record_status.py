"""What becomes of a rejected record: the statuses that it can have in the quarantine."""

from __future__ import annotations

from typing import Final, Literal, get_args

RecordStatus = Literal["open", "parked", "replayed", "dismissed", "superseded", "repeated", "known", "corrected"]
RECORD_STATUSES: Final[tuple[str, ...]] = get_args(RecordStatus)
