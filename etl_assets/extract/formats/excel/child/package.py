"""The parts of a workbook that is a zip archive: opened by name whatever its case, and parsed by Expat.

A part with a document type declaration is refused, so that no entity is ever expanded.
"""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final
from xml.parsers import expat

from etl_assets.extract.formats.excel.child.refusal import RefusalError, damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Start = Callable[[str, dict[str, str]], object]
    End = Callable[[str], object]

CHUNK: Final = 256 * 1024
MOST_PARTS: Final = 10_000
LARGEST_PART: Final = 16 * 1024 * 1024
"""The largest size of a part that is kept in memory: lists of sheets, relationships, styles."""
_DEEPEST: Final = 100
_LONGEST_TAG: Final = 4 * 1024 * 1024
_NO_MEMORY: Final = expat.errors.codes[expat.errors.XML_ERROR_NO_MEMORY]
_FAULTS: Final = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)


class Package:
    """The parts of a workbook."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        """Take an open archive."""
        names = archive.namelist()
        if len(names) > MOST_PARTS:
            raise damaged(f"it has {len(names):,} parts, over {MOST_PARTS:,}")
        self._archive = archive
        self._names = {_key(name): name for name in names}

    def __contains__(self, name: str) -> bool:
        """Whether there is such a part."""
        return _key(name) in self._names

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a part for a block; damage that reading it meets is a refusal."""
        if name not in self:
            raise damaged(f"its part {name} is missing")
        try:
            with self._archive.open(self._names[_key(name)]) as stream:
                yield stream
        except _FAULTS as error:
            raise RefusalError(
                f"its part {name} is cut short or damaged ({type(error).__name__})", "Fetch it again", "incomplete"
            ) from error

    def parse(self, name: str, start: Start, end: End | None = None) -> None:
        """Parse a small part; see `Parser`."""
        with self.open(name) as stream:
            data = stream.read(LARGEST_PART + 1)
        if len(data) > LARGEST_PART:
            raise damaged(f"its part {name} has more than {LARGEST_PART} bytes")
        Parser(name, start, end).feed(data, final=True)


class Parser:
    """Parses a part by Expat, and calls functions with the names of elements, without their prefixes.

    Args:
        name: Of the part, for errors.
        start: Called with the name and the attributes of an element.
        end: Called with the name of an element.

    Attributes:
        fed: Number of bytes that were parsed.
    """

    def __init__(self, name: str, start: Start, end: End | None = None) -> None:
        self._name = name
        self._start = start
        self._end = end
        self._depth = 0
        self.fed = 0
        self.expat = expat.ParserCreate()
        self.expat.buffer_text = True
        self.expat.StartElementHandler = self._start_element
        self.expat.EndElementHandler = self._end_element
        self.expat.StartDoctypeDeclHandler = self._refuse_doctype

    def feed(self, data: bytes, *, final: bool = False) -> None:
        """Parse more bytes.

        Raises:
            RefusalError: If they are not well-formed, have a document type declaration, are nested too deeply, or have
                a tag of many megabytes.
        """
        try:
            self.expat.Parse(data, final)
        except expat.ExpatError as error:
            if error.code == _NO_MEMORY:
                raise MemoryError from error
            raise damaged(f"its part {self._name} is no well-formed XML ({expat.ErrorString(error.code)})") from error
        except (LookupError, ValueError) as error:
            raise damaged(f"its part {self._name} is in an encoding that cannot be read") from error
        self.fed += len(data)
        if self.fed - self.expat.CurrentByteIndex > _LONGEST_TAG and not final:
            raise damaged(f"its part {self._name} has a tag of more than {_LONGEST_TAG} bytes")

    def collect(self, text: Callable[[str], object] | None) -> None:
        """Call a function with the text that follows, or none."""
        self.expat.CharacterDataHandler = text

    def _start_element(self, element: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise damaged(f"its part {self._name} is nested deeper than {_DEEPEST} elements")
        self._start(element.rpartition(":")[2] if ":" in element else element, attributes)

    def _end_element(self, element: str) -> None:
        self._depth -= 1
        if self._end is not None:
            self._end(element.rpartition(":")[2] if ":" in element else element)

    def _refuse_doctype(self, *_: object) -> None:
        raise damaged(f"its part {self._name} has a document type declaration, which no workbook has")


def relationships(package: Package, part: str) -> dict[str, tuple[str, str]]:
    """Return the relationships of a part by their ids: the last word of the type, and the name of the other part."""
    folder, name = posixpath.split(part)
    found: dict[str, tuple[str, str]] = {}

    def start(element: str, attributes: dict[str, str]) -> None:
        if element == "Relationship" and attributes.get("TargetMode") != "External":
            target = posixpath.normpath(posixpath.join("/", folder, attributes.get("Target", "")))
            type_ = attributes.get("Type", "").rpartition("/")[2]
            found[attributes.get("Id", "")] = (type_, target.lstrip("/"))

    listed = posixpath.join(folder, "_rels", f"{name}.rels")
    if listed in package:
        package.parse(listed, start)
    return found


def local(attributes: dict[str, str], name: str, default: str = "") -> str:
    """Return an attribute whatever its prefix."""
    if name in attributes:
        return attributes[name]
    return next((value for key, value in attributes.items() if key.rpartition(":")[2] == name), default)


def _key(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()
