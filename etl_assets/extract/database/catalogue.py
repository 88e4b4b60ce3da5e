"""What a database's catalogue says of the columns that are read, and how it differs from an earlier time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclass(frozen=True)
class CatalogueColumn:
    """A column of a table or query.

    Attributes:
        name: Its name.
        type: Its type as the database writes it: ``numeric(38,9)``. Empty if it has none.
        nullable: Whether it may have no value; None if the catalogue does not say, as for a query.
        base: For a type that is made of another one: that other one.
    """

    name: str
    type: str
    nullable: bool | None = None
    base: str = ""

    @property
    def read_as(self) -> str:
        """The type by which it is decided how values are read."""
        return self.base or self.type


def to_state(columns: Sequence[CatalogueColumn]) -> list[list[Any]]:
    """Return columns as JSON values of a `Fetched.state`."""
    return [[column.name, column.type, column.nullable] for column in columns]


def differences(before: Sequence[Sequence[Any]], now: Sequence[CatalogueColumn], where: str) -> Iterator[str]:
    """Yield what has changed in the catalogue, each as a sentence.

    Args:
        before: From `to_state`.
        now: The columns now.
        where: What the columns are of.
    """
    earlier: Mapping[str, tuple[str, bool | None]] = {name: (type_, nullable) for name, type_, nullable in before}
    for name in earlier:
        if all(column.name != name for column in now):
            yield f"{where} no longer has the column {name!r}."
    for column in now:
        if column.name not in earlier:
            yield f"{where} has a new column, {column.name!r} ({column.type or 'without a type'})."
            continue
        type_, nullable = earlier[column.name]
        if column.type != type_:
            yield f"The type of {column.name!r} in {where} was {type_!r} and is {column.type!r}."
        if None not in (nullable, column.nullable) and column.nullable != nullable:
            state = "may now be null" if column.nullable else "is now never null"
            yield f"The column {column.name!r} in {where} {state}."
