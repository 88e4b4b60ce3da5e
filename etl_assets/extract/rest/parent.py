"""`Parent`: for each record of another API, the pages of its own: for each order its lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from etl_assets.errors import DeclarationError
from etl_assets.extract.base import Extractor
from etl_assets.extract.rest.placeholders import OF_PARTITION, SINCE
from etl_assets.model.declaration import Declaration

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Parent(Declaration):
    """The records that pages are requested for.

    Attributes:
        extractor: A `RestExtractor`. Its pages are read for each fetch, and not kept. If it is incremental, only
            records that have changed are asked for their pages.
        columns: A column that each record gets, and whose name is a placeholder in the address or the parameters, to
            the column of the parent's record: ``{"order_id": "id"}``.
        most: The largest number of records, for a preview; None for all.
    """

    extractor: Extractor
    columns: dict[str, str]
    most: int | None = field(default=None, kw_only=True)

    def __hash__(self) -> int:
        return hash((self.extractor, *self.columns.items()))

    def check(self, where: str) -> None:
        """Raise a `DeclarationError` unless the declaration is sound."""
        self.extractor.check(f"{where}, parent")
        if not self.columns or not all((*self.columns, *self.columns.values())):
            remedy = "Write at least one: {'order_id': 'id'}"
            raise DeclarationError(where, "columns", "names no column of the parent", remedy)
        if taken := {*OF_PARTITION, SINCE} & self.columns.keys():
            problem = f"has {min(taken)!r}, which is a placeholder of its own"
            raise DeclarationError(where, "columns", problem, "Choose another name")

    def values(self, record: Mapping[str, str | None]) -> dict[str, str] | None:
        """Return the values of the columns of a record; None if one has none."""
        values = {name: record.get(published) for name, published in self.columns.items()}
        return None if None in values.values() else {name: str(value) for name, value in values.items()}
