"""The verdicts on the files of JSONTestSuite: each is read as the value of a key of a record, and as a document.

In a record, a file is *accepted* if the record is well-formed, *quarantined* if it is malformed, and *refused* if the
delivery is. As a document, a value that is no object is one malformed record, whether or not it is valid JSON; so only
*accepted* says something of valid ones there.
"""

from __future__ import annotations

import io
from collections import Counter
from typing import TYPE_CHECKING, Literal

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.json import Json

if TYPE_CHECKING:
    from pathlib import Path

Verdict = Literal["accepted", "quarantined", "refused"]


def verdict(document: bytes, records: str) -> Verdict:
    """Return what becomes of the records of a document."""
    try:
        batches = list(Json(records).read(io.BytesIO(document), "m"))
    except DeliveryError:
        return "refused"
    malformed = sum(batch.malformed.height for batch in batches)
    assert sum(batch.frame.height + batch.malformed.height for batch in batches) == sum(b.span.records for b in batches)
    return "quarantined" if malformed else "accepted"


def in_record(value: bytes) -> bytes:
    """Return a document with one record that has a value."""
    return b'{"records": [{"value": ' + value + b"}]}"


def verdicts(folder: Path) -> Counter[tuple[str, Verdict]]:
    """Return how many files there are of each kind (``y``, ``n``, ``i``) and verdict, as values of a record."""
    files = sorted(folder.glob("*.json"))
    return Counter((file.name[0], verdict(in_record(file.read_bytes()), "$.records")) for file in files)
