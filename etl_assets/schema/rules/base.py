"""The base classes of rules: a rule has a name, words, a check, an expression and an audit.

Each kind of rule of a column is one module of this package. All other code treats rules alike and names no kind:
validation, the lookups of the loader, checks, alerts, audits, documentation.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias

from etl_assets.errors import DeclarationError
from etl_assets.model.declaration import Declaration
from etl_assets.model.expectation import Expectation

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from etl_assets.schema.types import DataType


@dataclass(frozen=True)
class NotAudited:
    """The result for a rule that an audit cannot check on a stored table.

    Attributes:
        reason: Why it cannot, as a clause.
    """

    reason: str


OnMissing = Literal["park", "reject", "report"]
"""What the loader does with a record whose parent is missing."""
Audit: TypeAlias = Expectation | NotAudited
"""The expectation with which an audit checks a rule on a stored table, or why it cannot."""


@dataclass(frozen=True)
class UniqueClaim:
    """Columns whose values no two rows of a table may share.

    Attributes:
        rule: Name of the rule.
        columns: The columns; a row without a value in one of them has no claim.
    """

    rule: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Lookup:
    """A reference of rows to their parents.

    Attributes:
        rule: Name of the rule.
        columns: The columns that refer to the parent; a row without a value in one of them has no parent.
        table: ``schema.table`` of the parent.
        parent_columns: The parent's columns, in the same order.
        missing: What the loader does with a record whose parent is missing.
    """

    rule: str
    columns: tuple[str, ...]
    table: str
    parent_columns: tuple[str, ...]
    missing: OnMissing


@dataclass(frozen=True)
class ColumnRule(Declaration):
    """A rule that every value of a column must keep. A missing value keeps every rule except ``required``.

    The docstring of a kind is its entry in the documentation. Its field, if it has one, is the declared argument:
    ``Column("code", "text", pattern="[A-Z]+")``. A kind without a field is declared by ``True``.
    """

    kind: ClassVar[str]
    """Its name: that of the argument of `Column`, and the last part of the rule's name in checks and quarantine."""
    keyword: ClassVar[str] = ""
    """The annotated type of the argument; empty for a kind that is not declared by an argument."""
    by_consent: ClassVar[bool] = True
    """Whether ``max_rejected`` consents to records that break it; if not, each failed check is an alert."""

    @classmethod
    def declared(cls, argument: Any) -> Self | None:
        """Return the rule that an argument of `Column` declares; None if it declares none."""
        if argument is None or argument is False:
            return None
        return cls(*([argument] if fields(cls) else []))

    @classmethod
    def of_type(cls, type_: DataType) -> Self | None:  # noqa: ARG003 -- most kinds do not come with a type
        """Return the rule that every column of a type has without an argument; None if there is none."""
        return None

    @property
    def argument(self) -> Any:
        """The argument that declares the rule."""
        names = fields(self)
        return getattr(self, names[0].name) if names else True

    def name(self, column: str) -> str:
        """Return the name of the rule in checks and in the quarantine."""
        return f"{column}__{self.kind}"

    @abstractmethod
    def words(self, type_: DataType) -> str:
        """Return what the rule requires of a value, as a text after the column's name: ``is at least 0``."""

    @abstractmethod
    def check(self, type_: DataType, where: str) -> None:
        """Raise a `DeclarationError` unless values of a type can keep the rule.

        Args:
            type_: Type of the column, which is sound.
            where: How the error names the column.
        """

    def check_beside(self, rules: Sequence[ColumnRule], type_: DataType, where: str) -> None:
        """Raise a `DeclarationError` if the rule contradicts another of the same column.

        Args:
            rules: All rules of the column; each has been checked by itself.
            type_: Type of the column.
            where: How the error names the column.
        """

    @abstractmethod
    def violated(self, type_: DataType, cell: pl.Expr, value: pl.Expr) -> pl.Expr | None:
        """Return a Boolean expression that is true where a value breaks the rule; null counts as kept.

        Args:
            type_: Type of the column.
            cell: What was published, before the cast: a text, or a value of a file with types. Null means no value; a
                rule asks for nothing else of it.
            value: The value after the cast.

        Returns:
            None for a rule that needs the table; the loader evaluates it.
        """

    @abstractmethod
    def audit(self, column: str, type_: DataType, key: Sequence[str]) -> Audit:
        """Return the audit of the rule on the stored table.

        Args:
            column: Name of the column.
            type_: Type of the column.
            key: Columns that identify a row.
        """

    def claim(self, column: str) -> UniqueClaim | None:  # noqa: ARG002 -- most rules claim nothing
        """Return the values that no two rows may share, for a rule that the loader evaluates on the table."""
        return None

    def lookup(self, column: str) -> Lookup | None:  # noqa: ARG002 -- most rules refer to nothing
        """Return the reference of rows to their parents, for a rule that the loader evaluates on another table."""
        return None

    def expectation(self, expectation: str, column: str, type_: DataType, /, **arguments: object) -> Expectation:
        """Return an expectation that checks the rule."""
        text = f"{column} {self.words(type_)}"
        return Expectation(expectation, name=self.name(column), blocking=True, description=text, **arguments)


class RecordRule(Declaration):
    """A rule that a whole record must keep, declared in ``Schema(rules=...)``.

    Attributes:
        name: Name of the rule in checks and in the quarantine.
        words: What the rule requires of a record, as a sentence without its period.
        columns: Names of the columns that it is about.
    """

    name: str
    words: str
    columns: tuple[str, ...]
    by_consent: ClassVar[bool] = True
    """Whether ``max_rejected`` consents to records that break it; if not, each failed check is an alert."""

    @property
    def identity(self) -> str:
        """A text that changes whenever the requirement of the rule changes."""
        return repr(self)

    @abstractmethod
    def check(self, types: dict[str, DataType], where: str) -> None:
        """Raise a `DeclarationError` unless records can keep the rule.

        Args:
            types: Types of the schema's columns and inputs, by name.
            where: How the error names the owner.
        """

    @abstractmethod
    def violations(self, rows: pl.DataFrame) -> pl.Series | None:
        """Return which rows break the rule, as Booleans; null counts as kept.

        Args:
            rows: Rows with the rule's columns, typed. A value that breaks a rule of its column may be missing.

        Returns:
            None for a rule that needs the table; the loader evaluates it.
        """

    @abstractmethod
    def audit(self, types: dict[str, DataType], key: Sequence[str]) -> Audit:
        """Return the audit of the rule on the stored table.

        Args:
            types: Types of the table's columns, by name.
            key: Columns that identify a row.
        """

    @property
    def claim(self) -> UniqueClaim | None:
        """The values that no two rows may share, for a rule that the loader evaluates on the table."""
        return None

    @property
    def lookup(self) -> Lookup | None:
        """The reference of rows to their parents, for a rule that the loader evaluates on another table."""
        return None

    def expectation(self, expectation: str, /, **arguments: object) -> Expectation:
        """Return an expectation that checks the rule."""
        return Expectation(expectation, name=self.name, blocking=True, description=self.words, **arguments)


def check_columns(columns: Sequence[str], types: dict[str, DataType], where: str, *, least: int) -> None:
    """Raise a `DeclarationError` unless a rule names at least ``least`` columns, all of them declared."""
    if len(columns) < least:
        raise DeclarationError(where, "columns", f"are fewer than {least}", "Name the columns that the rule is about")
    for name in columns:
        if name not in types:
            raise DeclarationError(where, "columns", f"name unknown column {name!r}", "Use declared columns")
