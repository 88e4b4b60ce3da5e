"""Recognises the format of a file, by its contents and never by its name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from etl_assets.errors import DeliveryError
from etl_assets.infer.databases import is_sqlite, recognise_sqlite
from etl_assets.infer.delimited import recognise_delimited, recognise_one_column
from etl_assets.infer.dumps import recognise_dump
from etl_assets.infer.file import HEAD
from etl_assets.infer.json_documents import objects_in_lines, recognise_json
from etl_assets.infer.parquet_files import is_parquet, recognise_parquet
from etl_assets.infer.positions import recognise_positions
from etl_assets.infer.text import encoding_of, is_text, whole_lines
from etl_assets.infer.workbooks import is_workbook, recognise_workbook
from etl_assets.infer.xml_documents import recognise_xml

if TYPE_CHECKING:
    from etl_assets.infer.file import File
    from etl_assets.infer.recognised import Recognised
    from etl_assets.model.secret import Secret

_BLANKS: Final = b" \t\r\n\xef\xbb\xbf\0\xff\xfe"
_OBJECT: Final = re.compile(r'\ufeff?\s*\{\s*"')


def recognise(file: File, part: str | None, password: Secret | None) -> Recognised:
    """Return the format of a file, with the settings to declare.

    Args:
        file: The file.
        part: The table, sheet or path of records to read, if the file has several; the likeliest one by default.
        password: Of an encrypted workbook.

    Raises:
        DeliveryError: If no format is recognised.
    """
    head = file.head()
    if not head:
        raise DeliveryError(f"{file.shown} is empty. Nothing was inferred. Name a file with records.")
    if b"".join(head.split()) == b"[]":
        raise DeliveryError(f"{file.shown} has no record. Nothing was inferred. Name a file with records.")
    if is_parquet(head):
        return recognise_parquet(file)
    if is_sqlite(head):
        return recognise_sqlite(file, part)
    if is_workbook(head):
        return recognise_workbook(file, part, password)
    recognised = _recognise_text(file, head, part) if is_text(head) else None
    if recognised is None:
        raise DeliveryError(
            f"The format of {file.shown} is not recognised. Nothing was inferred. "
            "Declare the source by hand, as docs/declaring-a-source.md says, and try it with `etl-assets preview FILE`."
        )
    return recognised


def _recognise_text(file: File, head: bytes, part: str | None) -> Recognised | None:
    first = head.lstrip(_BLANKS)[:1]
    lines = whole_lines(head) if len(head) == HEAD else head
    if first == b"<" and (recognised := recognise_xml(file, part)) is not None:
        return recognised
    is_json = first in (b"{", b"[") or objects_in_lines(lines)
    if is_json and (recognised := recognise_json(file, part)) is not None:
        return recognised
    if _OBJECT.match(lines.decode(encoding_of(lines)[0], "replace")):
        return None
    dump = recognise_dump(file, lines, part)
    return dump or recognise_delimited(lines) or recognise_positions(lines) or recognise_one_column(lines)
