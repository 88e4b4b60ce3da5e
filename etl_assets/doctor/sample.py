"""Chooses the batches that the doctor reads again when it does not read everything: a few, others on each day."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from etl_assets.model.delivery import Delivery, Manifest, Span

_DELIVERIES: Final = 10
"""At most so many deliveries of a source are opened."""


def sample(
    ids: Sequence[int], delivery_of: Callable[[int], Delivery | None], budget: int, day: date
) -> tuple[dict[int, frozenset[int]], int]:
    """Choose some batches of some deliveries. The choice depends on the day and on the budget alone.

    Args:
        ids: Of the deliveries.
        delivery_of: Returns the delivery of an id.
        budget: How many bytes may be read.
        day: Today.

    Returns:
        The numbers of the batches, by id of their delivery, and how many bytes reading them takes.
    """
    chosen: dict[int, frozenset[int]] = {}
    left = budget
    opened = sorted(ids, key=lambda id_: lot(day, id_))[:_DELIVERIES]
    for position, id_ in enumerate(opened):
        delivery = delivery_of(id_)
        if delivery is not None:
            share = left // (len(opened) - position)
            chosen[id_], spent = _batches(delivery.manifest, share, day)
            left -= spent
    return {id_: numbers for id_, numbers in chosen.items() if numbers}, budget - left


def lot(day: date, subject: object) -> bytes:
    """Return what sorts subjects in a random order, another one on each day."""
    return sha256(f"{day} {subject}".encode()).digest()


def _batches(manifest: Manifest, budget: int, day: date) -> tuple[frozenset[int], int]:
    """Return the numbers of the batches that a budget is enough for, and the bytes that reading them takes."""
    numbers: set[int] = set()
    spent = 0
    for span in sorted(manifest.spans, key=lambda span: lot(day, span.batch)):
        cost = _cost(span, manifest)
        if spent + cost <= budget:
            numbers.add(span.batch)
            spent += cost
    return frozenset(numbers), spent


def _cost(span: Span, manifest: Manifest) -> int:
    """Return how many bytes are read for a batch: of a packed file, also those before it."""
    packed = any(member.member or member.size != manifest.size for member in manifest.members)
    return span.length + (span.offset if packed else 0)
