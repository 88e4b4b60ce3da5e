"""The kinds of rules: one module each, found by what this folder holds.

Here live what a rule asks of a value or a record, its words, its check, its expression and its audit. Rejecting
records is ``validate``'s business; asking the table is ``load``'s.
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
    """Every kind of rule of a column by its name: those that others build on, then by module and place in it."""
    found: dict[str, type[ColumnRule]] = {}
    for module in pkgutil.iter_modules(__path__):
        members = vars(importlib.import_module(f"{__name__}.{module.name}")).values()
        for each in members:
            if inspect.isclass(each) and issubclass(each, ColumnRule) and not inspect.isabstract(each):
                found[each.kind] = each
    return {kind: found.pop(kind) for kind in _FIRST} | found


KINDS: Final = _kinds()
"""Every kind of rule of a column, by its name, in the order in which a record's broken rules are listed."""

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
