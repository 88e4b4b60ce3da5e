"""Intermediate columns, each of which is computed once.

Polars would compute an expression once for each use: its optimizer does not recognise a repeated expression inside a
``when``. An expression added here becomes a column of the frame, in a stage after the columns that it uses.
"""

from __future__ import annotations

import polars as pl


class IntermediateColumns:
    """Named expressions, each in the first stage in which all columns that it uses exist."""

    def __init__(self) -> None:
        self._stages: list[list[pl.Expr]] = []
        self._stage_of: dict[str, int] = {}

    def add(self, expression: pl.Expr, name: str | None = None) -> pl.Expr:
        """Add an expression, to be computed once.

        Args:
            expression: Uses columns of the frame and results of earlier calls.
            name: Name of its column in the frame; any free name when None.

        Returns:
            A reference to the column.
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
        """Return the frame with a column for every added expression."""
        for stage in self._stages:
            frame = frame.with_columns(stage)
        return frame
