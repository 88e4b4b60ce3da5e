"""Runs an iterator ahead of its consumer in a thread, a bounded number of items deep."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Final, Generic, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")
_POLL_SECONDS: Final = 0.2


class _Failed:
    """Stands in the queue for the error that the source raised."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class _Ended:
    """Stands in the queue for the end."""


class Ahead(Generic[T]):
    """A context in which a thread pulls items while the caller works on earlier ones.

    Iterating gives the same items. An error of the source is raised at the place where its item would have been. When
    the block is left early the thread ends after the item it is at.

    Args:
        items: What to pull; used by the thread alone from now on.
        depth: How many items may wait.
    """

    def __init__(self, items: Iterator[T], depth: int = 1) -> None:
        self._items = items
        self._line: queue.Queue[T | _Failed | _Ended] = queue.Queue(depth)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._pull, name="etl-assets-ahead", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def __iter__(self) -> Iterator[T]:
        while not isinstance(item := self._line.get(), _Ended):
            if isinstance(item, _Failed):
                raise item.error
            yield item
            del item

    def _pull(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    return
                del item
        except BaseException as error:  # noqa: BLE001 -- raised again where the item is missed
            self._put(_Failed(error))
        else:
            self._put(_Ended())

    def _put(self, item: T | _Failed | _Ended) -> bool:
        """Put an item in line; False when nobody waits for it any more."""
        while not self._stopped.is_set():
            try:
                self._line.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False
