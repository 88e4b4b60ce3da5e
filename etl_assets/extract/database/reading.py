"""`Reading`: how the values of one column are asked for, and the type that they have in the frozen file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pyarrow as pa

    from etl_assets.extract.database.catalogue import CatalogueColumn

Kind = Literal["moment", "time", "decimal", "text"]
"""Types that do not have all values of the database's types: infinity, NaN, 25 hours, the year 20,000."""


@dataclass(frozen=True)
class Reading:
    """How a column is read.

    Attributes:
        column: What the catalogue says of it.
        expression: SQL with its values.
        type: The type of the values in the frozen file.
        kind: The kind of the type, if values of the column may not be among its values. Then all columns of that kind
            are read as text.
    """

    column: CatalogueColumn
    expression: str
    type: pa.DataType
    kind: Kind | None = None


class UnfitError(Exception):
    """A value is not among those of the type that its column has in the frozen file."""

    def __init__(self, kind: Kind) -> None:
        """Take the kind of the type."""
        super().__init__(kind)
        self.kind: Kind = kind
