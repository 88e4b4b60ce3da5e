"""Small plots for Dagster's pages: bars as SVG in an image of Markdown, which the UI shows in place.

Numbers and labels go in, never contents of records.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

import dagster as dg

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDTH: Final = 720
_HEIGHT: Final = 170
_LEFT: Final = 64
_RIGHT: Final = 8
_TOP: Final = 12
_BOTTOM: Final = 26
_GOOD: Final = "#4f7cac"
_BAD: Final = "#c8553d"
_BAND: Final = "#e3ecf5"
_INK: Final = "#555"
_WIDEST: Final = 40.0


@dataclass(frozen=True)
class Bar:
    """One bar.

    Attributes:
        label: What stands below it.
        height: Its whole height, at least 0.
        bad: How much of it is bad, at the top; in the other colour.
    """

    label: str
    height: float
    bad: float = 0.0


def bars(title: str, drawn: Sequence[Bar], band: tuple[float, float] | None = None) -> dg.MarkdownMetadataValue:
    """Draw bars from left to right.

    Args:
        title: In words, for those who do not see the picture.
        drawn: Oldest first.
        band: Lowest and highest value that are usual, drawn behind the bars.
    """
    top = max([1e-9, *(bar.height for bar in drawn), *(band or ())])
    size = f'width="{_WIDTH}" height="{_HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="system-ui, sans-serif" font-size="11">',
        f"<title>{escape(title)}</title>",
        *_axis(top, band),
        *(part for place, bar in enumerate(drawn) for part in _bar(bar, place, len(drawn), top)),
        *_labels(drawn),
        "</svg>",
    ]
    picture = b64encode("".join(parts).encode()).decode()
    return dg.MetadataValue.md(f"![{title}](data:image/svg+xml;base64,{picture})")


def _axis(top: float, band: tuple[float, float] | None) -> list[str]:
    """The band, a line at the top, one at the bottom, and what they stand for."""
    lines = []
    if band is not None:
        low, high = _y(band[0], top), _y(band[1], top)
        lines.append(_box(_LEFT, high, _WIDTH - _LEFT - _RIGHT, low - high, _BAND))
    for value in (0.0, top):
        y = _y(value, top)
        lines.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="#ccc"/>')
        lines.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" fill="{_INK}">{_number(value)}</text>')
    return lines


def _bar(bar: Bar, place: int, count: int, top: float) -> list[str]:
    step = (_WIDTH - _LEFT - _RIGHT) / count
    width = min(_WIDEST, step * 0.8)
    x = _LEFT + step * place + (step - width) / 2
    whole, good = _y(bar.height, top), _y(bar.height - bar.bad, top)
    drawn = [_box(x, good, width, _y(0, top) - good, _GOOD)]
    if bar.bad > 0:
        drawn.append(_box(x, whole, width, max(good - whole, 1.5), _BAD))
    return drawn


def _labels(drawn: Sequence[Bar]) -> list[str]:
    """What the first and the last bar are, below them."""
    if not drawn:
        return [f'<text x="{_LEFT}" y="{_HEIGHT / 2}" fill="{_INK}">nothing yet</text>']
    y = _HEIGHT - 8
    first = f'<text x="{_LEFT}" y="{y}" fill="{_INK}">{escape(drawn[0].label)}</text>'
    last = f'<text x="{_WIDTH - _RIGHT}" y="{y}" text-anchor="end" fill="{_INK}">{escape(drawn[-1].label)}</text>'
    return [first] if len(drawn) == 1 else [first, last]


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{max(height, 0):.1f}" fill="{colour}"/>'


def _y(value: float, top: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * value / top


def _number(value: float) -> str:
    """A count in full, a share with its sign."""
    return f"{value:,.0f}" if value == 0 or value >= 1 else f"{value:.2%}"
