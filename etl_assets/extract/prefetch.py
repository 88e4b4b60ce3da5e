"""Runs an iterator ahead of its consumer in a thread, by a bounded number of items."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from typing import TYPE_CHECKING, Generic, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")


class Failed:
    """Marks in the queue where the source raised an error."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Ended:
    """Marks the end in the queue."""


class Prefetch(Generic[T]):
    """A context in which a thread pulls items while the caller works on earlier ones.

    Iterating yields the same items. An error of the source is raised where its item would have come. If the block is
    left early, the thread ends after its current item, and closes the iterator.

    Args:
        items: The items to pull; from now on only the thread uses the iterator, and what it reads from.
        depth: How many items may exist besides the one that the caller works on, including one that is being made.
    """

    def __init__(self, items: Iterator[T], depth: int = 1) -> None:
        self._items = items
        self._ready: queue.SimpleQueue[T | Failed | Ended] = queue.SimpleQueue()
        self._room = threading.Semaphore(depth)
        self._stopped = False
        self._thread = threading.Thread(target=self._pull, name="etl-assets-prefetch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._room.release()
        self._join()

    def __iter__(self) -> Iterator[T]:
        while not isinstance(item := self._take(), Ended):
            if isinstance(item, Failed):
                raise item.error
            self._room.release()
            yield item
            del item

    def _join(self) -> None:
        self._thread.join()

    def _take(self) -> T | Failed | Ended:
        return self._ready.get()

    def _pull(self) -> None:
        try:
            while self._room.acquire() and not self._stopped:
                self._ready.put(next(self._items))
        except StopIteration:
            self._ready.put(Ended())
        except BaseException as error:  # noqa: BLE001 -- raised again where the item would have come
            self._ready.put(Failed(error))
        finally:
            if isinstance(self._items, Generator):
                self._items.close()
