"""An expectation of Great Expectations, declared by name and arguments without importing the library."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from etl_assets.errors import DeclarationError
from etl_assets.model.declaration import Declaration
from etl_assets.model.expectation_types import IN_DATABASE, OUTSIDE_DATABASE, ROWS

if TYPE_CHECKING:
    from collections.abc import Collection

_CHECK_NAME: Final = re.compile(r"[A-Za-z0-9_]+")
_OWN_CLASS: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:(?P<name>[A-Za-z_]\w*)")
_ONE_COLUMN: Final = ("column", "column_A", "column_B")
_SEVERAL_COLUMNS: Final = ("column_list", "column_set")


@dataclass(frozen=True, init=False)
class Expectation(Declaration):
    """An expectation about the stored table, which becomes an asset check.

    ``Expectation("expect_column_values_to_be_between", column="rate", min_value=0, mostly=0.99)``

    Attributes:
        type: Its name in Great Expectations, or ``package.module:ClassName`` for a class of your own.
        arguments: Arguments of the expectation.
        name: Name of the check; by default the type and its columns.
        blocking: Whether a failure makes the run fail, so that downstream assets wait.
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
        single = [self.arguments[key] for key in _ONE_COLUMN if self.arguments.get(key) is not None]
        several = [column for key in _SEVERAL_COLUMNS for column in self.arguments.get(key) or ()]
        return tuple(map(str, [*single, *several]))

    def check(self, names: Collection[str], where: str) -> None:
        """Raise a `DeclarationError` unless the declaration is sound.

        Args:
            names: Names of the table's columns, including those for bookkeeping.
            where: How the error names the owner.
        """
        if self.type in OUTSIDE_DATABASE:
            raise DeclarationError(
                where,
                "expectations",
                f"contain {self.type}, which a database cannot evaluate",
                f"Declare it as a rule of a column, or write it in SQL with {ROWS!r}",
            )
        if self.type not in IN_DATABASE and not _OWN_CLASS.fullmatch(self.type):
            raise DeclarationError(
                where,
                "expectations",
                f"contain {self.type!r}, which Great Expectations does not have",
                "Write one of its names, expect_…, or package.module:ClassName for one of your own",
            )
        if not _CHECK_NAME.fullmatch(self.name):
            raise DeclarationError(
                where, "expectations", f"name a check {self.name!r}", "Use letters, digits and underscores"
            )
        if unknown := [name for name in self.columns if name not in names]:
            raise DeclarationError(where, "expectations", f"name unknown column {unknown[0]!r}", "Use declared columns")
        if isinstance(self.arguments.get("row_condition"), str):
            raise DeclarationError(
                where,
                "expectations",
                f"give {self.name!r} a row_condition that is a text, which Great Expectations no longer accepts",
                "Write {'type': 'comparison', 'column': {'name': …}, 'operator': '==', 'parameter': …}",
            )
        if self.type == ROWS and "{batch}" not in str(self.arguments.get("unexpected_rows_query")):
            raise DeclarationError(
                where,
                "expectations",
                f"contain {ROWS} with a query that does not read the table",
                "Write unexpected_rows_query='SELECT … FROM {batch} …'",
            )
