"""Writes a declaration as a contract, validates it by the JSON Schema of the standard, and reads it back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml

from etl_assets import Schema, Source, contract

_jsonschema = import_module("jsonschema")  # it has no types

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets.contract import Exported, Imported


@dataclass(frozen=True)
class RoundTrip:
    """A declaration that was written as a contract and read back."""

    exported: Exported
    document: dict[str, Any]
    imported: Imported

    def source(self, **instead: Any) -> Source:
        """Return the declaration that was read; the arguments are those that no contract can carry."""
        return source_of(self.imported, instead)


def source_of(imported: Imported, instead: Mapping[str, Any]) -> Source:
    schema = Schema(tuple(imported.columns), imported.key, **imported.of_schema)
    named = {"name": imported.name, "description": imported.description, "owner": imported.owner, "schema": schema}
    return Source(**{**named, **imported.of_source, **instead})


def round_trip(source: Source) -> RoundTrip:
    exported = contract.export(source)
    text = exported.contract.to_yaml()
    document = yaml.safe_load(text)
    schema = json.loads(files("open_data_contract_standard").joinpath("schema.json").read_text("utf-8"))
    errors = [
        f"{list(error.path)}: {error.message[:200]}"
        for error in _jsonschema.Draft201909Validator(schema).iter_errors(document)
    ]
    assert errors == []
    (imported,) = contract.import_contract(text)
    return RoundTrip(exported, document, imported)
