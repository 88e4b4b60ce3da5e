"""Start tags of the elements around the records, and the context of a span that consists of them.

A parser that begins in the middle of a document is given these tags first, in the document's encoding.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import quoteattr

from etl_assets.extract.formats.encoding import UTF8
from etl_assets.extract.formats.xml.paths import SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Tag(NamedTuple):
    """A start tag.

    Attributes:
        name: The element's name as expat writes it.
        attributes: Name and value of each attribute, one after the other.
        namespaces: Prefix and URI of each declaration of a namespace; None for no prefix and for no URI.
    """

    name: str
    attributes: tuple[str, ...]
    namespaces: tuple[tuple[str | None, str | None], ...]

    def __str__(self) -> str:
        declared = [(f"xmlns:{prefix}" if prefix else "xmlns", uri or "") for prefix, uri in self.namespaces]
        names = map(_written, self.attributes[::2])
        pairs = [*declared, *zip(names, self.attributes[1::2], strict=True)]
        return f"<{_written(self.name)}{''.join(f' {name}={quoteattr(value)}' for name, value in pairs)}>"


@dataclass(frozen=True)
class Context:
    """What a parser must know before it reads a part of a document.

    Attributes:
        codec: Python's name of the encoding.
        tags: The start tags of the elements around the part, from the root on.
    """

    codec: str = UTF8
    tags: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> Context:
        """Return the context that a span has; the default for the empty text."""
        values = json.loads(text or "{}")
        return cls(values.get("codec", UTF8), tuple(values.get("tags", ())))

    def __str__(self) -> str:
        return json.dumps({"codec": self.codec, "tags": self.tags}, ensure_ascii=False)

    @property
    def head(self) -> bytes:
        """The tags as a parser takes them."""
        return encoded(self.tags, self.codec)


def encoded(tags: Iterable[object], codec: str) -> bytes:
    """Return start tags as bytes, with a reference for each character that the encoding does not have."""
    return "".join(map(str, tags)).encode(codec, "xmlcharrefreplace")


def around(ancestors: Sequence[Tag]) -> Sequence[Tag]:
    """Return the start tags that the bytes of a record begin with.

    These are the ancestors below the root, if any of them has an attribute or declares a namespace; none otherwise.
    Those of the root are in the context.
    """
    below = ancestors[1:]
    return below if any(tag.attributes or tag.namespaces for tag in below) else ()


def _written(name: str) -> str:
    """Return a name of expat as the document writes it."""
    parts = name.split(SEPARATOR)
    return f"{parts[2]}:{parts[1]}" if len(parts) > 2 else parts[-1]  # noqa: PLR2004 -- URI, local name and prefix
