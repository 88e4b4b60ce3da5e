"""A column as a property of the standard: what the standard has a place for, and the rest as custom properties."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from etl_assets.contract.values import write_value

if TYPE_CHECKING:
    from etl_assets.schema import Column

LOGICAL: Final = {
    "text": "string",
    "integer": "integer",
    "float": "number",
    "decimal": "number",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
    "time": "time",
    "json": "object",
    "uuid": "string",
}
"""The logical type of the standard for each of ours."""
SENSITIVE: Final = "sensitive"
"""The classification of a column whose values are hidden."""
VENDOR: Final = "etl-assets"
"""Whose custom properties ours are."""
_REFERENCE: Final = re.compile(r"core\.([a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*)")


def custom(name: str, text: str) -> dict[str, str]:
    """Return a custom property of ours: an argument, and the Python of its value."""
    return {"property": name, "value": text, "vendor": VENDOR}


def property_of(column: Column, key: tuple[str, ...]) -> tuple[dict[str, Any], list[str]]:
    """Return a column as a property of the standard, and the arguments that it cannot carry.

    Args:
        column: The column.
        key: Names of the columns of the key.
    """
    arguments, type_ = dict(column.arguments), column.type
    found: dict[str, Any] = {"name": column.name, "physicalType": type_.postgres, "logicalType": LOGICAL[type_.name]}
    if column.name in key:
        found |= {"primaryKey": True, "primaryKeyPosition": key.index(column.name) + 1}
    for name in ("description", "required", "unique"):
        if arguments.get(name):
            found[name] = arguments.pop(name)
    if arguments.pop("sensitive", False):
        found["classification"] = SENSITIVE
    if options := _options(type_.name, arguments):
        found["logicalTypeOptions"] = options
    if "allowed" in arguments:
        found["enum"] = [{"value": value} for value in arguments.pop("allowed")]
    if isinstance(to := arguments.get("references"), str) and (match := _REFERENCE.fullmatch(to)):
        found["relationships"] = [{"type": "foreignKey", "to": match[1]}]
        del arguments["references"]
    texts = {name: write_value(value) for name, value in arguments.items()}
    if carried := [custom(name, text) for name, text in texts.items() if text is not None]:
        found["customProperties"] = carried
    return found, [name for name, text in texts.items() if text is None]


def _options(type_: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a logical type, and take the arguments that they carry."""
    options: dict[str, Any] = {"format": "uuid"} if type_ == "uuid" else {}
    for name in ("minimum", "maximum"):
        limit = arguments.get(name)
        if isinstance(limit, int | float):
            options[name] = arguments.pop(name)
        elif type(limit) is date:
            options[name] = arguments.pop(name).isoformat()
    if "length" in arguments:
        options["maxLength"] = arguments.pop("length")
    if "pattern" in arguments:
        options["pattern"] = f"^(?:{arguments.pop('pattern')})$"
    return options
