"""The prefetching of items in a thread: which it pulls, when, and how it ends."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from etl_assets.extract.prefetch import Prefetch

if TYPE_CHECKING:
    from collections.abc import Iterator


class Source:
    """Counts from 1, and remembers what was made and by which threads."""

    def __init__(self, count: int) -> None:
        self.made: list[int] = []
        self.threads: set[int] = set()
        self.closed = threading.Event()
        self.second = threading.Event()
        self._count = count

    def items(self) -> Iterator[int]:
        try:
            for number in range(1, self._count + 1):
                self.threads.add(threading.get_ident())
                self.made.append(number)
                if number == 2:
                    self.second.set()
                yield number
        finally:
            self.threads.add(threading.get_ident())
            self.closed.set()


def test_items_come_in_their_order_from_one_other_thread() -> None:
    source = Source(100)
    with Prefetch(source.items()) as items:
        assert list(items) == list(range(1, 101))
    assert len(source.threads) == 1
    assert threading.get_ident() not in source.threads


def test_the_next_item_is_made_while_the_caller_works_on_one_and_no_more() -> None:
    source = Source(100)
    with Prefetch(source.items()) as prefetched:
        items = iter(prefetched)
        assert next(items) == 1
        assert source.second.wait(60)
        assert source.made == [1, 2]


def test_an_error_is_raised_where_its_item_would_have_come() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    with Prefetch(items()) as prefetched:
        pulled = iter(prefetched)
        assert next(pulled) == 1
        with pytest.raises(ValueError, match="broken"):
            next(pulled)


def test_a_source_that_is_left_early_is_closed_by_the_thread_that_ran_it() -> None:
    source = Source(100)
    with Prefetch(source.items()) as prefetched:
        for _ in prefetched:
            break
    assert source.closed.is_set()
    assert len(source.threads) == 1
    assert len(source.made) <= 3
