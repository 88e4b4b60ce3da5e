"""Reads the values by which a person names a row: as the schema types them, in the notation of the feed or in ours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from etl_assets.errors import ExplainError
from etl_assets.extract.formats.reread import RereadBatch
from etl_assets.ingest import record_keys
from etl_assets.model.batch import NONE_MALFORMED, REJECTED_RULES
from etl_assets.schema import RECORD_NO
from etl_assets.validate import RuleValidator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.schema import Column, DataType, Schema
    from etl_assets.source import Source

_HOURS_ALONE: Final = re.compile(r"(?<=:\d\d)([+-]\d\d)\Z|(?<=\.\d{6})([+-]\d\d)\Z")
"""The offset of an instant as psql shows it."""


@dataclass(frozen=True)
class Key:
    """The values that name a row, or several rows of a table without a key.

    Attributes:
        texts: As the person wrote them, by column.
        frame: The same as one row of values, with the types of the columns.
        types: The types of the columns.
    """

    texts: Mapping[str, str]
    frame: pl.DataFrame
    types: Mapping[str, DataType]

    @property
    def typed(self) -> dict[str, tuple[DataType, Any]]:
        """Name of each column to its type and value."""
        return {name: (self.types[name], value) for name, value in self.frame.row(0, named=True).items()}


def parse_key(source: Source, texts: Mapping[str, str]) -> Key:
    """Read the values that name a row.

    A value is written as the publisher writes it, or as the database shows it.

    Args:
        source: The declaration.
        texts: Text of each value, by the name of the column in the table.

    Raises:
        ExplainError: If they are not the columns of the key, or a value is not written as declared. The text has none
            of the values.
    """
    names = _names(source, texts)
    schema = schema_of(source, names, given=True)
    written = {name: _with_minutes(texts[name], schema[name]) for name in names}
    verdict = RuleValidator().validate(_Given(written), schema)
    if not verdict.rejected.is_empty():
        rules = verdict.rejected[REJECTED_RULES].to_list()[0]
        raise ExplainError(f"The key cannot be read: {'; '.join(_problem(schema, rule) for rule in rules)}.")
    return Key(dict(texts), verdict.rows.select(names), {name: schema[name].type for name in names})


def schema_of(source: Source, names: Sequence[str], *, given: bool = False) -> Schema:
    """Return the schema of some columns alone, all of them required, with their notations and without other rules.

    Args:
        source: The declaration.
        names: Of the columns.
        given: Whether a person gives the values, under the names of the table and without defaults.
    """
    as_given: dict[str, Any] = {"published_as": None, "derived": False, "default": None} if given else {}
    return record_keys.schema_of([source.schema[name].replace(required=True, **as_given) for name in names])


def _names(source: Source, texts: Mapping[str, str]) -> tuple[str, ...]:
    """Return the columns that name a row, in the order of the key; raise unless they are given."""
    schema, table = source.schema, source.table
    for name in texts:
        if name not in schema.names:
            near = get_close_matches(name, schema.names, 1) or _published(schema.columns, name)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise ExplainError(f"{table} has no column {name!r}.{hint} It has {', '.join(schema.names)}.")
        if schema[name].type.name == "json":
            raise ExplainError(f"{name} of {table} is json, by which no row is found. Name other columns.")
    if not schema.key:
        if texts:
            return tuple(name for name in schema.names if name in texts)
        raise ExplainError(f"{table} has no key. Name any of its columns: {', '.join(schema.names)}.")
    if missing := [name for name in schema.key if name not in texts]:
        example = " ".join(f"{name}=…" for name in schema.key)
        raise ExplainError(f"{', '.join(missing)} of the key of {table} is missing. Write: {table} {example}")
    if other := [name for name in texts if name not in schema.key]:
        raise ExplainError(f"{', '.join(other)} is not in the key of {table}, which is {', '.join(schema.key)}.")
    return schema.key


def _published(columns: Sequence[Column], name: str) -> list[str]:
    return [column.name for column in columns if name in column.published_names]


def _problem(schema: Schema, rule: str) -> str:
    name, _, kind = rule.rpartition("__")
    if kind == "required":
        return f"{name} has no value"
    return f"{name} is not written as {schema[name].type.words}" if name in schema.names else f"it breaks {rule}"


def _with_minutes(text: str, column: Column) -> str:
    return _HOURS_ALONE.sub(r"\g<0>:00", text) if column.type.is_instant else text


class _Given(RereadBatch):
    """One record of the values that a person wrote, as the publisher writes them or as the database shows them."""

    canonical = True

    def __init__(self, texts: Mapping[str, str]) -> None:
        names = tuple(texts)
        frame = pl.DataFrame([texts], schema=dict.fromkeys(names, pl.String))
        super().__init__({1: b""}, names, frame.with_columns(pl.Series(RECORD_NO, [1], pl.Int64)), NONE_MALFORMED)
