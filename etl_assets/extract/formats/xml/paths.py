"""The published names of a record's values: paths of elements and attributes, relative to the record.

expat names an element ``uri}local``, or ``uri}local}prefix`` where the document writes a prefix. The published name has
the declared prefix of that namespace, or ``{uri}`` if none is declared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from etl_assets.extract.formats.published_names import check_names
from etl_assets.extract.formats.xml.refusals import MOST_DEPTH, too_deep

if TYPE_CHECKING:
    from collections.abc import Mapping

OWN_TEXT: Final = "."
"""The published name of the text of the record element itself."""
SEPARATOR: Final = "}"
"""The character between the parts of a name of expat; no URI may contain it."""
_MOST_PATHS: Final = 2_000
_XML: Final = "http://www.w3.org/XML/1998/namespace"


class Names:
    """Makes the published names of a document, and limits them.

    Args:
        namespaces: Declared prefix to URI.
        repeated: The paths of the elements that may occur more than once.
        where: The file's name in errors.
    """

    def __init__(self, namespaces: Mapping[str, str], repeated: tuple[str, ...], where: str) -> None:
        self.where = where
        self.repeated = frozenset(repeated)
        self._prefixes = {_XML: "xml"} | {uri: prefix for prefix, uri in namespaces.items()}
        self._published: dict[str, str] = {}
        self._paths: set[str] = set()

    def published(self, name: str) -> str:
        """Return the published form of a name of expat, without its path."""
        if SEPARATOR not in name:
            return name
        uri, local = name.split(SEPARATOR)[:2]
        return f"{self._prefixes[uri]}:{local}" if uri in self._prefixes else f"{{{uri}}}{local}"

    def add(self, path: str) -> str:
        """Return a path that is new to the document; raise a `DeliveryError` if it cannot be a published name."""
        remedy = "Ask the publisher for another name"
        check_names((path,), self.where, remedy)
        self._paths.add(path)
        if len(self._paths) > _MOST_PATHS:
            check_names(self._paths, self.where, remedy, most=_MOST_PATHS)
        return path


class Element(dict[str, "Element"]):
    """One path of a record, with the elements below it by their names as expat writes them.

    Args:
        names: Makes the published names.
        above: The path of the parent; None for the record.
        path: The path, relative to the record; the empty text for the record.

    Attributes:
        depth: Number of elements around it in the record.
        key: The path relative to the record, or to the repeated element around it.
        repeated: Whether the element may occur more than once.
        plain: Whether it is neither the record nor repeated, so that its text is one value.
        attributes: Key of each attribute, by its name as expat writes it.
    """

    __slots__ = ("above", "attributes", "depth", "key", "names", "path", "plain", "repeated")

    def __init__(self, names: Names, above: Element | None = None, path: str = "") -> None:
        super().__init__()
        self.names = names
        self.depth: int = 0 if above is None else above.depth + 1
        self.above = above
        self.path = path
        self.repeated = path in names.repeated
        self.plain = above is not None and not self.repeated
        self.key = path[len(_scope(above)) :] if above is not None else ""
        self.attributes = _Attributes(self)

    def __missing__(self, name: str) -> Element:
        """Return the path of an element that was not met before."""
        if self.depth >= MOST_DEPTH:
            raise too_deep(self.names.where)
        published = self.names.published(name)
        path = f"{self.path}/{published}" if self.path else published
        known = next((element for element in self.values() if element.path == path), None)
        self[name] = known or Element(self.names, self, self.names.add(path))
        return self[name]


class _Attributes(dict[str, str]):
    """The keys of the attributes of an element, by their names as expat writes them."""

    __slots__ = ("_element",)

    def __init__(self, element: Element) -> None:
        super().__init__()
        self._element = element

    def __missing__(self, name: str) -> str:
        element = self._element
        own = f"@{element.names.published(name)}"
        path = element.names.add(f"{element.path}/{own}" if element.path else own)
        self[name] = path[len(_scope(element)) :]
        return self[name]


def _scope(element: Element | None) -> str:
    """Return what begins the paths, but not the keys, of what is in an element: the path of a repeated one above."""
    while element is not None and not element.repeated:
        element = element.above
    return "" if element is None else f"{element.path}/"
