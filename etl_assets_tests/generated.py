"""What is written from the code, so that it stands in one place: ``make format`` writes it, a test finds it stale.

The kinds of rules give the type of `Column`'s arguments, and the table of them in the documents.
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
    """The module that types the arguments of `Column` that are rules."""
    asked = {kind: rule for kind, rule in KINDS.items() if rule.keyword}
    homes = sorted({home for rule in asked.values() for home in _homes(rule)})
    imports = "\n".join(f"    from {module} import {name}" for module, name in homes)
    lines = "\n".join(f"    {kind}: {_optional(rule.keyword)}" for kind, rule in asked.items())
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
    """The table of the rules of a column, with the marks around it."""
    rows = [
        f"| `{kind}` | {_entry(rule)} | {'`False`' if rule.keyword == 'bool' else 'none'} |\n"
        for kind, rule in KINDS.items()
        if rule.keyword
    ]
    return f"{BEGIN}\n| rule | asks | default |\n| --- | --- | --- |\n{''.join(rows)}\n{END}"


def with_rules_table(document: str) -> str:
    """The document with the table as it must be."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{rules_table()}{after}"


def write() -> None:
    """Write all of it."""
    KEYWORDS.write_text(keywords(), encoding="utf-8")
    DECLARING.write_text(with_rules_table(DECLARING.read_text(encoding="utf-8")), encoding="utf-8")


def _entry(rule: type[ColumnRule]) -> str:
    """What a kind's docstring says, up to its attributes, in one line."""
    said, _, _ = inspect.cleandoc(rule.__doc__ or "").partition("\n\nAttributes:")
    line = " ".join(said.split())
    return f"{line[0].lower()}{line[1:].removesuffix('.')}" if not line.startswith("`") else line.removesuffix(".")


def _optional(keyword: str) -> str:
    return keyword if keyword == "bool" else f"{keyword} | None"


def _homes(rule: type[ColumnRule]) -> set[tuple[str, str]]:
    """Module and name of what a keyword's type is made of, other than builtins."""
    found = set()
    for name in re.findall(r"[A-Za-z_]\w*", rule.keyword):
        if not hasattr(builtins, name):
            found.add((types.__name__ if hasattr(types, name) else rule.__module__, name))
    return found


if __name__ == "__main__":
    write()
