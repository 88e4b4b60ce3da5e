"""Parses a document, or the part of one that a span is, by expat: finds the records and collects their values.

A document type declaration is refused, so that there are no entities but the five predefined ones, and nothing outside
the document is read. Elements, attributes and tokens are limited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from xml.parsers import expat

from etl_assets.extract.formats.encoding import UTF8, canonical
from etl_assets.extract.formats.xml import refusals
from etl_assets.extract.formats.xml.found import Record
from etl_assets.extract.formats.xml.paths import SEPARATOR, Element, Names
from etl_assets.extract.formats.xml.record import RecordHandlers
from etl_assets.extract.formats.xml.shapes import PIECE, Shapes
from etl_assets.extract.formats.xml.tags import Tag

if TYPE_CHECKING:
    from etl_assets.extract.formats.xml.options import XmlOptions

_LONG_TOKEN: Final = 1024
_MOST_NAMED: Final = 20
_BYTES: Final = "latin-1"
"""The encoding whose characters are the bytes."""
_PARSERS: Final = {"utf-8": "UTF-8", "utf-16-le": "UTF-16LE", "utf-16-be": "UTF-16BE"}


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
        shapes: The known shapes of records.
        record_start: Position of the record that is being read; None between records.
    """

    def __init__(self, options: XmlOptions, where: str, codec: str | None = None, origin: int = 0) -> None:
        self.where = where
        self._steps = options.steps
        self._names = Names(dict(options.namespaces), options.repeated, where)
        self._handlers = RecordHandlers(Element(self._names), self._end_record)
        self._namespaces: list[tuple[str | None, str | None]] = []
        self._depth = self._deepest = 0
        self._others: dict[str, None] = {}
        self._inherited: dict[str, str | None] = {}
        self._fed = self._origin = origin
        self.records: list[Record] = []
        self.declared = ""
        self.ancestors: tuple[Tag, ...] = ()
        self.record_start: int | None = None
        self._in_cdata = False
        self._codec = codec
        self.shapes = Shapes()
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
        parser.StartCdataSectionHandler = self._start_cdata
        parser.EndCdataSectionHandler = self._end_cdata
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
            if self.shapes and self._is_between_records():
                position = self._feed_alike(data, text, position)
            piece = data[position : self._stop(data, position)]
            known = len(self.records)
            self._feed_piece(piece)
            if len(self.records) > known:
                self._learn(text, origin)
            position += len(piece)

    def _stop(self, data: bytes, position: int) -> int:
        """Return the end of the next piece; a large one in a long token, which expat reads from its start each time."""
        return self.shapes.stop(data, position) if self._fed - self.position < _LONG_TOKEN else position + PIECE

    def _feed_piece(self, piece: bytes) -> None:
        self._fed += len(piece)
        self._parse(piece, final=False)
        if self._fed - self.position > refusals.LONGEST_TOKEN:
            raise refusals.token_too_long(self.where, self._parser.CurrentLineNumber, self.position)

    def _is_between_records(self) -> bool:
        """Return whether the parser has read everything, and a record can come next."""
        inside = len(self._steps) - 1
        return (
            self.record_start is None
            and not self._in_cdata
            and self._depth == len(self.ancestors) == inside
            and inside > 0
            and self.position == self._fed
        )

    def _feed_alike(self, data: bytes, text: str, position: int) -> int:
        """Parse the records that have known shapes; return the position after them."""
        alike = self.shapes.match(text, position)
        if not alike:
            return position
        end = alike[-1][1].end()
        self._parser.StartElementHandler = self._parser.EndElementHandler = None
        self._feed_piece(data[position:end])
        self._leave_record()
        origin = self._fed - end
        for shape, match in alike:
            start = text.index("<", match.start())
            close = match.end() - (0 if shape.is_empty else len(shape.tail))
            cells = {**self._inherited, **shape.cells(match)}
            self.records.append(Record(origin + start, origin + close, shape.is_empty, cells, self.ancestors))
        return end

    def _learn(self, text: str, origin: int) -> None:
        """Learn the shape of the last record, if all of it is in a text that begins at a position of the document."""
        record = self.records[-1]
        if record.start < origin or record.cells is None or not self._is_utf8:
            return
        end = record.close - origin
        if not (record.bare and text.endswith("/>", 0, end)):
            end = text.index(">", end) + 1
        own = {name: value for name, value in record.cells.items() if name not in self._inherited}
        self.shapes.learn(text[record.start - origin : end], own)

    @property
    def _is_utf8(self) -> bool:
        return (self._codec or canonical(self.declared or UTF8)) == UTF8

    def close(self) -> None:
        """Declare that the document has ended.

        Raises:
            DeliveryIncompleteError: If it is cut short.
        """
        self._parse(b"", final=True)

    def check_place(self) -> None:
        """Refuse a document without records if it has other elements where the path could not be followed further.

        Raises:
            DeliveryError: The error has the names of these elements.
        """
        if self._others:
            around, wanted = self._steps[: self._deepest], self._steps[self._deepest]
            raise refusals.without_records(self.where, wanted, around, tuple(self._others))

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
            position = self._origin + max(self._parser.ErrorByteIndex, 0)
            raise refusals.not_well_formed(self.where, error, position) from None
        except (LookupError, ValueError):
            raise refusals.unreadable(self.where, self.declared) from None

    def _start_around(self, name: str, attributes: list[str]) -> None:
        """Handle a start tag that is not in a record."""
        self._depth = depth = self._depth + 1
        if depth > refusals.MOST_DEPTH:
            raise refusals.too_deep(self.where)
        if max(len(attributes) // 2, len(self._namespaces)) > refusals.MOST_ATTRIBUTES:
            raise refusals.too_many_attributes(self.where)
        namespaces = tuple(self._namespaces)
        self._namespaces.clear()
        leads = len(self.ancestors) == depth - 1 and depth <= len(self._steps)
        if not leads or self._names.published(name) != self._steps[depth - 1]:
            if depth == 1:
                raise refusals.another_root(self.where, self._names.published(name), self._steps[0])
            if leads and depth > self._deepest and len(self._others) < _MOST_NAMED:
                self._others[self._names.published(name)] = None
        elif depth == len(self._steps):
            self._enter_record(attributes)
        else:
            self.ancestors = (*self.ancestors, Tag(name, tuple(attributes), namespaces))
            if depth > self._deepest:
                self._deepest, self._others = depth, {}
            self._inherit()
            if namespaces:
                self.shapes.clear()

    def _end_around(self, _name: str) -> None:
        """Handle an end tag that is not in a record."""
        if len(self.ancestors) == self._depth:
            if self.ancestors[-1].namespaces:
                self.shapes.clear()
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

    def _start_cdata(self) -> None:
        self._in_cdata = True

    def _end_cdata(self) -> None:
        self._in_cdata = False

    def _declare(self, _version: str, encoding: str | None, _standalone: int) -> None:
        """Handle the XML declaration."""
        self.declared = encoding or ""
        if encoding:
            try:
                canonical(encoding)
            except (LookupError, ValueError):
                raise refusals.unreadable(self.where, encoding) from None

    def _refuse_document_type(self, *_: object) -> None:
        raise refusals.document_type(self.where, self._parser.CurrentLineNumber, self.position)
