"""Small plots for Dagster's pages: bars as SVG in an image of Markdown, which the UI shows in place.

The UI shows up to a thousand characters in place and hides a longer text behind a link, so the SVG is short. A plot has
numbers and labels, never contents of records.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

import dagster as dg

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_BARS: Final = 30
"""The number of bars that are drawn, the newest ones."""
_LEFT: Final = 56
_WIDTH: Final = 300
"""In pixels; a cell of the UI's table cuts a wider picture off, and with it the newest bars."""
_TOP: Final = 5
_FLOOR: Final = 95
_LONGEST_LABEL: Final = 18
_GOOD: Final = "#47a"
_BAD: Final = "#c53"


@dataclass(frozen=True)
class Bar:
    """One bar.

    Attributes:
        label: The text below it.
        height: Its whole height, at least 0.
        bad: The part of the height that is bad. It is at the top and has the other colour.
    """

    label: str
    height: float
    bad: float = 0.0


def bars(title: str, drawn: Sequence[Bar]) -> dg.MarkdownMetadataValue:
    """Draw bars from left to right, the newest at the right edge; the first and the last bar have their labels.

    Args:
        title: A few words for people who do not see the picture.
        drawn: The bars, oldest first.
    """
    shown = drawn[-MOST_BARS:]
    top = max([bar.height for bar in shown], default=0.0)
    step = (_WIDTH - _LEFT) // max(len(shown), 1)
    left = _WIDTH - step * len(shown)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="112" style="font:11px sans-serif">']
    if any(bar.bad for bar in shown):
        parts.append(_area([bar.height for bar in shown], top, step, left, _BAD))
    parts.append(_area([bar.height - bar.bad for bar in shown], top, step, left, _GOOD))
    parts.append(f'<text y="14">{_number(top)}</text><text y="{_FLOOR}">0</text>')
    parts.append(_labels(shown, left))
    picture = b64encode("".join([*parts, "</svg>"]).encode()).decode()
    return dg.MetadataValue.md(f"![{title}](data:image/svg+xml;base64,{picture})")


def _area(heights: Sequence[float], top: float, step: int, left: int, colour: str) -> str:
    """Return bars side by side as one path; every bar above zero is at least one pixel high."""
    tops = [_FLOOR - max(round((_FLOOR - _TOP) * height / top), 1) if height > 0 else _FLOOR for height in heights]
    path = "".join(f"V{y}h{step}" for y in tops)
    return f'<path fill="{colour}" d="M{left} {_FLOOR}{path}V{_FLOOR}"/>'


def _labels(shown: Sequence[Bar], left: int) -> str:
    if not shown:
        return f'<text x="{_LEFT}" y="50">nothing yet</text>'
    first = f'<text x="{left}" y="108">{_label(shown[0])}</text>'
    last = f'<text x="{_WIDTH}" y="108" text-anchor="end">{_label(shown[-1])}</text>'
    return first if len(shown) == 1 else first + last


def _label(bar: Bar) -> str:
    short = bar.label if len(bar.label) <= _LONGEST_LABEL else f"…{bar.label[1 - _LONGEST_LABEL :]}"
    return escape(short)


def _number(value: float) -> str:
    """Return a count with all its digits, and a share as a percentage."""
    return f"{value:,.0f}" if value == 0 or value >= 1 else f"{value:.2%}"
