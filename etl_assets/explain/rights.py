"""Leaves out what the role of a connection may not read, and names it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from psycopg import errors

if TYPE_CHECKING:
    from collections.abc import Callable

    T = TypeVar("T")


@dataclass
class Rights:
    """What was left out so far, because the role may not read it.

    Attributes:
        left_out: A sentence for each part.
    """

    left_out: list[str] = field(default_factory=list)

    def read(self, what: str, query: Callable[[], T]) -> T | None:
        """Return what a query returns; None if the role may not read it.

        Args:
            what: The part, as the subject of a sentence, with the tables that it needs.
            query: Reads it, on a connection in autocommit.
        """
        try:
            return query()
        except errors.InsufficientPrivilege:
            self.left_out.append(f"{what}: left out, since this role may not read it.")
            return None
