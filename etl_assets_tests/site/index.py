"""The first page of the reference: what its parts are, and how many things each has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_PARTS: Final = {
    "vocabulary": ("Vocabulary", "what a file of sources imports"),
    "rules": ("Rules", "what a value or a record must keep, with the meaning in SQL"),
    "formats": ("Formats", "how bytes become records, with every option"),
    "commands": ("Commands", "the command line, with every option"),
}


def page(made: Mapping[str, str]) -> str:
    """Return the text of the page.

    Args:
        made: The other generated pages by their paths.
    """
    rows = "".join(
        f"| [{title}]({name}/index.md) | {what} | {sum(path.startswith(f'reference/{name}/') for path in made) - 1} |\n"
        for name, (title, what) in _PARTS.items()
    )
    return (
        "# Reference\n\nThese pages are generated from the code when the site is built: from docstrings, from "
        "the rules and formats themselves, and from the commands.\n\n"
        f"| part | has | pages |\n| --- | --- | --: |\n{rows}"
        "| [Settings](settings.md) | every variable of the environment | 1 |\n\n"
        "The tables of schema `etl` are in [operating](../operating.md#tables-of-schema-etl) and in "
        "[run history](../run-history.md).\n"
    )
