"""Small pictures as SVG: the strip of deliveries, the volume with its band, the course of a number. Pure.

Colours are classes of the page's style sheet. Titles have partitions, numbers and times, and are escaped.
"""

from __future__ import annotations

from statistics import quantiles
from typing import TYPE_CHECKING, Final

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.postgres.health.histories import PastDelivery

_WIDTH: Final = 366
_FEWEST_PLACES: Final = 61
_HEIGHT: Final = 60
_FEWEST_FOR_BAND: Final = 5
_SPARK: Final = (100, 24)


def strip(deliveries: Sequence[PastDelivery]) -> Markup:
    """Draw a mark for each delivery, the newest at the right, in the colour of what became of it.

    Args:
        deliveries: Of a year, oldest first.
    """
    step = _WIDTH / max(len(deliveries), _FEWEST_PLACES)
    left = _WIDTH - step * len(deliveries)
    track = f'<rect class="track" x="0" y="0" width="{_WIDTH}" height="16"/>'
    marks = [
        f'<rect class="{_kind(delivery)}" x="{left + place * step:.2f}" y="0" width="{step * 0.8:.2f}" height="16">'
        f"<title>{escape(_title(delivery))}</title></rect>"
        for place, delivery in enumerate(deliveries)
    ]
    return _svg(f"0 0 {_WIDTH} 16", "strip", f"{len(deliveries)} deliveries", [track, *marks])


def volume(deliveries: Sequence[PastDelivery]) -> Markup:
    """Draw the records of each delivery as a bar, the rejected ones in another colour, under the band of nine in ten.

    Args:
        deliveries: Of a year, oldest first.
    """
    top = max((delivery.records for delivery in deliveries), default=0) or 1
    step = _WIDTH / max(len(deliveries), 12)
    left = _WIDTH - step * len(deliveries)
    parts = []
    for place, delivery in enumerate(deliveries):
        x, width = left + place * step, step * 0.8
        height, bad = (_HEIGHT * number / top for number in (delivery.records, delivery.rejected))
        parts.append(
            f'<g><title>{escape(_title(delivery))}</title><rect class="records" x="{x:.2f}" y="{_HEIGHT - height:.2f}" '
            f'width="{width:.2f}" height="{height:.2f}"/><rect class="rejected" x="{x:.2f}" '
            f'y="{_HEIGHT - height:.2f}" width="{width:.2f}" height="{bad:.2f}"/></g>'
        )
    if (band := usual(deliveries)) is not None:
        low, high = (_HEIGHT * value / top for value in band)
        parts.append(f'<rect class="band" x="0" y="{_HEIGHT - high:.2f}" width="{_WIDTH}" height="{high - low:.2f}"/>')
    return _svg(f"0 0 {_WIDTH} {_HEIGHT}", "volume", "Records of each delivery", parts)


def usual(deliveries: Sequence[PastDelivery]) -> tuple[float, float] | None:
    """Return between which numbers of records nine in ten deliveries are; None if there are too few of them."""
    records = [delivery.records for delivery in deliveries if delivery.status == "complete"]
    if len(records) < _FEWEST_FOR_BAND:
        return None
    twentieths = quantiles(records, n=20, method="inclusive")
    return twentieths[0], twentieths[-1]


def course(title: str, numbers: Sequence[float | None]) -> Markup:
    """Draw how a number went from delivery to delivery, without its values.

    Args:
        title: What the number is.
        numbers: Oldest first; None leaves a gap.
    """
    width, height = _SPARK
    known = [number for number in numbers if number is not None]
    if not known:
        return Markup("")
    low, high = min(known), max(known)
    step = width / max(len(numbers) - 1, 1)
    points = [
        (place * step, 2 + (height - 4) * (1 - (number - low) / (high - low) if high > low else 0.5))
        for place, number in enumerate(numbers)
        if number is not None
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    parts = [f'<polyline points="{line}"/>', f'<circle cx="{min(x, width - 2):.1f}" cy="{y:.1f}" r="2"/>']
    return _svg(f"0 0 {width} {height}", "course", title, parts)


def _svg(box: str, kind: str, title: str, parts: Sequence[str]) -> Markup:
    inside = "".join(parts)
    return Markup(  # noqa: S704 -- numbers, and texts that are escaped
        f'<svg class="{kind}" viewBox="{box}" preserveAspectRatio="none" role="img" aria-label="{escape(title)}">'
        f"{inside}</svg>"
    )


def _kind(delivery: PastDelivery) -> str:
    if delivery.status != "complete":
        return "refused" if delivery.status == "refused" else "unfinished"
    return "some-rejected" if delivery.rejected else "loaded"


def _title(delivery: PastDelivery) -> str:
    of = f"{delivery.partition}, " if delivery.partition else ""
    rejected = f", {delivery.rejected:,} rejected" if delivery.rejected else ""
    return f"{of}{delivery.fetched_at:%Y-%m-%d %H:%M}, {delivery.status}: {delivery.records:,} records{rejected}"
