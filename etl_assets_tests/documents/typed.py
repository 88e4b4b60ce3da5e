"""Types the commands of a document into a shell, block after block, and compares what they print with what is shown.

A document that is typed has its commands in blocks of ``sh``, one after the other in one shell. A block of ``text``
right after one shows what it prints: line by line, without empty ones. ``…`` stands for what differs each time: in a
line for a part of it, alone for any lines. A comment above a block, ``<!-- exits with 1 -->``, says that it ends so.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from etl_assets_tests.documented import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BLOCK: Final = re.compile(
    r"^(?:<!-- exits with (?P<code>\d) -->\n\n?)?```sh\n(?P<commands>.*?)^```\n(?:\n*```text\n(?P<printed>.*?)^```)?",
    re.DOTALL | re.MULTILINE,
)
_END: Final = "\x1e"
"""Printed between two blocks, with the exit code of the first."""


@dataclass(frozen=True)
class Typed:
    """A block of commands.

    Attributes:
        line: Line of the document on which it begins.
        commands: Its text.
        printed: What the document shows as printed; None if it shows nothing.
        code: With what its last command exits.
    """

    line: int
    commands: str
    printed: str | None
    code: int


def typed_blocks(document: str) -> Iterator[Typed]:
    """Yield the blocks of a document that are typed.

    Args:
        document: Path of the document, relative to the folder of the project.
    """
    text = (ROOT / document).read_text("utf-8")
    for block in _BLOCK.finditer(text):
        line = text.count("\n", 0, block.start("commands"))
        yield Typed(line, block["commands"], block["printed"], int(block["code"] or 0))


def type_document(
    document: str, folder: Path, environment: Mapping[str, str], replaced: Mapping[str, str] | None = None
) -> list[str]:
    """Type a document in a folder, and return where it does not do what it shows.

    Args:
        document: Path of the document, relative to the folder of the project.
        folder: Where it is typed.
        environment: Variables besides those of this process, whose settings of the package are left out.
        replaced: What stands for some text of the document in the commands and in what is shown, because it is of one
            machine.

    Returns:
        A text for each block that exits or prints otherwise, with the line where it begins. The last one that was
        reached is the last of them if a command ended the shell.
    """
    blocks = list(typed_blocks(document))
    replaced = replaced or {}
    script = "".join(f"{block.commands}printf '{_END}%s{_END}' $?\n" for block in blocks)
    assert [text for text in replaced if text not in script] == []
    script = _replaced(script, replaced)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ETL_ASSETS_", "DAGSTER_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**kept, "PATH": path, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    parts = done.stdout.split(_END)
    outputs, codes = parts[0::2], parts[1::2]
    wrong = []
    for block, printed, code in zip(blocks, outputs, codes, strict=False):
        if int(code) != block.code:
            wrong.append(f"{document}:{block.line} exits with {code}:\n{printed}")
        elif block.printed is not None and not _is_as_shown(_replaced(block.printed, replaced), printed):
            wrong.append(f"{document}:{block.line} prints:\n{printed}")
    if len(codes) < len(blocks):
        wrong.append(f"{document}:{blocks[len(codes)].line} ends the shell:\n{outputs[-1]}")
    return wrong


def _replaced(text: str, replaced: Mapping[str, str]) -> str:
    for before, after in replaced.items():
        text = text.replace(before, after)
    return text


def _is_as_shown(shown: str, printed: str) -> bool:
    """Return whether a text is printed as shown."""
    lines = [r"(?:.*\n)*" if line == "…" else _pattern(line) + r"\n" for line in _lines(shown)]
    return re.fullmatch("".join(lines), "".join(f"{line}\n" for line in _lines(printed))) is not None


def _pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.split("…"))


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip()]
