"""Recognises XML, and chooses the elements that are the records: the outermost ones that repeat."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from xml.parsers import expat

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.xml import Xml
from etl_assets.infer.recognised import Recognised
from etl_assets.model.text import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.infer.file import File

_HEAD: Final = 8 * 1024 * 1024
"""Number of bytes at the start of a document in which records are looked for."""
_DECLARED: Final = re.compile(rb"""\A<\?xml[^>]*encoding=["']([A-Za-z0-9._-]+)["']""")
_PROLOG: Final = re.compile(rb"(?:\xef\xbb\xbf)?<\?xml\s")
_OF_EXPAT: Final = frozenset({"utf-8", "utf-16", "iso-8859-1", "us-ascii"})
_SEPARATOR: Final = "}"
_MOST_DEPTH: Final = 16
_MOST_SHOWN: Final = 10
_PREFIX: Final = re.compile(r"[^\W\d][\w.\-]*")

Steps = tuple[str, ...]
"""Names of elements as expat writes them, from the root on."""


@dataclass
class _Outline:
    """The elements of a document.

    Attributes:
        counts: Number of the elements with each path.
        most: The largest number of them in one parent.
        prefixes: The first prefix of each namespace.
    """

    counts: Counter[Steps] = field(default_factory=Counter)
    most: dict[Steps, int] = field(default_factory=dict)
    prefixes: dict[str, str] = field(default_factory=dict)
    _path: Steps = ()
    _siblings: list[Counter[str]] = field(default_factory=lambda: [Counter()])

    def start(self, name: str, _: Any) -> None:
        """Count an element."""
        self._path = (*self._path, name)
        self._siblings[-1][name] += 1
        if len(self._path) <= _MOST_DEPTH:
            self.counts[self._path] += 1
            self.most[self._path] = max(self.most.get(self._path, 0), self._siblings[-1][name])
        self._siblings.append(Counter())

    def end(self, _: str) -> None:
        """Leave an element."""
        self._path = self._path[:-1]
        self._siblings.pop()

    def namespace(self, prefix: str | None, uri: str | None) -> None:
        """Keep the prefix of a namespace."""
        if uri and uri not in self.prefixes:
            self.prefixes[uri] = prefix or ""


def recognise_xml(file: File, part: str | None) -> Recognised | None:
    """Return the format with the path of the records; None if it is no XML.

    Raises:
        DeliveryError: If it is a web page, is cut or not well-formed, or has no element with that path.
    """
    head = file.head(_HEAD)
    encoding = _encoding(head)
    outline = _outline(head, encoding, cut=len(head) == _HEAD)
    if outline is None or not outline.counts:
        return None
    if next(iter(outline.counts))[-1].rpartition(_SEPARATOR)[2].lower() == "html":
        raise DeliveryError(f"{file.shown} is a web page. Nothing was inferred. Name the file that the page links to.")
    names = _Names(outline)
    candidates = _candidates(outline)
    record = candidates[0] if part is None else _named(file, outline, names, part)
    inside = {path: most for path, most in outline.most.items() if path[: len(record)] == record}
    repeated = [path for path, most in inside.items() if most > 1 and path != record]
    format_ = Xml(
        record=names.path(record),
        namespaces=names.used(path for path in outline.counts if path[: len(record)] == record),
        repeated=tuple(names.relative(path, record) for path in repeated),
        encoding=encoding,
    )
    others = [f"{outline.counts[path]:,} elements {quoted(names.path(path))}" for path in candidates if path != record]
    doubts = (f"no element repeats: is {names.path(record)} the record?",) if outline.counts[record] == 1 else ()
    return Recognised(format_, doubts, tuple(others[:_MOST_SHOWN]))


def _encoding(head: bytes) -> str | None:
    """Return the encoding that a document declares, if expat does not know it."""
    match = _DECLARED.match(head)
    name = match[1].decode().lower() if match else "utf-8"
    return None if name in _OF_EXPAT else name


def _outline(head: bytes, encoding: str | None, *, cut: bool) -> _Outline | None:
    """Return the elements of a document, or of its first part; None if it is no XML.

    Raises:
        DeliveryError: If it has an XML declaration and is not well-formed.
    """
    outline = _Outline()
    parser = expat.ParserCreate("utf-8" if encoding else None, _SEPARATOR)
    parser.StartElementHandler = outline.start
    parser.EndElementHandler = outline.end
    parser.StartNamespaceDeclHandler = outline.namespace
    parser.StartDoctypeDeclHandler = _refuse
    try:
        data = head.decode(encoding, "ignore").encode() if encoding else head
        parser.Parse(data, not cut)
    except (expat.ExpatError, LookupError, ValueError) as error:
        if _PROLOG.match(head):
            raise DeliveryError(
                f"The document begins like XML and cannot be read as such: {error}. Nothing was inferred. "
                "Ask the publisher for a well-formed document."
            ) from error
        return None
    return outline


def _refuse(*_: Any) -> None:
    raise DeliveryError(
        "The document has a document type declaration, which is never read. Nothing was inferred. "
        "Ask the publisher for the document without it."
    )


def _candidates(outline: _Outline) -> list[Steps]:
    """Return the paths that may be those of the records, the likeliest first."""
    repeated = [path for path, most in outline.most.items() if most > 1]
    outermost = [path for path in repeated if not any(path[:length] in repeated for length in range(1, len(path)))]
    if outermost:
        outermost.sort(key=lambda path: (len(path), -outline.counts[path]))
        return [*outermost, *(path for path in repeated if path not in outermost)]
    parents = Counter(path[:-1] for path in outline.counts if len(path) > 1)
    return [max(parents, key=lambda path: parents[path])] if parents else [next(iter(outline.counts))]


def _named(file: File, outline: _Outline, names: _Names, part: str) -> Steps:
    for path in outline.counts:
        if names.path(path) == part:
            return path
    known = ", ".join(quoted(names.path(path)) for path in _candidates(outline)[:_MOST_SHOWN])
    raise DeliveryError(f"{file.shown} has no {quoted(part)}. Nothing was inferred. Write one of: {known}.")


class _Names:
    """Writes names with the prefixes that are to be declared."""

    def __init__(self, outline: _Outline) -> None:
        self._prefixes: dict[str, str] = {}
        for uri, prefix in outline.prefixes.items():
            plain = prefix if _PREFIX.fullmatch(prefix) and prefix not in self._prefixes.values() else ""
            self._prefixes[uri] = plain or f"ns{len(self._prefixes) + 1}"

    def path(self, path: Steps) -> str:
        """Return a path from the root."""
        return "".join(f"/{self._name(name)}" for name in path)

    def relative(self, path: Steps, record: Steps) -> str:
        """Return a path from the record."""
        return "/".join(map(self._name, path[len(record) :]))

    def used(self, paths: Iterator[Steps]) -> tuple[tuple[str, str], ...]:
        """Return prefix and URI of each namespace that the names of some paths are in."""
        uris = {name.rpartition(_SEPARATOR)[0] for path in paths for name in path}
        return tuple((prefix, uri) for uri, prefix in self._prefixes.items() if uri in uris)

    def _name(self, name: str) -> str:
        uri, _, local = name.rpartition(_SEPARATOR)
        return f"{self._prefixes[uri]}:{local}" if uri else local
