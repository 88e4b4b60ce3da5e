"""Names in the database: valid names of columns, and the names that are reserved for bookkeeping."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from etl_assets.errors import DeclarationError
from etl_assets.model.batch import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

DELIVERY_ID: Final = "_delivery_id"
ROW_HASH: Final = "_row_hash"
BOOKKEEPING: Final = (DELIVERY_ID, RECORD_NO, ROW_HASH)
"""Columns that every table has besides the declared ones; no declared column may have these names."""
DELETED_AT: Final = "_deleted_at"
"""The column that marks the rows which are gone, of tables whose write mode marks them."""
RESERVED: Final = (*BOOKKEEPING, DELETED_AT)
"""The names of all columns that are kept for bookkeeping."""

KEPT_BY_POSTGRES: Final = frozenset({"cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"})
"""Columns that Postgres itself gives every table; it creates none with these names."""
MAX_IDENTIFIER_BYTES: Final = 63
_IDENTIFIER: Final = re.compile(r"[a-z_][a-z0-9_]*")


def check_identifier(name: str, where: str, field: str) -> None:
    """Raise a `DeclarationError` unless a name is a valid name in the database."""
    if not _IDENTIFIER.fullmatch(name) or len(name.encode()) > MAX_IDENTIFIER_BYTES:
        raise DeclarationError(
            where,
            field,
            f"{name!r} cannot be a name in the database",
            f"Use lower-case letters, digits and underscores, at most {MAX_IDENTIFIER_BYTES}, and begin with no digit",
        )


def check_no_twins(names: Iterable[str], where: str, field: str, problem: str) -> None:
    """Raise a `DeclarationError` if a name occurs twice.

    Args:
        names: The names.
        where: How the error names the declaration.
        field: The argument with the names.
        problem: Text of the problem, with ``{}`` for the name.
    """
    known: set[str] = set()
    for name in names:
        if name in known:
            raise DeclarationError(where, field, problem.format(name), "Let each name mean one thing")
        known.add(name)


def column_name(published: str, taken: Collection[str] = ()) -> str:
    """Turn a published name into a column name: ``Case-Fatality_Ratio`` into ``case_fatality_ratio``.

    Args:
        published: As the publisher writes it.
        taken: Names of the other columns. A name that is reserved is taken, too.
    """
    taken = {*taken, *RESERVED, *KEPT_BY_POSTGRES}
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", published)
    plain = "_".join(re.findall("[a-z0-9]+", parted.lower())) or "column"
    name = (f"_{plain}" if plain[0].isdigit() else plain)[: MAX_IDENTIFIER_BYTES - 3]
    number = 2
    while (chosen := name if number == 2 else f"{name}_{number - 1}") in taken:  # noqa: PLR2004 -- the first
        number += 1
    return chosen
