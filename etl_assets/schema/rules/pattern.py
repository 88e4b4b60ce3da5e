"""The rule ``pattern``: a text matches a regular expression."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import polars as pl
from polars.exceptions import PolarsError

from etl_assets.errors import DeclarationError
from etl_assets.schema.postgres_regex import to_postgres
from etl_assets.schema.rules.base import ColumnRule, NotAudited

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.schema.rules.base import Audit
    from etl_assets.schema.types import DataType


@dataclass(frozen=True)
class Pattern(ColumnRule):
    """A regular expression (RE2: no look-around, no back-references) that a text must match as a whole."""

    pattern: str

    kind: ClassVar[str] = "pattern"
    keyword: ClassVar[str] = "str"

    def words(self, type_: DataType) -> str:  # noqa: ARG002 -- of texts alone
        """See `ColumnRule.words`."""
        return f"matches {self.pattern}"

    def check(self, type_: DataType, where: str) -> None:
        """See `ColumnRule.check`."""
        if type_.name != "text":
            raise DeclarationError(where, "pattern", "is for texts", "Use minimum, maximum or allowed")
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise DeclarationError(where, "pattern", f"is not a regular expression ({error})", "Fix it") from error
        try:
            pl.Series([""]).str.contains(self._whole)
        except PolarsError as error:
            raise DeclarationError(
                where,
                "pattern",
                f"{self.pattern!r} is outside the RE2 syntax or too large for it",
                "Write it without look-around, back-references, (?x) and large repetitions",
            ) from error

    def violated(self, type_: DataType, cell: pl.Expr, value: pl.Expr) -> pl.Expr:  # noqa: ARG002 -- of texts alone
        """See `ColumnRule.violated`."""
        return ~value.str.contains(self._whole)

    def audit(self, column: str, type_: DataType, key: Sequence[str]) -> Audit:  # noqa: ARG002 -- counts alone
        """See `ColumnRule.audit`."""
        regex = to_postgres(self.pattern)
        if regex is None:
            return NotAudited(f"Postgres has no equivalent of {self.pattern}")
        return self.expectation("expect_column_values_to_match_regex", column, type_, column=column, regex=regex)

    @property
    def _whole(self) -> str:
        """A pattern that matches exactly the texts that the declared one matches from end to end."""
        return rf"\A(?:{self.pattern})\z"
