"""Writes a declaration as a contract."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from etl_assets.contract.columns import custom, property_of
from etl_assets.contract.values import write_value
from etl_assets.schema import ForeignKey, Rule, UniqueTogether

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from dataclasses import Field

    from open_data_contract_standard.model import OpenDataContractStandard

    from etl_assets.schema import RecordRule
    from etl_assets.source import Source

API_VERSION: Final = "v3.2.0"
VERSION_DIGITS: Final = 12
"""The version of a contract is the beginning of the declaration's fingerprint."""
UNITS: Final = {"d": timedelta(days=1), "h": timedelta(hours=1), "min": timedelta(minutes=1), "s": timedelta(seconds=1)}
"""The units of agreed times, the longest first."""
NOT_CARRIED: Final = "notCarried"
WITH_A_PLACE: Final = frozenset({"name", "description", "owner", "schema", "tags", "freshness"})
_OF_SCHEMA: Final = ("ignored", "order_by", "inputs", "repeated_keys")


@dataclass(frozen=True)
class Exported:
    """A declaration as a contract.

    Attributes:
        contract: The document.
        not_carried: What of the declaration it does not have, a clause for each; the document lists it, too.
    """

    contract: OpenDataContractStandard
    not_carried: tuple[str, ...]


def export(source: Source) -> Exported:
    """Return a declaration as a contract."""
    from open_data_contract_standard.model import OpenDataContractStandard  # noqa: PLC0415 -- of an extra

    not_carried: list[str] = []
    table = _table(source, not_carried)
    carried = _custom(_values(source), not_carried)
    if not_carried:
        carried.append(custom(NOT_CARRIED, "; ".join(not_carried)))
    document: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": "DataContract",
        "id": source.name,
        "name": source.name,
        "version": source.fingerprint[:VERSION_DIGITS],
        "status": "active",
        "description": {"purpose": source.description},
        "team": {"members": [{"username": source.owner, "role": "owner"}]},
        "tags": [f"{name}={value}" for name, value in source.tags.items()],
        "schema": [table],
        "slaProperties": _agreements(source),
        "customProperties": carried,
    }
    contract = OpenDataContractStandard(**{name: value for name, value in document.items() if value})
    return Exported(contract, tuple(not_carried))


def _table(source: Source, not_carried: list[str]) -> dict[str, Any]:
    schema = source.schema
    properties = []
    for column in schema.columns:
        found, missing = property_of(column, schema.key)
        properties.append(found)
        not_carried += [f"{name} of column {column.name}" for name in missing]
    table: dict[str, Any] = {
        "name": source.name,
        "physicalName": source.table,
        "physicalType": "table",
        "logicalType": "object",
        "properties": properties,
    }
    quality, relationships, others = _rules(source, not_carried)
    parts = {name: getattr(schema, name) for name in _OF_SCHEMA} | {"rules": others}
    defaults = {field.name: _default(field) for field in fields(schema)}
    more = _custom({name: value for name, value in parts.items() if value != defaults[name]}, not_carried)
    optional = {"quality": quality, "relationships": relationships, "customProperties": more}
    return table | {name: value for name, value in optional.items() if value}


def _rules(
    source: Source, not_carried: list[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], tuple[RecordRule, ...]]:
    """Return the rules of whole records as quality, as relationships, and those for which the standard has no place.

    A rule of one's own is described in words, and its condition is not carried. If the rules would be read back in
    another order, none has a place.
    """
    own = [rule for rule in source.schema.rules if isinstance(rule, Rule)]
    not_carried += [f"the condition of rule {rule.name}" for rule in own]
    quality = [{"type": "text", "name": rule.name, "description": rule.words} for rule in own]
    rules = tuple(rule for rule in source.schema.rules if rule not in own)
    together = [rule for rule in rules if isinstance(rule, UniqueTogether)]
    keys = [rule for rule in rules if isinstance(rule, ForeignKey) and _has_place(rule)]
    others = tuple(rule for rule in rules if rule not in together and rule not in keys)
    if (*together, *keys, *others) != rules:
        return quality, [], rules
    unique = [
        {
            "type": "library",
            "metric": "duplicateValues",
            "arguments": {"properties": list(rule.columns)},
            "mustBe": 0,
        }
        for rule in together
    ]
    return [*quality, *unique], [_relationship(source, key) for key in keys], others


def _has_place(key: ForeignKey) -> bool:
    """Return whether a relationship of the standard says all of a foreign key."""
    return key.missing == "park" and key.table.startswith("core.")


def _relationship(source: Source, key: ForeignKey) -> dict[str, Any]:
    parent = key.table.removeprefix("core.")
    return {
        "type": "foreignKey",
        "from": [f"{source.name}.{name}" for name in key.columns],
        "to": [f"{parent}.{name}" for name in key.parent_columns or key.columns],
    }


def _values(source: Source) -> dict[str, Any]:
    """Return the arguments of a source that the standard has no place for, and that differ from their defaults."""
    values = {field.name: (getattr(source, field.name), _default(field)) for field in fields(source) if field.init}
    return {name: value for name, (value, default) in values.items() if name not in WITH_A_PLACE and value != default}


def _custom(values: Mapping[str, Any], not_carried: list[str]) -> list[dict[str, str]]:
    carried = []
    for name, value in values.items():
        text = write_value(value)
        if text is None:
            not_carried.append(f"{name}: code of one's own, or what may be secret")
        else:
            carried.append(custom(name, text))
    return carried


def _agreements(source: Source) -> Sequence[dict[str, Any]]:
    if source.freshness is None:
        return []
    unit, length = next(
        ((unit, length) for unit, length in UNITS.items() if not source.freshness % length),
        ("s", UNITS["s"]),
    )
    value = source.freshness / length
    return [{"property": "latency", "value": int(value) if value.is_integer() else value, "unit": unit}]


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default
