"""What a result of an expectation shows: counts, one number over many rows, and keys; no other contents of records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from etl_assets.schema import Schema

SAMPLE: Final = 10
"""Maximum number of rows whose keys are shown."""


def describe_unmet(failed: int, rows: int, observed: float | str | None) -> str:
    """Describe in words what is not as expected, without record contents.

    Args:
        failed: Number of rows that are not as expected.
        rows: Number of all rows; 0 if they were not counted.
        observed: What may be shown of what was observed.
    """
    if failed:
        if rows:
            return f"{failed} of {rows} rows do not meet it."
        return "1 row does not meet it." if failed == 1 else f"{failed} rows do not meet it."
    return "The table does not meet it." if observed is None else f"The observed value is {observed}."


def is_shown(schema: Schema, names: Iterable[str]) -> bool:
    """Return whether values of some columns may be shown: none of them is sensitive."""
    sensitive = {column.name for column in schema.columns if column.sensitive}
    return sensitive.isdisjoint(names)


def plain(value: Any) -> Any:
    """Return a value as JSON has it; as a text if JSON has no such values."""
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
