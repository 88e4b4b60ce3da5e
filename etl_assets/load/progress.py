"""Progress of a load, for people who wait for it: the loader reports it after each batch, and commands show it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from etl_assets.model.delivery import Delivery

_SHOWING: Final[list[Callable[[Loaded], None]]] = []


class Loaded(NamedTuple):
    """How far a delivery is loaded.

    Attributes:
        source: Name of its source.
        partition: Key of its partition.
        records: How many of its records are written, filtered or rejected.
        total: How many records it has.
    """

    source: str
    partition: str
    records: int
    total: int


def report(delivery: Delivery, records: int) -> None:
    """Report how many records of a delivery are loaded."""
    for show in _SHOWING:
        show(Loaded(delivery.source, delivery.partition, records, delivery.manifest.records))


@contextmanager
def shown(show: Callable[[Loaded], None]) -> Iterator[None]:
    """Show the progress of the loads in a block.

    Args:
        show: Takes each report; it may be called from any thread.
    """
    _SHOWING.append(show)
    try:
        yield
    finally:
        _SHOWING.remove(show)
