"""An expectation of Great Expectations, by name and arguments: a value, so that declaring one imports nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from etl_assets.errors import DeclarationError
from etl_assets.model.expectation_types import IN_DATABASE, OUTSIDE_DATABASE, ROWS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_CHECK_NAME: Final = re.compile(r"[A-Za-z0-9_]+")
_ONE_OF_ONES_OWN: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:(?P<name>[A-Za-z_]\w*)")
_ONE_COLUMN: Final = ("column", "column_A", "column_B")
_SEVERAL_COLUMNS: Final = ("column_list", "column_set")


@dataclass(frozen=True, init=False)
class Expectation:
    """One expectation over the stored table, which becomes an asset check.

    ``Expectation("expect_column_values_to_be_between", column="rate", min_value=0, mostly=0.99)``

    Attributes:
        type: Great Expectations' name of it; or ``package.module:ClassName`` of one's own.
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
        object.__setattr__(self, "name", name or "__".join([type_.rpartition(":")[2], *self.columns]))
        object.__setattr__(self, "blocking", blocking)
        object.__setattr__(self, "description", description)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that its arguments name, in their order."""
        one = [self.arguments[key] for key in _ONE_COLUMN if self.arguments.get(key) is not None]
        several = [column for key in _SEVERAL_COLUMNS for column in self.arguments.get(key) or ()]
        return tuple(map(str, [*one, *several]))

    def check(self, names: Collection[str], where: str) -> None:
        """Raise unless it can be meant.

        Args:
            names: Of the table's columns, those for bookkeeping among them.
            where: What to call the owner in the error.
        """
        if self.type in OUTSIDE_DATABASE:
            raise DeclarationError(
                where,
                "expectations",
                f"hold {self.type}, which a database cannot answer",
                f"Declare it as a rule of a column, or ask in SQL with {ROWS!r}",
            )
        if self.type not in IN_DATABASE and not _ONE_OF_ONES_OWN.fullmatch(self.type):
            raise DeclarationError(
                where,
                "expectations",
                f"hold {self.type!r}, which Great Expectations does not have",
                "Write one of its names, expect_…, or package.module:ClassName for one of your own",
            )
        if not _CHECK_NAME.fullmatch(self.name):
            raise DeclarationError(
                where, "expectations", f"name a check {self.name!r}", "Use letters, digits and underscores"
            )
        if unknown := [name for name in self.columns if name not in names]:
            raise DeclarationError(where, "expectations", f"name {unknown[0]!r}, no column", "Name declared columns")
        if isinstance(self.arguments.get("row_condition"), str):
            raise DeclarationError(
                where,
                "expectations",
                f"give {self.name!r} a row_condition that is a text, which Great Expectations takes no longer",
                "Write {'type': 'comparison', 'column': {'name': …}, 'operator': '==', 'parameter': …}",
            )
        if self.type == ROWS and "{batch}" not in str(self.arguments.get("unexpected_rows_query")):
            raise DeclarationError(
                where,
                "expectations",
                f"hold {ROWS} that does not ask the table",
                "Write unexpected_rows_query='SELECT … FROM {batch} …'",
            )
