"""The package and its documents use the words of CONTEXT.md, and none of those that it forbids."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from etl_assets_tests.documented import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONGEST = 30
"""Words of the first sentence of a docstring."""

MODULES = [path for path in sorted((ROOT / "etl_assets").rglob("*.py")) if "versions" not in path.parts]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
DOCUMENTS += [path for path in sorted((ROOT / "docs").rglob("*.md")) if path.parent.name != "adr"]


def forbidden() -> dict[str, re.Pattern[str]]:
    """What the last column of the glossary forbids, and the words that say too little."""
    glossary = (ROOT / "CONTEXT.md").read_text("utf-8")
    cells = re.findall(r"^\| (?!word \|)(?!---)[^|]+ \| [^|]+ \| ([^|]+?) \|$", glossary, re.MULTILINE)
    little = re.findall(r"^\| `([^`]+)` \|", glossary.split("## Words that say too little", 1)[1], re.MULTILINE)
    words = [word.strip() for cell in (*cells, *little) for word in cell.split(",") if word.strip()]
    return {
        word: re.compile(rf"(?<![\w.]){re.escape(word).replace(' ', r'[ _]')}(?!\w)", re.IGNORECASE) for word in words
    }


FORBIDDEN = forbidden()


def docstrings(path: Path) -> Iterator[tuple[str, str]]:
    """The name of each definition of a module that has a docstring, and the docstring."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "name", "the module"), text


def test_the_glossary_forbids_something() -> None:
    assert {"strange", "promise", "told", "read anew"} <= set(FORBIDDEN)


def test_the_glossary_has_no_meaning_of_a_word_twice() -> None:
    sections = (ROOT / "CONTEXT.md").read_text("utf-8").split("\n## ")
    words = [re.findall(r"^\| ([^|]+) \| ", section, re.MULTILINE) for section in sections]
    assert [word for section in words for word in section if section.count(word) > 1] == []


@pytest.mark.parametrize("path", [*MODULES, *DOCUMENTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_forbidden_word_is_used(path: Path) -> None:
    lines = enumerate(path.read_text("utf-8").splitlines(), 1)
    found = [(number, word) for number, line in lines for word, pattern in FORBIDDEN.items() if pattern.search(line)]
    assert found == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_docstring_begins_with_a_short_sentence(path: Path) -> None:
    long = {}
    for name, text in docstrings(path):
        first = re.split(r"(?<=[.:;?!])\s", re.sub(r"\s+", " ", text.split("\n\n", 1)[0]), maxsplit=1)[0]
        if (words := len(first.split())) > LONGEST:
            long[name] = words
    assert long == {}
