"""Names of sources: which are allowed, and the one that a file suggests."""

from __future__ import annotations

import re
from typing import Final

from etl_assets.errors import DeclarationError
from etl_assets.model.asset_attributes import check_name
from etl_assets.schema.names import column_name

_LONGEST: Final = 50
_ALLOWED: Final = re.compile(r"[a-z][a-z0-9_]*")


def check_source_name(name: str) -> None:
    """Refuse a name that a source, or its file, cannot have.

    Raises:
        DeclarationError: If the name is not allowed; the error has one like it that is.
    """
    where = f"source {name!r}"
    if not _ALLOWED.fullmatch(name) or len(name) > _LONGEST:
        raise DeclarationError(
            where,
            "name",
            "is not allowed, and nothing was written",
            f"Use at most {_LONGEST} lower-case letters, digits and underscores, and begin with a letter, "
            f"e.g. {source_name(name)}; the file must be named like the source",
        )
    check_name(name, where)


def source_name(location: str) -> str:
    """Return the name of a source for a file: that of the file without endings, cut and with letters that are allowed.

    Args:
        location: Path or URL of the file.
    """
    file = re.split(r"[/\\]", re.split(r"[?#]", location)[0].rstrip("/"))[-1]
    plain = column_name(file.partition(".")[0]).lstrip("_")
    name = (f"feed_{plain}" if not plain[:1].isalpha() else plain)[:_LONGEST].rstrip("_")
    try:
        check_name(name, "the name")
    except DeclarationError:
        return f"{name}_feed"
    return name
