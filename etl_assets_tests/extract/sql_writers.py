"""Writes tables as SQL dumps: as COPY, and as INSERT in each dialect. Nothing of the package is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Table = Sequence[tuple[str | None, ...]]
    Write = Callable[[Sequence[str], Table], str]

_MYSQL: Final = {"\0": "\\0", "\n": "\\n", "\r": "\\r", "\\": "\\\\", "'": "\\'", '"': '\\"', "\x1a": "\\Z"}
_COPY: Final = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\"}


def quoted_names(names: Sequence[str], quote: str = '"') -> str:
    """Return a list of columns."""
    return ", ".join(quote + name.replace(quote, quote * 2) + quote for name in names)


def as_copy(names: Sequence[str], table: Table) -> str:
    """Write the table as pg_dump does."""

    def field(value: str | None) -> str:
        return "\\N" if value is None else "".join(_COPY.get(character, character) for character in value)

    lines = ["\t".join(map(field, row)) for row in table]
    return f"COPY public.t ({quoted_names(names)}) FROM stdin;\n" + "".join(line + "\n" for line in lines) + "\\.\n\n"


def as_inserts(string: Callable[[str], str], *, together: bool, quote: str = '"') -> Write:
    """Return a writer of INSERT statements: one for the table, or one for each record."""

    def write(names: Sequence[str], table: Table) -> str:
        head = f"INSERT INTO public.t ({quoted_names(names, quote)}) VALUES "
        every = ["(" + ", ".join("NULL" if value is None else string(value) for value in row) + ")" for row in table]
        return head + ",\n".join(every) + ";\n" if together else "".join(head + one + ";\n" for one in every)

    return write


def doubled(text: str) -> str:
    """Return a string of standard SQL."""
    return "'" + text.replace("'", "''") + "'"


def as_mysql(text: str) -> str:
    """Return a string of MySQL."""
    return "'" + "".join(_MYSQL.get(character, character) for character in text) + "'"


def as_e_string(text: str) -> str:
    """Return a string of PostgreSQL in which backslashes are escapes."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


WRITERS: Final[dict[str, tuple[str, Write]]] = {
    "copy": ("postgres", as_copy),
    "inserts of postgres": ("postgres", as_inserts(doubled, together=False)),
    "an insert of postgres": ("postgres", as_inserts(doubled, together=True)),
    "strings with escapes": ("postgres", as_inserts(as_e_string, together=True)),
    "an insert of mysql": ("mysql", as_inserts(as_mysql, together=True, quote="`")),
    "inserts of sqlite": ("sqlite", as_inserts(doubled, together=False)),
}
"""By name: the dialect, and the writer."""
