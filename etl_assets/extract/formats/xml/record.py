"""Collects the values of one record from the events of expat.

The handlers run for every element, so they do as little as possible for an element that has a text and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from etl_assets.extract.formats.xml.paths import OWN_TEXT
from etl_assets.extract.formats.xml.refusals import MOST_ATTRIBUTES, too_many_attributes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from etl_assets.extract.formats.xml.paths import Element

_BLANKS: Final = " \t\r\n"


class RecordHandlers:
    """The handlers of expat's events within a record.

    Args:
        record: The path of the record.
        finish: Takes the cells of a record that has ended, or None if an element that is not repeated occurs twice;
            and whether the record has neither texts nor elements.

    Attributes:
        texts: The texts since the last tag; the handler of texts appends to it.
    """

    __slots__ = ("_cells", "_element", "_finish", "_inner", "_leaf", "_outer", "_pieces", "_record", "_twice", "texts")

    def __init__(self, record: Element, finish: Callable[[dict[str, Any] | None, bool], None]) -> None:
        self._record = record
        self._finish = finish
        self.texts: list[str] = []
        self._element = record
        self._cells: dict[str, Any] = {}
        self._inner: set[str] = set()
        self._outer: list[tuple[dict[str, Any], set[str]]] = []
        self._pieces: dict[str, list[str]] = {}
        self._leaf = True
        self._twice = False

    def begin(self, attributes: list[str], inherited: Mapping[str, str | None]) -> None:
        """Begin a record with the attributes of its ancestors, by their published names."""
        self._element = self._record
        self._cells = dict(inherited)
        self._inner = set()
        self._leaf = True
        self._twice = False
        if attributes:
            self._add_attributes(attributes)

    def start(self, name: str, attributes: list[str]) -> None:
        """Handle a start tag."""
        texts = self.texts
        if texts:
            if len(texts) > 1 or texts[0].strip(_BLANKS):
                self._keep_piece()
            texts.clear()
        element = self._element = self._element[name]
        self._leaf = True
        if element.repeated:
            self._outer.append((self._cells, self._inner))
            self._cells, self._inner = {}, set()
        if attributes:
            self._add_attributes(attributes)

    def end(self, _name: str) -> None:
        """Handle an end tag."""
        element = self._element
        if not self._leaf or not element.plain:
            self._end_outer_element(element)
            return
        key, cells, texts = element.key, self._cells, self.texts
        if key in cells or key in self._inner:
            self._twice = True
        if not texts:
            cells[key] = None
        elif len(texts) == 1:
            cells[key] = texts.pop()
        else:
            cells[key] = "".join(texts)
            texts.clear()
        self._leaf = False
        self._element = element.above  # type: ignore[assignment]  # only the record has none, and it is not plain

    def _end_outer_element(self, element: Element) -> None:
        """Handle the end of an element that has elements, is repeated, or is the record."""
        bare = self._leaf and not self.texts
        text = self._own_text(element)
        self._leaf = False
        if element.plain:
            self._twice |= element.key in self._cells or element.key in self._inner
            self._inner.add(element.key)
            if text is not None:
                self._cells[element.key] = text
        elif text is not None:
            self._cells[OWN_TEXT] = text
        if element.repeated:
            item = self._cells
            self._cells, self._inner = self._outer.pop()
            self._cells.setdefault(element.key, []).append(_simplified(item))
        if element.above is None:
            self._end_record(bare)
        else:
            self._element = element.above

    def _end_record(self, bare: bool) -> None:  # noqa: FBT001 -- one of two states
        if self._record.names.repeated:
            for key, value in self._cells.items():
                if isinstance(value, list):
                    self._cells[key] = msgspec.json.encode(value).decode()
        self._finish(None if self._twice else self._cells, bare)

    def _add_attributes(self, attributes: list[str]) -> None:
        """Add the attributes of the current element; an empty one has no value."""
        if len(attributes) > 2 * MOST_ATTRIBUTES:
            raise too_many_attributes(self._record.names.where)
        keys, cells = self._element.attributes, self._cells
        for name, value in zip(attributes[::2], attributes[1::2], strict=True):
            cells[keys[name]] = value or None

    def _keep_piece(self) -> None:
        """Keep a text before a start tag, unless it is blank."""
        text = "".join(self.texts)
        if text.strip(_BLANKS):
            self._pieces.setdefault(self._element.path, []).append(text)

    def _own_text(self, element: Element) -> str | None:
        """Return the text of an element: without blank parts if there are elements in it, else as published."""
        text = "".join(self.texts)
        self.texts.clear()
        if not self._leaf and not text.strip(_BLANKS):
            text = ""
        if self._pieces:
            text = "".join(self._pieces.pop(element.path, [])) + text
        return text or None


def _simplified(item: dict[str, Any]) -> Any:
    """Return what a repeated element becomes: its text if it has nothing else, else an object; None if it is empty."""
    return item.get(OWN_TEXT) if item.keys() <= {OWN_TEXT} else item
