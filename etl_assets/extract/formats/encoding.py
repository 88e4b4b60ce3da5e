"""Encodings of text formats: which of them can be searched byte by byte, and how the others become UTF-8.

This module handles byte order marks, strict decoding and the stream that transcodes to UTF-8. An encoding is always
declared and never guessed.
"""

from __future__ import annotations

import codecs
import io
from functools import lru_cache
from typing import BinaryIO, Final

from etl_assets.errors import DeliveryError, DeliveryIncompleteError
from etl_assets.extract.formats.utf8 import is_utf8

UTF8: Final = "utf-8"
_MARKS: Final = (
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_STATEFUL: Final = ("iso2022", "hz")
_NOT_OF_FILES: Final = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"})
"""Encodings that are not of files, or that write a character in several ways, so that a record's bytes are lost."""
_CHUNK: Final = 1024 * 1024


def canonical(encoding: str) -> str:
    """Return Python's name of an encoding; ``utf-8-sig`` becomes ``utf-8``.

    Raises:
        LookupError: If there is no such text encoding, or files in it cannot be read.
    """
    name = codecs.lookup(encoding).name
    if name in _NOT_OF_FILES:
        raise LookupError(name)
    "".encode(name)
    return UTF8 if name == "utf-8-sig" else name


@lru_cache
def reads_like_ascii(encoding: str) -> bool:
    """Return whether every byte below 128 is always the ASCII character, so that bytes can be searched."""
    if encoding == UTF8:
        return True
    if encoding.startswith(_STATEFUL):
        return False
    ascii_ = bytes(range(128))
    if ascii_.decode(encoding, "replace") != ascii_.decode("ascii"):
        return False
    return all(
        bytes((lead, trail)).decode(encoding, "replace").endswith(chr(trail))
        for lead in range(128, 256)
        for trail in ascii_
    )


def foreign_mark(head: bytes, encoding: str) -> str | None:
    """Return the encoding of the byte order mark at the start of a file, if it is not the declared one."""
    for mark, marked in _MARKS:
        if head.startswith(mark):
            return None if encoding.startswith(marked) else marked
    return None


def encode_record(record: bytes, encoding: str) -> bytes:
    """Encode UTF-8 from `Transcoded` back to the original bytes, without a byte order mark."""
    name = f"{encoding}-le" if encoding in ("utf-16", "utf-32") else encoding
    return record.decode(UTF8, "surrogatepass").encode(name, _lossless(encoding))


def decode_record(record: bytes, encoding: str) -> bytes:
    """Decode bytes of `encode_record` to the UTF-8 from which they were made."""
    name = f"{encoding}-le" if encoding in ("utf-16", "utf-32") else encoding
    decoder = codecs.getincrementaldecoder(name)(_lossless(encoding))
    text = decoder.decode(record)
    pending, _ = decoder.getstate()  # an escape sequence that the line end cut
    return text.encode(UTF8, "surrogatepass") + pending


def _lossless(encoding: str) -> str:
    """Return the error handler that keeps invalid bytes unchanged through decoding and encoding."""
    return "surrogatepass" if encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"


def decodes(data: bytes, codec: str) -> bool:
    """Return whether bytes are in an encoding."""
    if codec == UTF8:
        return is_utf8(data)
    try:
        data.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


class Transcoded(io.RawIOBase):
    """A stream in any encoding, read as UTF-8 without a byte order mark.

    Bytes that cannot be decoded become bytes that are not UTF-8 either, so that their record is later found malformed.
    """

    def __init__(self, stream: BinaryIO, encoding: str, where: str) -> None:
        """Wrap a stream.

        Args:
            stream: At its start.
            encoding: Encoding of the stream.
            where: Name of the stream in errors.
        """
        super().__init__()
        self._stream = stream
        self._encoding = encoding
        self._where = where
        self._decoder = codecs.getincrementaldecoder(encoding)(_lossless(encoding))
        self._ready = b""
        self._begun = False
        self._ended = False

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Fill the buffer; 0 at the end."""
        while not self._ready and not self._ended:
            self._advance()
        taken = self._ready[: len(buffer)]
        buffer[: len(taken)] = taken
        self._ready = self._ready[len(taken) :]
        return len(taken)

    def _advance(self) -> None:
        chunk = self._stream.read(_CHUNK)
        self._ended = not chunk
        try:
            text = self._decoder.decode(chunk, final=self._ended)
        except UnicodeError as error:
            if not isinstance(error, UnicodeDecodeError):
                raise DeliveryError(
                    f"{self._where} has no byte order mark, which {self._encoding} needs. Nothing was written. "
                    f"Declare the order of its bytes: encoding='{self._encoding}-le' or '{self._encoding}-be'."
                ) from None
            if self._ended:
                raise DeliveryIncompleteError(
                    f"{self._where} ends inside a character of {self._encoding}. Nothing was written. "
                    "Fetch it again once the publisher has finished it."
                ) from None
            raise DeliveryError(
                f"{self._where} is not in the declared encoding {self._encoding} ({error.reason}). "
                "Nothing was written. Declare its encoding."
            ) from None
        if not self._begun and text:
            text = text.removeprefix("\ufeff")
            self._begun = True
        self._ready = text.encode(UTF8, "surrogatepass")
