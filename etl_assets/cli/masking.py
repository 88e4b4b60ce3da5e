"""What of a record people may see without asking for it: sensitive columns are masked wherever records are printed."""

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
        source: The declaration; of a source that is not declared any more, everything is masked.
        reveal: Whether nothing is masked.
    """

    source: Source | None
    reveal: bool = False

    @property
    def hides_raw(self) -> bool:
        """Whether bytes of a record are masked: they hold every column."""
        return not self.reveal and (
            self.source is None or any(column.sensitive for column in self.source.schema.columns)
        )

    def column(self, name: str, value: object) -> object:
        """The value of a column, by its name in the table."""
        hidden = self.source is None or self.source.schema[name].sensitive
        return MASK if hidden and value is not None and not self.reveal else value

    def fields(self, fields: Mapping[str, str | None] | None) -> dict[str, str | None] | None:
        """Published fields."""
        if fields is None:
            return None
        return {name: MASK if self._hides(name) and value is not None else value for name, value in fields.items()}

    def _hides(self, published: str) -> bool:
        if self.reveal:
            return False
        if self.source is None:
            return True
        return any(column.sensitive and published in column.published_names for column in self.source.schema.columns)
