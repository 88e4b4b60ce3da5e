"""The arguments of `Column` that are rules. Written by ``make format`` from the kinds; do not edit."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from etl_assets.schema.rules.references import References
    from etl_assets.schema.types import Bound


class RuleKeywords(TypedDict, total=False):
    """One key for each kind of rule that is declared by an argument; None is the same as to leave it out."""

    required: bool
    allowed: tuple[str | int, ...] | None
    minimum: Bound | None
    maximum: Bound | None
    length: int | None
    pattern: str | None
    references: str | References | None
    unique: bool
