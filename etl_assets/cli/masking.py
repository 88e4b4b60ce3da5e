"""Masks values of sensitive columns in every place where the command line prints records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets.source import Source

MASK: Final = "***"


@dataclass(frozen=True)
class Masking:
    """Masks records of one source.

    Attributes:
        source: The declaration. None if the source is no longer declared: then everything is masked.
        reveal: Whether to mask nothing.
    """

    source: Source | None
    reveal: bool = False

    @property
    def hides_raw(self) -> bool:
        """Whether to mask the bytes of a record: they contain every column, so one sensitive column is enough."""
        return not self.reveal and (
            self.source is None or any(column.sensitive for column in self.source.schema.columns)
        )

    def column(self, name: str, value: object) -> object:
        """Return the value of a column, or the mask. The name is that of the column in the table."""
        hidden = self.source is None or self.source.schema[name].sensitive
        return MASK if hidden and value is not None and not self.reveal else value

    def fields(self, fields: Mapping[str, str | None] | None) -> dict[str, str | None] | None:
        """Return the published fields, those of sensitive columns masked."""
        if fields is None:
            return None
        return {name: MASK if self._hides(name) and value is not None else value for name, value in fields.items()}

    def _hides(self, published: str) -> bool:
        if self.reveal:
            return False
        if self.source is None:
            return True
        return any(column.sensitive and published in column.published_names for column in self.source.schema.columns)
