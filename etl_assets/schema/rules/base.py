"""What a rule is: a value that knows its name, its words, its check, its expression and its audit.

A kind of rule of a column is one module here. What loops over rules knows none of them by name: validation, the
lookups of the loader, checks, alerts, audits, documentation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias

from etl_assets.errors import DeclarationError
from etl_assets.model.expectation import Expectation

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from etl_assets.schema.types import DataType


@dataclass(frozen=True)
class NotAudited:
    """That an audit cannot hold a stored table against a rule.

    Attributes:
        reason: Why, as a clause.
    """

    reason: str


OnMissing = Literal["park", "reject", "report"]
"""What becomes of a record that refers to a row which is not there."""
Audit: TypeAlias = Expectation | NotAudited
"""What an audit asks of a stored table for a rule."""


@dataclass(frozen=True)
class UniqueClaim:
    """What no two rows of a table may have in common.

    Attributes:
        rule: Name of the rule.
        columns: The columns; a row without a value in one of them claims nothing.
    """

    rule: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Lookup:
    """What a row refers to.

    Attributes:
        rule: Name of the rule.
        columns: The columns that refer; a row without a value in one of them refers to nothing.
        table: ``schema.table`` of the parent.
        parent_columns: The parent's columns, in the same order.
        missing: What becomes of a record whose parent is not there.
    """

    rule: str
    columns: tuple[str, ...]
    table: str
    parent_columns: tuple[str, ...]
    missing: OnMissing


@dataclass(frozen=True)
class ColumnRule(ABC):
    """One thing that every value of a column must keep. A missing value keeps every rule but ``required``.

    The docstring of a kind is its entry in the documentation. Its field, if it has one, is what a declaration gives:
    ``Column("code", "text", pattern="[A-Z]+")``. A kind without a field is declared by ``True``.
    """

    kind: ClassVar[str]
    """Its name: that of the argument of `Column`, and the last part of the rule's name in checks and quarantine."""
    keyword: ClassVar[str] = ""
    """The type of the argument, as it is annotated; empty for a kind that is not declared by an argument."""
    by_consent: ClassVar[bool] = True
    """Whether ``max_rejected`` consents to records that break it; if not, each failed check is an alert."""

    @classmethod
    def declared(cls, given: Any) -> Self | None:
        """The rule that an argument of `Column` asks for; None where it asks for none."""
        if given is None or given is False:
            return None
        return cls(*([given] if fields(cls) else []))

    @classmethod
    def of_type(cls, type_: DataType) -> Self | None:  # noqa: ARG003 -- most kinds do not come with a type
        """The rule that a column of a type has without being asked; None where it has none."""
        return None

    @property
    def argument(self) -> Any:
        """The argument that asks for the rule."""
        names = fields(self)
        return getattr(self, names[0].name) if names else True

    def name(self, column: str) -> str:
        """What the rule is called in checks and in the quarantine."""
        return f"{column}__{self.kind}"

    @abstractmethod
    def words(self, type_: DataType) -> str:
        """What is asked of a value, after the column's name: ``is at least 0``."""

    @abstractmethod
    def check(self, type_: DataType, where: str) -> None:
        """Raise a `DeclarationError` unless the rule can be kept by values of a type.

        Args:
            type_: Of the column; sound.
            where: What to call the column in the error.
        """

    def check_beside(  # noqa: B027 -- most rules contradict none
        self, rules: Sequence[ColumnRule], type_: DataType, where: str
    ) -> None:
        """Raise a `DeclarationError` if the rule contradicts another of the same column.

        Args:
            rules: Of the column; each has been checked by itself.
            type_: Of the column.
            where: What to call the column in the error.
        """

    @abstractmethod
    def violated(self, type_: DataType, cell: pl.Expr, value: pl.Expr) -> pl.Expr | None:
        """A Boolean expression that is true where a value breaks the rule; null counts as kept.

        Args:
            type_: Of the column.
            cell: What was there before the cast; null means no value.
            value: What the cast made of it.

        Returns:
            None for a rule that only the table can judge; the loader does.
        """

    @abstractmethod
    def audit(self, column: str, type_: DataType, key: Sequence[str]) -> Audit:
        """What an audit asks of the stored table.

        Args:
            column: Its name.
            type_: Its type.
            key: Columns that identify a row.
        """

    def claim(self, column: str) -> UniqueClaim | None:  # noqa: ARG002 -- most rules claim nothing
        """What no two rows may have in common, for a rule of which the loader asks the table."""
        return None

    def lookup(self, column: str) -> Lookup | None:  # noqa: ARG002 -- most rules refer to nothing
        """What rows refer to, for a rule of which the loader asks another table."""
        return None

    def expectation(self, expectation: str, column: str, type_: DataType, /, **arguments: object) -> Expectation:
        """An expectation that speaks for the rule."""
        said = f"{column} {self.words(type_)}"
        return Expectation(expectation, name=self.name(column), blocking=True, description=said, **arguments)


class RecordRule(ABC):
    """One thing that a whole record must keep, declared in ``Schema(rules=...)``.

    Attributes:
        name: What the rule is called in checks and in the quarantine.
        words: What is asked of a record, as a sentence without its period.
        columns: Names of the columns that it is about.
    """

    name: str
    words: str
    columns: tuple[str, ...]
    by_consent: ClassVar[bool] = True
    """Whether ``max_rejected`` consents to records that break it; if not, each failed check is an alert."""

    @property
    def identity(self) -> str:
        """A text that changes whenever what the rule asks does."""
        return repr(self)

    @abstractmethod
    def check(self, types: dict[str, DataType], where: str) -> None:
        """Raise a `DeclarationError` unless the rule can be kept.

        Args:
            types: Of the schema's columns and inputs, by name.
            where: What to call the owner in the error.
        """

    @abstractmethod
    def violations(self, rows: pl.DataFrame) -> pl.Series | None:
        """Which rows break the rule, as Booleans; null counts as kept.

        Args:
            rows: With the rule's columns, typed. A value that breaks a rule of its column may be missing.

        Returns:
            None for a rule that only the table can judge; the loader does.
        """

    @abstractmethod
    def audit(self, types: dict[str, DataType], key: Sequence[str]) -> Audit:
        """What an audit asks of the stored table.

        Args:
            types: Of the table's columns, by name.
            key: Columns that identify a row.
        """

    @property
    def claim(self) -> UniqueClaim | None:
        """What no two rows may have in common, for a rule of which the loader asks the table."""
        return None

    @property
    def lookup(self) -> Lookup | None:
        """What rows refer to, for a rule of which the loader asks another table."""
        return None

    def expectation(self, expectation: str, /, **arguments: object) -> Expectation:
        """An expectation that speaks for the rule."""
        return Expectation(expectation, name=self.name, blocking=True, description=self.words, **arguments)


def check_columns(columns: Sequence[str], types: dict[str, DataType], where: str, *, least: int) -> None:
    """Raise a `DeclarationError` unless a rule of several columns names enough that are declared."""
    if len(columns) < least:
        raise DeclarationError(where, "columns", f"are fewer than {least}", "Name the columns that the rule is about")
    for name in columns:
        if name not in types:
            raise DeclarationError(where, "columns", f"name {name!r}, no column", "Name declared columns")
