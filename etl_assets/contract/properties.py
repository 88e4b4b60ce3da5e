"""Reads a property of a contract as a column."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from etl_assets.contract.columns import LOGICAL, SENSITIVE
from etl_assets.errors import DeclarationError
from etl_assets.model.zones import check_zone
from etl_assets.schema import Column
from etl_assets.schema.names import column_name
from etl_assets.schema.types import MAX_DECIMAL_DIGITS

if TYPE_CHECKING:
    from collections.abc import Mapping

_TYPE: Final = re.compile(r"([a-z][a-z0-9_ ]*?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?( with(?:out)? time zone)?")
_PHYSICAL: Final = {
    "text": ("text", "varchar", "character varying", "char", "character", "string", "nvarchar", "bpchar", "clob"),
    "integer": ("bigint", "integer", "int", "smallint", "int2", "int4", "int8", "tinyint", "serial", "bigserial"),
    "float": ("double precision", "float", "real", "double", "float4", "float8", "float64"),
    "decimal": ("numeric", "decimal", "number"),
    "boolean": ("boolean", "bool"),
    "date": ("date",),
    "timestamp": ("timestamp", "timestamptz", "timestamp_ntz", "timestamp_tz", "timestamp_ltz", "datetime"),
    "time": ("time",),
    "json": ("jsonb", "json", "variant", "object", "array", "struct"),
    "uuid": ("uuid",),
}
_BY_PHYSICAL: Final = {name: type_ for type_, names in _PHYSICAL.items() for name in names}
_BY_LOGICAL: Final = {
    **{logical: type_ for type_, logical in reversed(LOGICAL.items())},
    "number": "float",
    "array": "json",
    "map": "json",
    "vector": "json",
}
_WITH_ZONE: Final = frozenset({"timestamptz", "timestamp_tz", "timestamp_ltz"})
_SCALE: Final = 9
"""Digits after the point of a decimal whose contract does not say how many."""
_SENSITIVE: Final = frozenset({SENSITIVE, "confidential", "restricted", "pii", "secret"})


def without(element: dict[str, Any], *path: str) -> Any:
    """Take a value out of an element by its path; None if it is not there."""
    *names, last = path
    for name in names:
        inner = element.get(name)
        if not isinstance(inner, dict):
            return None
        element = inner
    return element.pop(last, None)


def read_column(element: dict[str, Any], own: Mapping[str, Any], place: int) -> tuple[Column, list[str]]:
    """Return the column that a property declares, and what of it is not declared, as clauses.

    What is understood is taken out of the property.

    Args:
        element: The property, as plain values.
        own: The values of our custom properties of it.
        place: Its place among the properties.
    """
    problems: list[str] = []
    published = str(element.pop("name", None) or element.pop("physicalName", None) or f"column_{place + 1}")
    name = column_name(published)
    arguments: dict[str, Any] = {} if name == published else {"published_as": published}
    if element.get("physicalName") in {name, published}:
        element.pop("physicalName")
    type_ = _type(element, arguments, problems, with_zone="zone" in own or "formats" in own)
    for argument in ("required", "unique", "description"):
        if value := element.pop(argument, None):
            arguments[argument] = value
    if str(element.get("classification")).lower() in _SENSITIVE:
        arguments["sensitive"] = True
        if element.pop("classification").lower() != SENSITIVE:
            problems.append("its classification is declared as sensitive=True")
    _read_enum(element, arguments, type_)
    _read_reference(element, arguments)
    _read_quality(element, arguments)
    column = Column(name, type_, **_base(arguments))  # type: ignore[arg-type]
    for argument, value in {**arguments, **own}.items():
        column = _with(column, argument, value, problems)
    return column, problems


_OF_TYPE: Final = ("precision", "scale", "zone")


def _base(arguments: dict[str, Any]) -> dict[str, Any]:
    """Take the arguments without which the type is not whole."""
    return {name: arguments.pop(name) for name in _OF_TYPE if name in arguments}


def _with(column: Column, argument: str, value: Any, problems: list[str]) -> Column:
    """Return the column with an argument more, if it is sound with it."""
    try:
        changed = column.replace(**{argument: value})
        changed.check("the contract")
    except (DeclarationError, TypeError) as error:
        if argument in {"formats", "zone"} or argument in _OF_TYPE:
            return column.replace(**{argument: value})
        problems.append(f"{argument}: {str(error).partition(': ')[2] or type(error).__name__}")
        return column
    return changed


def _type(element: dict[str, Any], arguments: dict[str, Any], problems: list[str], *, with_zone: bool) -> str:
    """Take the type out of a property; the physical one says more than the logical one."""
    logical, physical = element.pop("logicalType", None), element.pop("physicalType", None)
    options = element.get("logicalTypeOptions") or {}
    match = _TYPE.fullmatch(str(physical or "").strip().lower())
    type_ = _BY_PHYSICAL.get(match[1]) if match else None
    usual = _BY_LOGICAL.get(str(logical))
    if type_ is None:
        type_ = "uuid" if options.get("format") == "uuid" else usual or "text"
        if physical is not None or usual is None:
            problems.append(f"the type {physical or logical or 'that is missing'}, which is declared as {type_}")
    elif usual is not None and LOGICAL[type_] != LOGICAL[usual] and logical not in {"array", "map", "vector"}:
        problems.append(f"the logical type {logical}, for the physical type is {physical}")
    if type_ == "uuid" and options.get("format") == "uuid":
        del options["format"]
    _parameters(type_, match, options, arguments, problems, with_zone=with_zone)
    _limits(type_, options, arguments)
    return type_


def _parameters(
    type_: str,
    match: re.Match[str] | None,
    options: dict[str, Any],
    arguments: dict[str, Any],
    problems: list[str],
    *,
    with_zone: bool,
) -> None:
    first, second = (match[2], match[3]) if match else (None, None)
    if type_ == "text" and first:
        arguments["length"] = int(first)
    elif type_ == "decimal":
        digits, scale = int(first or 0), int(second or 0)
        is_possible = 0 < digits <= MAX_DECIMAL_DIGITS and scale <= digits
        arguments["precision"], arguments["scale"] = (digits, scale) if is_possible else (MAX_DECIMAL_DIGITS, _SCALE)
        if not is_possible:
            problems.append(
                f"the digits of its numbers, which are {MAX_DECIMAL_DIGITS}, {_SCALE} of them after the point"
            )
    elif type_ == "timestamp" and not with_zone:
        has_zone = bool(match) and (match[1] in _WITH_ZONE or match[4] == " with time zone")  # type: ignore[index]
        zone = options.pop("defaultTimezone", None)
        if zone and not _is_zone(str(zone)):
            problems.append(f"the zone {zone}, which does not exist; it is UTC")
            zone = "UTC"
        if options.pop("timezone", None) or has_zone or zone:
            arguments["zone"] = str(zone or "UTC")


def _limits(type_: str, options: dict[str, Any], arguments: dict[str, Any]) -> None:
    for name in ("minimum", "maximum"):
        value = options.get(name)
        if type_ == "date" and isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            with suppress(ValueError):  # no day of the calendar: it is listed
                value = date.fromisoformat(value)
        if (type_ == "date" and type(value) is date) or (
            type_ in {"integer", "float", "decimal"} and isinstance(value, int | float)
        ):
            arguments[name] = value
            del options[name]
    if type_ == "text" and isinstance(options.get("maxLength"), int):
        arguments["length"] = options.pop("maxLength")
    if type_ == "text" and isinstance(pattern := options.get("pattern"), str):
        arguments["pattern"] = _whole(pattern)
        del options["pattern"]


def _whole(pattern: str) -> str:
    """Return a pattern that a text must match as a whole; that of the standard is found anywhere in it."""
    if pattern.startswith("^(?:") and pattern.endswith(")$") and _is_pattern(pattern[4:-2]):
        return pattern[4:-2]
    if pattern.startswith("^") and pattern.endswith("$") and not pattern.endswith(r"\$") and "|" not in pattern:
        return pattern[1:-1]
    return rf"(?s:.*)(?:{pattern})(?s:.*)"


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True


def _is_zone(name: str) -> bool:
    try:
        check_zone(name, "the contract", "zone")
    except DeclarationError:
        return False
    return True


def _read_enum(element: dict[str, Any], arguments: dict[str, Any], type_: str) -> None:
    values = [each.get("value") for each in element.get("enum") or []]
    kind = {"text": str, "integer": int}.get(type_)
    if values and kind and all(isinstance(value, kind) for value in values):
        arguments["allowed"] = tuple(values)
        for each in element["enum"]:
            del each["value"]


def _read_reference(element: dict[str, Any], arguments: dict[str, Any]) -> None:
    for relationship in element.get("relationships") or []:
        to = relationship.get("to")
        is_plain = isinstance(to, str) and re.fullmatch(r"[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*", to)
        if is_plain and relationship.get("type", "foreignKey") == "foreignKey" and "references" not in arguments:
            arguments["references"] = f"core.{to}"
            relationship.pop("type", None)
            del relationship["to"]


def _read_quality(element: dict[str, Any], arguments: dict[str, Any]) -> None:
    """Take the checks out of a property that rules of a column say, too."""
    for check in element.get("quality") or []:
        metric, name = check.get("metric") or check.get("rule"), "metric" if check.get("metric") else "rule"
        if check.get("mustBe") != 0 or isinstance(check.get("mustBe"), bool):
            continue
        given = check.get("arguments") or {}
        if metric == "nullValues":
            arguments["required"] = True
        elif metric == "duplicateValues":
            arguments["unique"] = True
        elif metric == "invalidValues" and isinstance(given.get("validValues"), list):
            arguments.setdefault("allowed", tuple(given.pop("validValues")))
        elif metric == "invalidValues" and isinstance(given.get("pattern"), str):
            arguments.setdefault("pattern", _whole(given.pop("pattern")))
        else:
            continue
        check.pop("type", None)
        del check[name], check["mustBe"]
