"""The child process: reads a request on its standard input, and writes the records of a workbook on its output."""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
from typing import BinaryIO, Final

from etl_assets.extract.formats.excel.child.blocks import Blocks, Writer
from etl_assets.extract.formats.excel.child.recognition import open_book
from etl_assets.extract.formats.excel.child.refusal import RefusalError
from etl_assets.extract.formats.excel.child.request import Request
from etl_assets.extract.formats.excel.child.sheets import chosen
from etl_assets.extract.formats.excel.child.table import Table


def main() -> None:
    """Read the workbook; whatever goes wrong is the last message."""
    request = Request(**json.loads(sys.stdin.buffer.read()))
    limit(request)
    gc.disable()  # a reader makes millions of cells and hardly a cycle
    writer = Writer(sys.stdout.buffer)
    try:
        with open(request.path, "rb") as stream:  # noqa: PTH123 -- pathlib is slow to import
            read(stream, request, writer)
        writer.write({"end": True})
    except RefusalError as error:
        writer.write({"refused": error.text, "reason": error.reason})
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except BrokenPipeError:
        os._exit(0)
    except Exception as error:  # noqa: BLE001 -- libraries raise anything for damaged bytes; the text may have contents
        writer.write({"refused": _unreadable(error), "reason": "broken"})


OUT_OF_MEMORY: Final = 77
"""The exit code of the process if the memory does not suffice."""


def limit(request: Request) -> None:
    """Limit memory and processor time of this process, and let it write no image of its memory."""
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, request.memory_bytes),
        (resource.RLIMIT_CPU, request.seconds),
    ):
        _, hard = resource.getrlimit(kind)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        # At a hard limit of processor time the process would be killed, without the signal that names the reason.
        resource.setrlimit(kind, (allowed, hard if kind == resource.RLIMIT_CPU else allowed))


def read(stream: BinaryIO, request: Request, writer: Writer) -> None:
    """Write the names, and the records of every chosen sheet."""
    book = open_book(stream, request)
    declared = {"hidden_rows": request.hidden_rows == "skip", "header_rows": request.header_rows > 1}
    for option in sorted(book.lacks):
        if declared[option]:
            raise RefusalError(
                f"it is of the type {book.type}, of which {option}= cannot be kept",
                f"Remove {option}=, or ask the publisher for xlsx",
            )
    table: Table | None = None
    blocks = Blocks(writer, request)
    sheets = chosen(book, request)
    for sheet in sheets:
        first = table is None
        table = Table(book, sheet, request, table)
        if first:
            writer.write({"names": table.names})
        blocks.add(table, sheet.name)
        if blocks.complete:
            break
    blocks.end(sheets[0].name)


def _unreadable(error: Exception) -> str:
    refusal = RefusalError(
        f"it cannot be read ({type(error).__name__})", "Open the workbook, save it again, and ask the publisher"
    )
    return refusal.text


if __name__ == "__main__":
    main()
