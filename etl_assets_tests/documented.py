"""Python examples of the documents, as modules: what is documented is what is tested."""

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


@dataclass(frozen=True)
class Example:
    """A block of Python in a document.

    Attributes:
        document: Path below the project's folder.
        line: On which it begins.
        code: The block.
    """

    document: str
    line: int
    code: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"

    def module(self) -> ModuleType:
        """The block as a module whose source can be looked up."""
        name = re.sub(r"\W", "_", str(self))
        made = ModuleType(name)
        made.__file__ = f"<{self}>"
        sys.modules[name] = made
        linecache.cache[made.__file__] = (len(self.code), None, self.code.splitlines(keepends=True), made.__file__)
        exec(compile(self.code, made.__file__, "exec"), made.__dict__)  # noqa: S102 -- our own documents
        return made


def examples(document: str) -> list[Example]:
    """The Python of a document.

    Args:
        document: Path below the project's folder.
    """
    text = (ROOT / document).read_text("utf-8")
    return [Example(document, text.count("\n", 0, found.start(1)) + 1, found[1]) for found in _EXAMPLE.finditer(text)]


def example(document: str, holds: str) -> ModuleType:
    """The one example of a document that holds some text, as a module."""
    (found,) = (each for each in examples(document) if holds in each.code)
    return found.module()
