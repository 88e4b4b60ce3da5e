"""Decrypts workbooks that are opened with a password."""

from __future__ import annotations

import tempfile
from typing import IO, cast

from etl_assets.extract.formats.excel.child.libraries import library
from etl_assets.extract.formats.excel.child.refusal import RefusalError


def refusal() -> RefusalError:
    """Return the error for a workbook that needs a password."""
    return RefusalError(
        "it is encrypted, and no password is declared", "Declare password=Secret('NAME'), and set the variable NAME"
    )


def decrypted(stream: IO[bytes], password: str) -> IO[bytes]:
    """Return the decrypted workbook in a temporary file without a name; the stream itself if it is not encrypted.

    Raises:
        RefusalError: If the password is wrong, or the encryption is not known.
    """
    msoffcrypto = library("msoffcrypto", "passwords")
    copy = cast("IO[bytes]", tempfile.TemporaryFile())  # noqa: SIM115 -- as long as the process lives
    try:
        office = msoffcrypto.OfficeFile(stream)
        if not office.is_encrypted():
            stream.seek(0)
            return stream
        office.load_key(password=password)
        office.decrypt(copy)
    except Exception as error:
        raise RefusalError(
            f"it cannot be decrypted with the declared password ({type(error).__name__})",
            "Check the value of the secret; if it is right, ask the publisher for a workbook of Excel 2007 or later",
        ) from error
    copy.seek(0)
    return copy
