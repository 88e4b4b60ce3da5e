"""The kinds of rules: each module of this folder is found automatically.

A kind defines what a rule requires of a value or a record: its words, its check, its expression and its audit.
``validate`` rejects records; ``load`` evaluates the rules that need the table.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Final

from etl_assets.schema.rules.base import Audit, ColumnRule, Lookup, NotAudited, OnMissing, RecordRule, UniqueClaim
from etl_assets.schema.rules.expression import Rule
from etl_assets.schema.rules.references import ForeignKey
from etl_assets.schema.rules.unique import UniqueTogether

_FIRST: Final = ("required", "type")


def _kinds() -> dict[str, type[ColumnRule]]:
    """Find every kind of rule of a column: first those that others build on, then by module and order of definition."""
    kinds: dict[str, type[ColumnRule]] = {}
    for module in pkgutil.iter_modules(__path__):
        members = vars(importlib.import_module(f"{__name__}.{module.name}")).values()
        for member in members:
            if inspect.isclass(member) and issubclass(member, ColumnRule) and not inspect.isabstract(member):
                kinds[member.kind] = member
    return {kind: kinds.pop(kind) for kind in _FIRST} | kinds


KINDS: Final = _kinds()
"""Every kind of rule of a column, by name, in the order in which a record's broken rules are listed."""

__all__ = [
    "KINDS",
    "Audit",
    "ColumnRule",
    "ForeignKey",
    "Lookup",
    "NotAudited",
    "OnMissing",
    "RecordRule",
    "Rule",
    "UniqueClaim",
    "UniqueTogether",
]
