"""An expectation of Great Expectations, by name and arguments: a value, so that declaring one imports nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from etl_assets.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, init=False)
class Expectation:
    """One expectation over the stored table, which becomes an asset check.

    ``Expectation("expect_column_values_to_be_between", column="rate", min_value=0, mostly=0.99)``

    Attributes:
        type: Great Expectations' name of it.
        arguments: Its own arguments.
        name: Of the check; made of the type and its columns by default.
        blocking: Whether the run fails, and what is downstream waits, when it is not met.
        description: Shown with the check.
    """

    type: str
    arguments: Mapping[str, Any]
    name: str
    blocking: bool
    description: str

    def __init__(
        self, type_: str, /, *, name: str = "", blocking: bool = False, description: str = "", **arguments: Any
    ) -> None:
        object.__setattr__(self, "type", type_)
        object.__setattr__(self, "arguments", arguments)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "blocking", blocking)
        object.__setattr__(self, "description", description)

    def check(self, names: tuple[str, ...], where: str) -> None:
        """Raise unless it can be meant.

        Args:
            names: Of the table's columns.
            where: What to call the owner in the error.
        """
        if not self.type.startswith("expect_"):
            raise DeclarationError(
                where, "expectations", f"{self.type!r} is no expectation", "Write its name, expect_…"
            )
        column = self.arguments.get("column")
        if column is not None and column not in names:
            raise DeclarationError(where, "expectations", f"names {column!r}, no column", "Name declared columns")
