"""Imports the Python examples of the documents as modules, so that the tests run what is documented."""

from __future__ import annotations

import linecache
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

ROOT: Final = Path(__file__).parents[1]
_EXAMPLE: Final = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)

_WRITTEN: Final = re.compile(r"^cat > \S+\.py <<'END'\n(.*?)^END$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """A block of Python in a document.

    Attributes:
        document: Path of the document, relative to the folder of the project.
        line: Line on which the block begins.
        code: The text of the block.
    """

    document: str
    line: int
    code: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"

    @property
    def file(self) -> str | None:
        """The path that the first line of the block names, as a comment; None if it names none."""
        path = re.match(r"# (\S+\.py)\n", self.code)
        return path and path[1]

    def module(self) -> ModuleType:
        """Return the block as a module, which others can import if it names its file; `inspect` can read its source."""
        name = Path(self.file).stem if self.file else re.sub(r"\W", "_", str(self))
        module = ModuleType(name)
        module.__file__ = f"<{self}>"
        sys.modules[name] = module
        linecache.cache[module.__file__] = (len(self.code), None, self.code.splitlines(keepends=True), module.__file__)
        exec(compile(self.code, module.__file__, "exec"), module.__dict__)  # noqa: S102 -- our own documents
        return module


def examples(document: str) -> list[Example]:
    """Return the Python blocks of a document.

    Args:
        document: Path of the document, relative to the folder of the project.
    """
    text = (ROOT / document).read_text("utf-8")
    return [Example(document, text.count("\n", 0, block.start(1)) + 1, block[1]) for block in _EXAMPLE.finditer(text)]


def written_files(document: str) -> list[Example]:
    """Return the files of Python that the commands of a document write.

    Args:
        document: Path of the document, relative to the folder of the project.
    """
    text = (ROOT / document).read_text("utf-8")
    return [Example(document, text.count("\n", 0, file.start(1)) + 1, file[1]) for file in _WRITTEN.finditer(text)]


def example(document: str, holds: str) -> ModuleType:
    """Return the one example of a document that contains a text, as a module."""
    (match,) = (block for block in examples(document) if holds in block.code)
    return match.module()


def blocks_of(text: str, language: str) -> list[str]:
    """Return the blocks of a text in a language, as the blocks name it."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def blocks(document: str, language: str, heading: str) -> list[str]:
    """Return the blocks in a language below a heading of a document, up to the next heading of the same level.

    Args:
        document: Path of the document, relative to the folder of the project.
        language: As the blocks name it, such as ``sql``.
        heading: Its line, such as ``## Roles``.
    """
    text = (ROOT / document).read_text("utf-8")
    level = heading.partition(" ")[0]
    section = re.split(rf"^{level} ", text.partition(f"\n{heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    return blocks_of(section, language)
