"""How the records of a batch are written: what a span keeps as its context."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from etl_assets.extract.formats.sql_dump.grammar import Dialect


@dataclass(frozen=True)
class Layout:
    """How the records of a batch are written.

    Attributes:
        kind: ``insert``: in round brackets, after VALUES. ``copy``: one a line.
        dialect: Of the strings and literals.
        columns: The column of each value.
        header: The beginning of the INSERT, up to its first record; the empty text for COPY.
        crlf: Whether the lines of a COPY end with CRLF.
    """

    kind: Literal["insert", "copy"]
    dialect: Dialect
    columns: tuple[str, ...]
    header: str = ""
    crlf: bool = False

    @property
    def context(self) -> str:
        """The layout as text, for a span."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def of_context(cls, context: str) -> Self:
        """Return the layout that a span keeps."""
        values = json.loads(context)
        return cls(**{**values, "columns": tuple(values["columns"])})
