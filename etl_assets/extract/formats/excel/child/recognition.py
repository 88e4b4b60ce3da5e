"""Recognises the type of a workbook by its bytes, and opens the reader of that type."""

from __future__ import annotations

import zipfile
from typing import IO, TYPE_CHECKING, Final

from etl_assets.extract.formats.excel.child.package import Package
from etl_assets.extract.formats.excel.child.refusal import RefusalError

if TYPE_CHECKING:
    from etl_assets.extract.formats.excel.child.book import Book
    from etl_assets.extract.formats.excel.child.request import Request

OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP: Final = b"PK"
_OLDEST: Final = (b"\x09\x00", b"\x09\x02", b"\x09\x04", b"\x09\x08")
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")
_ODS: Final = b"application/vnd.oasis.opendocument.spreadsheet"
_STRINGS_SHARE: Final = 4
"""The shared strings may take a fourth of the memory, by a careful estimate."""


def open_book(stream: IO[bytes], request: Request) -> Book:
    """Return the workbook of a file, decrypted if there is a password.

    Raises:
        RefusalError: If it is of no type that can be read, or needs another password.
    """
    head = stream.read(len(OLE))
    stream.seek(0)
    if head.startswith(OLE):
        return _open_ole(stream, request)
    if head.startswith(_ZIP):
        return _open_zip(stream, request)
    if head.startswith(_OLDEST):
        return _open_xls(stream, request)
    if not head:
        raise RefusalError("it is empty", "Check the feed: an empty file is no delivery")
    marked_up = "looks like XML or HTML, and " if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") else ""
    raise RefusalError(
        f"it {marked_up}is of none of the types xlsx, xlsm, xls, xlsb and ods",
        "Check the feed, or declare the format that the file has",
    )


def _open_ole(stream: IO[bytes], request: Request) -> Book:
    from etl_assets.extract.formats.excel.child import encryption  # noqa: PLC0415 -- of encrypted workbooks alone

    encrypted = _ENCRYPTED in stream.read()
    stream.seek(0)
    if request.password is not None:
        stream = encryption.decrypted(stream, request.password)
        return open_book(stream, request._replace(password=None))
    if encrypted:
        raise encryption.refusal()
    return _open_xls(stream, request)


def _open_zip(stream: IO[bytes], request: Request) -> Book:
    try:
        archive = zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise RefusalError("it is a zip archive without its end", "Fetch it again", "incomplete") from error
    package = Package(archive)
    if "mimetype" in package or "content.xml" in package:
        return _open_ods(package, request)
    from etl_assets.extract.formats.excel.child.xlsx import Xlsx, workbook_part  # noqa: PLC0415 -- of its type alone

    if workbook_part(package).lower().endswith(".bin"):
        return _open_xlsb(stream)
    return Xlsx(package, request.percentages, request.memory_bytes // _STRINGS_SHARE)


def _open_ods(package: Package, request: Request) -> Book:
    from etl_assets.extract.formats.excel.child.ods import Ods  # noqa: PLC0415 -- of its type alone

    if "mimetype" in package:
        with package.open("mimetype") as part:
            if not part.read(100).startswith(_ODS):
                raise RefusalError("it is a document without sheets", "Check the feed")
    return Ods(package, request.percentages)


def _open_xls(stream: IO[bytes], request: Request) -> Book:
    from etl_assets.extract.formats.excel.child.xls import open_xls  # noqa: PLC0415 -- of its type alone

    return open_xls(stream, request)


def _open_xlsb(stream: IO[bytes]) -> Book:
    from etl_assets.extract.formats.excel.child.calamine import Calamine  # noqa: PLC0415 -- of its type alone

    return Calamine(stream, "xlsb")
