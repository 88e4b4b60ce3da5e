"""Intermediate columns that are computed once each.

An expression that is used in several places would be computed in each of them: the optimizer does not find it again
inside a ``when``. Named here, it becomes a column of the frame on its way, in a stage after those it is made of.
"""

from __future__ import annotations

import polars as pl


class IntermediateColumns:
    """Named expressions, each in the first stage in which all it is made of is there."""

    def __init__(self) -> None:
        self._stages: list[list[pl.Expr]] = []
        self._stage_of: dict[str, int] = {}

    def add(self, expression: pl.Expr, name: str | None = None) -> pl.Expr:
        """Have an expression computed once.

        Args:
            expression: Made of columns of the frame and of what earlier calls gave.
            name: What the frame shall call it; any free name when None.

        Returns:
            A reference to the result.
        """
        name = name or f"#s{len(self._stage_of)}"
        roots = expression.meta.root_names()
        stage = max((self._stage_of[root] + 1 for root in roots if root in self._stage_of), default=0)
        if stage == len(self._stages):
            self._stages.append([])
        self._stages[stage].append(expression.alias(name))
        self._stage_of[name] = stage
        return pl.col(name)

    def added_to(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """The frame with every named expression."""
        for stage in self._stages:
            frame = frame.with_columns(stage)
        return frame
