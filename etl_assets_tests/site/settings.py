"""The page of the settings, from the docstring of `etl_assets.settings`."""

from __future__ import annotations

import inspect
import re
from typing import Final

from etl_assets import settings
from etl_assets_tests.site.arguments import as_markdown

_RULE: Final = re.compile(r"^=+ =+\n", re.MULTILINE)
_PATH: Final = "reference/settings.md"


def pages() -> dict[str, str]:
    """Return the page by its path."""
    _, table, after = _RULE.split(inspect.cleandoc(settings.__doc__ or ""))
    rows = "".join(f"| {' '.join(names.split())} | {' '.join(text.split())} |\n" for names, text in _rows(table))
    text = f"| variable | meaning |\n| --- | --- |\n{rows}\n{after.strip()}\n"
    return {
        _PATH: "# Settings\n\nEvery setting is a variable of the environment. "
        f"[Operating](../operating.md#settings) has what follows from each.\n\n{as_markdown(text)}"
    }


def _rows(table: str) -> list[tuple[str, str]]:
    """Return the names and the meaning in each row; a row goes on in the lines below it."""
    rows: list[tuple[str, str]] = []
    for line in table.splitlines():
        if begins := re.match(r"(``[A-Z_]+``,?(?: ``[A-Z_]+``)*)(.*)", line):
            rows.append((begins[1], begins[2]))
        else:
            rows[-1] = (rows[-1][0], f"{rows[-1][1]} {line}")
    return rows
