"""Hooks of MkDocs: add generated pages, add the documents beside the folder ``docs``, and lead links to both.

MkDocs knows one folder. Documents of the project's own folder become pages below ``project/``; a link to any other file
of the repository leads to the forge.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mkdocs.structure.files import File

from etl_assets_tests.site import pages

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parents[2]
FORGE: Final = "https://github.com/etl-assets/etl-assets/blob/main/"
PROJECT: Final = ("README.md", "CHANGELOG.md", "CONTEXT.md", "CONTRIBUTING.md", "SECURITY.md")
"""Documents of the project's own folder, which are pages too."""
_BUILT_BY_MIKE: Final = "MIKE_DOCS_VERSION"
"""The variable that mike sets while it builds the site of a version."""
_LINK: Final = re.compile(r"(\]\()([^)\s#]+)")
_FENCE: Final = re.compile(r"(^ *```.*?^ *```)", re.DOTALL | re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Replace each folder in the navigation by its pages; show the list of versions where mike builds one of them."""
    if _BUILT_BY_MIKE in os.environ:
        config.extra["version"] = {"provider": "mike"}
    config.nav = [_expanded(entry) for entry in config.nav or ()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and the documents of the project's own folder."""
    for path, text in pages.generated().items():
        files.append(File.generated(config, path, content=text))
    for name in PROJECT:
        files.append(File.generated(config, f"project/{name}", abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 -- MkDocs' signature
    """Lead the links that leave the folder ``docs`` to where they are on the site, or on the forge."""
    parts = _FENCE.split(pages.filled(page.file.src_uri, markdown))
    return "".join(
        part if number % 2 else _LINK.sub(_leading(page.file.src_uri), part) for number, part in enumerate(parts)
    )


def _leading(page: str) -> Any:
    """Return what replaces a link of a page."""
    repository = page.removeprefix("project/") if page.startswith("project/") else f"docs/{page}"

    def replaced(link: re.Match[str]) -> str:
        target = link[2]
        if "://" in target or target.startswith("mailto:"):
            return link[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(repository), target))
        if path in PROJECT:
            path = f"project/{path}"
        elif path == "docs/adr":
            path = "adr/README.md"
        elif path.startswith("docs/"):
            path = path.removeprefix("docs/")
        elif (ROOT / path).exists():
            return f"{link[1]}{FORGE}{path}"
        else:
            return link[0]
        return link[1] + posixpath.relpath(path, posixpath.dirname(page))

    return replaced


def _expanded(entry: Any) -> Any:
    """Return an entry of the navigation in which each folder is the list of its pages."""
    if isinstance(entry, dict):
        return {title: _expanded(value) for title, value in entry.items()}
    if isinstance(entry, list):
        return [_expanded(each) for each in entry]
    return pages.of_folder(entry) if entry.endswith("/") else entry
