"""Parses a document, or the part of one that a span is, by expat: finds the records and collects their values.

A document type declaration is refused, so that there are no entities but the five predefined ones, and nothing outside
the document is read. Elements, attributes and tokens are limited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple
from xml.parsers import expat

from etl_assets.errors import DeliveryError, DeliveryIncompleteError
from etl_assets.extract.formats.encoding import UTF8, canonical
from etl_assets.extract.formats.xml.paths import MOST_DEPTH, SEPARATOR, Element, Names, too_deep
from etl_assets.extract.formats.xml.record import MOST_ATTRIBUTES, RecordHandlers, too_many_attributes
from etl_assets.extract.formats.xml.shapes import learn
from etl_assets.extract.formats.xml.tags import Tag
from etl_assets.model.text import quoted

if TYPE_CHECKING:
    import re

    from etl_assets.extract.formats.xml.shapes import Shape
    from etl_assets.extract.formats.xml.options import XmlOptions

LONGEST_TOKEN: Final = 1024 * 1024
"""The largest size of a tag, a comment or a processing instruction, in bytes; a parser has all of it in memory."""
_PIECE: Final = 64 * 1024
MOST_LESSONS: Final = 16
"""The largest number of records from which a document tries to learn a shape."""
_BYTES: Final = "latin-1"
"""The encoding whose characters are the bytes."""
_PARSERS: Final = {"utf-8": "UTF-8", "utf-16-le": "UTF-16LE", "utf-16-be": "UTF-16BE"}
_CUT: Final = frozenset(
    expat.errors.codes[text]
    for text in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
)
"""The errors of expat about a document that ends early."""


class Record(NamedTuple):
    """A record as it was found.

    Attributes:
        start: Position of its start tag, in bytes from the start of the document.
        close: Position of its end tag; the position after it if the element has no end tag.
        bare: Whether it has neither texts nor elements.
        cells: Text by published name, None for no value; None instead if an element occurs twice.
        ancestors: The start tags of the elements around it, from the root on.
    """

    start: int
    close: int
    bare: bool
    cells: dict[str, Any] | None
    ancestors: tuple[Tag, ...]


class Document:
    """A parser that is fed bytes.

    Args:
        options: Path of the records, and how their values are named.
        where: The file's name in errors.
        codec: Python's name of the encoding; None for that of the document's own declaration.
        origin: Position in the document of the first byte that is fed.

    Attributes:
        where: The file's name in errors.
        records: The records that have ended since `take`.
        declared: The encoding that the document declares; empty if it declares none.
        ancestors: The start tags of the open elements that lead to records.
        record_start: Position of the record that is being read; None between records.
    """

    def __init__(self, options: XmlOptions, where: str, codec: str | None = None, origin: int = 0) -> None:
        self.where = where
        self._steps = options.steps
        self._names = Names(dict(options.namespaces), options.repeated, where)
        self._handlers = RecordHandlers(Element(self._names), self._end_record)
        self._namespaces: list[tuple[str | None, str | None]] = []
        self._depth = 0
        self._inherited: dict[str, str | None] = {}
        self._fed = self._origin = origin
        self.records: list[Record] = []
        self.declared = ""
        self.ancestors: tuple[Tag, ...] = ()
        self.record_start: int | None = None
        self._codec = codec
        self._shapes: list[Shape] = []
        self.lessons = MOST_LESSONS
        self._parser = self._new_parser(codec)
        self._leave_record()

    def _new_parser(self, codec: str | None) -> expat.XMLParserType:
        parser = expat.ParserCreate(codec and _PARSERS.get(codec, codec), SEPARATOR)
        parser.namespace_prefixes = True
        parser.ordered_attributes = True
        parser.buffer_text = True
        parser.XmlDeclHandler = self._declare
        parser.StartDoctypeDeclHandler = self._refuse_document_type
        parser.StartNamespaceDeclHandler = self._add_namespace
        return parser

    @property
    def position(self) -> int:
        """The position before which everything is parsed."""
        return self._origin + max(self._parser.CurrentByteIndex, 0)

    def feed(self, data: bytes) -> None:
        """Parse more bytes.

        Raises:
            DeliveryError: If the document is not well-formed, or exceeds a limit.
        """
        origin, text = self._fed, data.decode(_BYTES)
        position = 0
        while position < len(data):
            if self._shapes and self._is_between_records():
                position = self._feed_alike(data, text, position)
            piece = data[position : self._stop(data, position)]
            known = len(self.records)
            self._feed_piece(piece)
            if len(self.records) > known:
                self._learn(text, origin)
            position += len(piece)

    def _feed_piece(self, piece: bytes) -> None:
        self._fed += len(piece)
        self._parse(piece, final=False)
        if self._fed - self.position > LONGEST_TOKEN:
            raise self._refused(
                f"has a tag, a comment or a processing instruction longer than {LONGEST_TOKEN:,} bytes"
                f"{self._place(self._parser.CurrentLineNumber, self.position)}",
                "Check the file: it may be made to exhaust memory",
            )

    def _stop(self, data: bytes, position: int) -> int:
        """Return the end of the next piece: after the end tag of a record if there are shapes, else a fixed size."""
        limit = position + _PIECE
        tail = self._shapes[0].tail.encode(_BYTES) if self._shapes else b""
        found = data.find(tail, position, limit) if tail else -1
        return limit if found < 0 else found + len(tail)

    def _is_between_records(self) -> bool:
        """Return whether the parser has read everything, and a record can come next."""
        inside = len(self._steps) - 1
        return (
            self.record_start is None
            and self._depth == len(self.ancestors) == inside
            and inside > 0
            and self.position == self._fed
        )

    def _feed_alike(self, data: bytes, text: str, position: int) -> int:
        """Parse the records that have known shapes; return the position after them."""
        found: list[tuple[Shape, re.Match[str]]] = []
        end = position
        while alike := self._match(text, end):
            found.append(alike)
            end = alike[1].end()
        if not found:
            return position
        self._parser.StartElementHandler = self._parser.EndElementHandler = None
        self._feed_piece(data[position:end])
        self._leave_record()
        origin = self._fed - end
        for shape, match in found:
            start, close = text.index("<", match.start()), match.end() - len(shape.tail)
            cells = {**self._inherited, **shape.cells(match)}
            self.records.append(Record(origin + start, origin + close, not shape.tail, cells, self.ancestors))
        return end

    def _match(self, text: str, position: int) -> tuple[Shape, re.Match[str]] | None:
        """Return the shape of the record at a position; it is tried first for the next record."""
        for index, shape in enumerate(self._shapes):
            if match := shape.match(text, position):
                if index:
                    self._shapes.insert(0, self._shapes.pop(index))
                return shape, match
        return None

    def _learn(self, text: str, origin: int) -> None:
        """Learn the shape of the last record, if all of it is in a text that begins at a position of the document."""
        record = self.records[-1]
        if self.lessons == 0 or record.start < origin or record.cells is None or not self._is_utf8:
            return
        self.lessons -= 1
        end = record.close - origin
        if not (record.bare and text.endswith("/>", 0, end)):
            end = text.index(">", end) + 1
        own = {name: value for name, value in record.cells.items() if name not in self._inherited}
        if shape := learn(text[record.start - origin : end], own):
            self._shapes.insert(0, shape)

    @property
    def _is_utf8(self) -> bool:
        return (self._codec or canonical(self.declared or UTF8)) == UTF8

    def close(self) -> None:
        """Declare that the document has ended.

        Raises:
            DeliveryIncompleteError: If it is cut short.
        """
        self._parse(b"", final=True)

    def descend(self) -> None:
        """Continue as if the bytes to come were within all elements that lead to records."""
        missing = self._steps[len(self.ancestors) : -1]
        self.ancestors += tuple(Tag(step, (), ()) for step in missing)
        self._depth += len(missing)

    def take(self) -> list[Record]:
        """Return the records that have ended since the last call."""
        taken, self.records = self.records, []
        return taken

    def _parse(self, data: bytes, *, final: bool) -> None:
        try:
            self._parser.Parse(data, final)
        except expat.ExpatError as error:
            raise self._not_well_formed(error) from None
        except (LookupError, ValueError):
            raise self._unreadable(self.declared) from None

    def _start_around(self, name: str, attributes: list[str]) -> None:
        """Handle a start tag that is not in a record."""
        self._depth = depth = self._depth + 1
        if depth > MOST_DEPTH:
            raise too_deep(self.where)
        if max(len(attributes) // 2, len(self._namespaces)) > MOST_ATTRIBUTES:
            raise too_many_attributes(self.where)
        namespaces = tuple(self._namespaces)
        self._namespaces.clear()
        leads = len(self.ancestors) == depth - 1 and depth <= len(self._steps)
        if not leads or self._names.published(name) != self._steps[depth - 1]:
            if depth == 1:
                raise self._another_root(name)
        elif depth == len(self._steps):
            self._enter_record(attributes)
        else:
            self.ancestors = (*self.ancestors, Tag(name, tuple(attributes), namespaces))
            self._inherit()
            if namespaces:
                self._shapes.clear()

    def _end_around(self, _name: str) -> None:
        """Handle an end tag that is not in a record."""
        if len(self.ancestors) == self._depth:
            if self.ancestors[-1].namespaces:
                self._shapes.clear()
            self.ancestors = self.ancestors[:-1]
            self._inherit()
        self._depth -= 1

    def _inherit(self) -> None:
        """Compute the values that a record here has from its ancestors."""
        self._inherited = {
            self._names.add(f"{'../' * (len(self._steps) - level)}@{self._names.published(name)}"): value or None
            for level, tag in enumerate(self.ancestors, 1)
            for name, value in zip(tag.attributes[::2], tag.attributes[1::2], strict=True)
        }

    def _enter_record(self, attributes: list[str]) -> None:
        self.record_start = self._origin + self._parser.CurrentByteIndex
        self._handlers.begin(attributes, self._inherited)
        self._parser.StartElementHandler = self._handlers.start
        self._parser.EndElementHandler = self._handlers.end
        self._parser.CharacterDataHandler = self._handlers.texts.append

    def _leave_record(self) -> None:
        self.record_start = None
        self._parser.StartElementHandler = self._start_around
        self._parser.EndElementHandler = self._end_around
        self._parser.CharacterDataHandler = None

    def _end_record(self, cells: dict[str, Any] | None, bare: bool) -> None:  # noqa: FBT001 -- see RecordHandlers
        close = self._origin + self._parser.CurrentByteIndex
        self.records.append(Record(self.record_start or 0, close, bare, cells, self.ancestors))
        self._namespaces.clear()
        self._depth -= 1
        self._leave_record()

    def _add_namespace(self, prefix: str | None, uri: str | None) -> None:
        self._namespaces.append((prefix, uri))

    def _declare(self, _version: str, encoding: str | None, _standalone: int) -> None:
        """Handle the XML declaration."""
        self.declared = encoding or ""
        if encoding:
            try:
                canonical(encoding)
            except (LookupError, ValueError):
                raise self._unreadable(encoding) from None

    def _refuse_document_type(self, *_: object) -> None:
        raise self._refused(
            f"has a document type declaration (DOCTYPE){self._place(self._parser.CurrentLineNumber, self.position)}, "
            "which can define entities and read other files",
            "Ask the publisher for the document without it",
        )

    def _another_root(self, name: str) -> DeliveryError:
        return self._refused(
            f"has the root {quoted(self._names.published(name))}, but records are declared below {self._steps[0]!r}",
            "Correct record=, and namespaces= if the names have a namespace",
        )

    def _unreadable(self, encoding: str) -> DeliveryError:
        return self._refused(
            f"is declared to be in the encoding {quoted(encoding)}, which cannot be read directly",
            "Write its encoding in the format: encoding='shift_jis', for example",
        )

    def _not_well_formed(self, error: expat.ExpatError) -> DeliveryError:
        place = self._place(error.lineno, self._origin + max(self._parser.ErrorByteIndex, 0))
        if error.code in _CUT:
            return DeliveryIncompleteError(
                f"{self.where} is cut short: {expat.ErrorString(error.code)}{place}. Nothing was written. "
                "Fetch it again once the publisher has finished it."
            )
        return self._refused(
            f"is not well-formed XML: {expat.ErrorString(error.code)}{place}",
            "Ask the publisher to correct it; what follows such a place cannot be trusted",
        )

    def _place(self, line: int, position: int) -> str:
        return f", line {line}, byte {position}"

    def _refused(self, problem: str, remedy: str) -> DeliveryError:
        return DeliveryError(f"{self.where} {problem}. Nothing was written. {remedy}.")


def end_of(record: Record, data: bytes | bytearray, origin: int, codec: str) -> int:
    """Return the position after the end tag of a record.

    Args:
        record: The record.
        data: Bytes of the document that contain the record.
        origin: Position of the first of them in the document.
        codec: Python's name of the encoding.
    """
    empty, mark = "/>".encode(codec), ">".encode(codec)
    close = record.close - origin
    if record.bare and data[close - len(empty) : close] == empty:
        return record.close
    end = data.find(mark, close)
    while (end - close) % len(mark):
        end = data.find(mark, end + 1)
    return end + len(mark) + origin
