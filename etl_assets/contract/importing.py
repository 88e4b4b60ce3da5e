"""Reads a contract: what of it can be declared, and a list of everything else.

The document is taken apart: what is understood is taken out of it, and what is left is listed. So nothing is silent.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from itertools import chain, count
from typing import TYPE_CHECKING, Any, Final

from etl_assets.contract.columns import VENDOR
from etl_assets.contract.exporting import NOT_CARRIED, UNITS, WITH_A_PLACE
from etl_assets.contract.properties import read_column, without
from etl_assets.contract.servers import read_server
from etl_assets.contract.values import read_value
from etl_assets.errors import ContractError, DeclarationError
from etl_assets.infer import source_name
from etl_assets.model.asset_attributes import check_freshness, check_owner, check_tags
from etl_assets.schema import ForeignKey, UniqueTogether
from etl_assets.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from etl_assets.schema import Column, RecordRule

_UNIT_NAMES: Final = {
    **UNITS,
    **dict.fromkeys(("day", "days"), UNITS["d"]),
    **dict.fromkeys(("hour", "hours", "hr"), UNITS["h"]),
    **dict.fromkeys(("m", "minute", "minutes"), UNITS["min"]),
    **dict.fromkeys(("second", "seconds"), UNITS["s"]),
}
_OF_SOURCE: Final = frozenset(argument.name for argument in fields(Source) if argument.init) - WITH_A_PLACE
_OF_SCHEMA: Final = ("ignored", "order_by", "inputs", "repeated_keys", "rules")
_SHORTENED: Final = 44
"""So many characters of a name are kept when it gets a number, because another table has it."""
_MANY: Final = 200
"""So many things that were not understood are listed; more are counted."""


@dataclass
class Imported:
    """What a contract declares of one table.

    Attributes:
        name: Name of the source.
        description: What it is.
        owner: Who is responsible; None if the contract does not name one person or team.
        columns: Its columns.
        key: Names of the columns of the key.
        of_schema: Further arguments of the `Schema`.
        of_source: Further arguments of the `Source`.
        not_understood: What of the contract is not declared, a clause for each.
    """

    name: str
    description: str = ""
    owner: str | None = None
    columns: list[Column] = field(default_factory=list)
    key: tuple[str, ...] = ()
    of_schema: dict[str, Any] = field(default_factory=dict)
    of_source: dict[str, Any] = field(default_factory=dict)
    not_understood: list[str] = field(default_factory=list)


def import_contract(text: str) -> list[Imported]:
    """Return what a contract declares, one for each of its tables.

    Args:
        text: The document, as YAML or JSON.

    Raises:
        ContractError: If it is no contract of the standard, or has no table with columns.
    """
    from etl_assets.contract.document import parse_document  # noqa: PLC0415 -- needs the extra

    document = parse_document(text)
    is_ours = any(custom.get("vendor") == VENDOR for custom in document.get("customProperties") or [])
    tables = document.pop("schema", None) or []
    document.pop("apiVersion", None)
    document.pop("kind", None)
    taken: set[str] = set()
    sources = [_read_table(table, place, taken) for place, table in enumerate(tables)]
    sources = [source for source in sources if source.columns]
    if not sources:
        raise ContractError("The contract has no table with properties. Nothing was written. Add them under schema.")
    if is_ours:
        _take_identity(document, sources[0].name)
    common = _read_common(document, sources)
    for source in sources:
        source.not_understood += common
        if len(source.not_understood) > _MANY:
            more = len(source.not_understood) - _MANY
            source.not_understood = [*source.not_understood[:_MANY], f"and {more:,} more"]
    return sources


def _read_common(document: dict[str, Any], sources: list[Imported]) -> list[str]:
    """Read what a contract says of all of its tables; return what is not declared."""
    not_understood: list[str] = []
    purpose = without(document, "description", "purpose")
    owner = _owner(document)
    tags = _tags(document.pop("tags", None), not_understood)
    freshness = _freshness(document)
    own = _own_properties(document, not_understood)
    not_understood += [f"{name}, which no source has as a custom property" for name in own if name not in _OF_SOURCE]
    own = {name: value for name, value in own.items() if name in _OF_SOURCE}
    if "extractor" not in own and (extractor := read_server(document)) is not None:
        own["extractor"] = extractor
    for source in sources:
        source.description = "\n\n".join(filter(None, (purpose, source.description)))
        source.owner = owner
        source.of_source |= own | ({"tags": tags} if tags else {}) | ({"freshness": freshness} if freshness else {})
    return not_understood + list(left(document))


def _take_identity(document: dict[str, Any], name: str) -> None:
    """Take what an export of ours writes only because the standard asks for it."""
    if document.get("id") == document.get("name") == name:
        for taken in ("id", "name", "status", "version"):
            document.pop(taken, None)


def _owner(document: dict[str, Any]) -> str | None:
    """Take the owner out of the team, if it has one that a declaration can name."""
    team = document.get("team")
    members = team.get("members") or [] if isinstance(team, dict) else team or []
    for member in members:
        name = member.get("username")
        if member.get("role") != "owner" or not name:
            continue
        try:
            check_owner(name, "team")
        except DeclarationError:
            continue
        del member["username"], member["role"]
        return str(name)
    return None


def _tags(tags: list[str] | None, not_understood: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for tag in tags or []:
        name, _, value = tag.partition("=")
        try:
            check_tags({name: value}, "tags")
        except DeclarationError:
            not_understood.append(f"tags: {tag!r}")
        else:
            found[name] = value
    return found


def _freshness(document: dict[str, Any]) -> timedelta | None:
    """Take the agreed age of the data out of the agreements."""
    for agreement in document.get("slaProperties") or []:
        value, unit = agreement.get("value"), _UNIT_NAMES.get(str(agreement.get("unit")))
        if agreement.get("property") not in {"latency", "freshness"} or not isinstance(value, int | float) or not unit:
            continue
        try:
            freshness = value * unit
            check_freshness(freshness, "slaProperties")
        except (DeclarationError, OverflowError, ValueError):
            continue
        for name in ("property", "value", "unit"):
            del agreement[name]
        return freshness
    return None


def _own_properties(element: dict[str, Any], not_understood: list[str]) -> dict[str, Any]:
    """Take our custom properties out of an element of a contract, and read their values."""
    found: dict[str, Any] = {}
    for custom in element.get("customProperties") or []:
        if custom.get("vendor") != VENDOR:
            continue
        name, text = str(custom.pop("property", "")), custom.pop("value", "")
        del custom["vendor"]
        if name == NOT_CARRIED:
            not_understood += [f"not in the contract: {part}" for part in str(text).split("; ")]
            continue
        try:
            found[name] = read_value(str(text))
        except ContractError as error:
            not_understood.append(f"{name}: {error}")
    return found


def _read_table(table: dict[str, Any], place: int, taken: set[str]) -> Imported:
    """Read a table; its source gets a name that is not taken, which is then taken."""
    given = str(table.pop("name", None) or table.get("physicalName") or f"table_{place + 1}")
    name = source_name(given)
    names = chain([name], (f"{name[:_SHORTENED]}_{number}" for number in count(2)))
    source = Imported(next(free for free in names if free not in taken))
    taken.add(source.name)
    where = f"schema.{given}"
    if source.name != given:
        source.not_understood.append(f"{where}: the name, which cannot be that of a source; it is {source.name}")
    if table.get("physicalName") in {source.name, f"core.{source.name}"}:
        table.pop("physicalName")
    for name, usual in (("physicalType", "table"), ("logicalType", "object")):
        if table.get(name) == usual:
            table.pop(name)
    source.description = table.pop("description", None) or ""
    own = _own_properties(table, source.not_understood)
    source.of_schema = {name: own.pop(name) for name in _OF_SCHEMA if name in own}
    source.not_understood += [f"{where}: {name}, which no schema has" for name in own]
    _read_columns(table, source, where)
    rules = [*_unique_together(table, source), *_foreign_keys(table, source)]
    if every := (*rules, *source.of_schema.pop("rules", ())):
        source.of_schema["rules"] = every
    source.not_understood += [f"{where}.{clause}" for clause in left(table)]
    return source


def _read_columns(table: dict[str, Any], source: Imported, where: str) -> None:
    key: dict[str, int] = {}
    for place, element in enumerate(table.pop("properties", None) or []):
        is_key, position = element.pop("primaryKey", False), element.pop("primaryKeyPosition", None)
        own = _own_properties(element, source.not_understood)
        column, problems = read_column(element, own, place)
        here = f"{where}.{column.name}"
        source.not_understood += [f"{here}: {problem}" for problem in problems]
        source.not_understood += [f"{here}.{clause}" for clause in left(element)]
        if column.name in {other.name for other in source.columns}:
            source.not_understood.append(f"{here}: a second column of that name")
            continue
        if is_key:
            key[column.name] = position if isinstance(position, int) and position > 0 else place + 1
            if not column.required:
                source.not_understood.append(f"{here}: not required, and it is in the key; it is required now")
                column = column.replace(required=True)
        source.columns.append(column)
    source.key = tuple(sorted(key, key=lambda name: key[name]))


def _unique_together(table: dict[str, Any], source: Imported) -> Iterator[RecordRule]:
    names = {column.name for column in source.columns}
    for check in table.get("quality") or []:
        columns = (check.get("arguments") or {}).get("properties")
        is_unique = (check.get("metric"), check.get("mustBe")) == ("duplicateValues", 0)
        if is_unique and isinstance(columns, list) and len(columns) > 1 and set(columns) <= names:
            for name in ("type", "metric", "mustBe"):
                check.pop(name, None)
            del check["arguments"]["properties"]
            yield UniqueTogether(*columns)


def _foreign_keys(table: dict[str, Any], source: Imported) -> Iterator[RecordRule]:
    for relationship in table.get("relationships") or []:
        begin, end = ([each] if isinstance(each := relationship.get(name), str) else each for name in ("from", "to"))
        if not begin or not end or len(begin) != len(end) or relationship.get("type", "foreignKey") != "foreignKey":
            continue
        columns = tuple(str(name).rpartition(".")[2] for name in begin)
        parents = {str(name).rpartition(".")[0] for name in end}
        parent_columns = tuple(str(name).rpartition(".")[2] for name in end)
        if len(parents) != 1 or "" in parents or "." in (parent := parents.pop()) or "/" in parent:
            continue
        if not set(columns) <= {column.name for column in source.columns} or len(columns) == 1:
            continue
        for name in ("from", "to", "type"):
            relationship.pop(name, None)
        yield ForeignKey(columns, f"core.{parent}", parent_columns if parent_columns != columns else ())


def left(value: Any, path: str = "") -> Iterator[str]:
    """Yield everything that is left of an element, as a path and its value."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from left(part, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from left(part, f"{path}[{place}]")
    elif value is not None:
        yield f"{path}: {str(value)[:100]!r}"
