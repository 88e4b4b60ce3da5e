"""A results file that several commands write: each its own part, from a heading of the first level to the next."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_part(path: Path, part: str) -> None:
    """Write one part into a results file, in place of the part with the same heading, or else at the end.

    Args:
        path: The file; it is created if it is missing.
        part: Markdown whose first line is a heading of the first level.
    """
    heading = part.partition("\n")[0]
    present = path.read_text(encoding="utf-8") if path.exists() else ""
    parts = [text.strip() for text in re.split(r"^(?=# )", present, flags=re.MULTILINE) if text.strip()]
    written = [part.strip() if text.partition("\n")[0] == heading else text for text in parts]
    if part.strip() not in written:
        written.append(part.strip())
    path.write_text("\n\n".join(written) + "\n", encoding="utf-8")
