"""Generates files from the code: ``make format`` writes them, and a test fails if they are out of date.

The kinds of rules determine the types of the arguments of `Column`, and the table of rules in the documents.
"""

from __future__ import annotations

import builtins
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from etl_assets.schema import types
from etl_assets.schema.rules import KINDS

if TYPE_CHECKING:
    from etl_assets.schema.rules import ColumnRule

_ROOT: Final = Path(__file__).parents[1]
KEYWORDS: Final = _ROOT / "etl_assets/schema/rules/keywords.py"
DECLARING: Final = _ROOT / "docs/declaring-a-source.md"
BEGIN: Final = "<!-- The rules of a column, from the kinds of rules: `make format` writes this table. -->\n"
END: Final = "<!-- End of the rules of a column. -->\n"


def keywords() -> str:
    """Return the text of the module with the types of the arguments of `Column` that are rules."""
    by_keyword = {kind: rule for kind, rule in KINDS.items() if rule.keyword}
    homes = sorted({home for rule in by_keyword.values() for home in _homes(rule)})
    imports = "\n".join(f"    from {module} import {name}" for module, name in homes)
    lines = "\n".join(f"    {kind}: {_optional(rule.keyword)}" for kind, rule in by_keyword.items())
    return f'''"""The arguments of `Column` that are rules. Written by ``make format`` from the kinds; do not edit."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
{imports}


class RuleKeywords(TypedDict, total=False):
    """One key for each kind of rule that is declared by an argument; None is the same as to leave it out."""

{lines}
'''


def rules_table() -> str:
    """Return the table of the rules of a column, with the comments around it."""
    rows = [
        f"| `{kind}` | {_entry(rule)} | {'`False`' if rule.keyword == 'bool' else 'none'} |\n"
        for kind, rule in KINDS.items()
        if rule.keyword
    ]
    return f"{BEGIN}\n| rule | requires | default |\n| --- | --- | --- |\n{''.join(rows)}\n{END}"


def with_rules_table(document: str) -> str:
    """Return the document with the current table."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{rules_table()}{after}"


def write() -> None:
    """Write all generated files."""
    KEYWORDS.write_text(keywords(), encoding="utf-8")
    DECLARING.write_text(with_rules_table(DECLARING.read_text(encoding="utf-8")), encoding="utf-8")


def _entry(rule: type[ColumnRule]) -> str:
    """Return the docstring of a kind of rule, up to its attributes, in one line."""
    text, _, _ = inspect.cleandoc(rule.__doc__ or "").partition("\n\nAttributes:")
    line = " ".join(text.split())
    return f"{line[0].lower()}{line[1:].removesuffix('.')}" if not line.startswith("`") else line.removesuffix(".")


def _optional(keyword: str) -> str:
    return keyword if keyword == "bool" else f"{keyword} | None"


def _homes(rule: type[ColumnRule]) -> set[tuple[str, str]]:
    """Return the module and the name of each type in the type of a keyword, without builtins."""
    homes = set()
    for name in re.findall(r"[A-Za-z_]\w*", rule.keyword):
        if not hasattr(builtins, name):
            homes.add((types.__name__ if hasattr(types, name) else rule.__module__, name))
    return homes


if __name__ == "__main__":
    write()
