"""The generated pages together: by their paths, by their folders, and the parts of written pages that are generated."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from etl_assets_tests.site import alert_rules, commands, formats, index, rules, settings, vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping

_DOCS: Final = Path(__file__).parents[2] / "docs"


@cache
def generated() -> Mapping[str, str]:
    """Return the text of each generated page by its path below ``docs``, in the order of the navigation."""
    made: dict[str, str] = {}
    for module in (vocabulary, rules, formats, commands, settings):
        made |= module.pages()
    return {"reference/index.md": index.page(made)} | made


def of_folder(folder: str) -> list[str]:
    """Return the pages of a folder, generated or written: first that of the folder itself, then the others in order."""
    written = sorted(path.relative_to(_DOCS).as_posix() for path in (_DOCS / folder).glob("*.md"))
    paths = [*written, *(path for path in generated() if path.startswith(folder) and path not in written)]
    return sorted(paths, key=lambda path: not path.endswith(("/index.md", "/README.md")))


def filled(page: str, text: str) -> str:
    """Return the text of a page with the parts that are generated."""
    return alert_rules.filled(text) if page.startswith("alert-rules/") else text
