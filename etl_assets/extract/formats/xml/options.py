"""Options of XML, and the exact syntax.

* Records are the elements at one path from the root. Each becomes one record, wherever its parents stand.
* ``a``: the text of the element a in the record; ``a/b``: of the element b in it; ``@x``, ``a/@x``: attributes;
  ``.``: the text of the record element itself; ``../@x``, ``../../@x``: attributes of the elements around the record.
* A text is kept with its white space. The text of an element that also has elements is kept without its blank parts.
  An empty element and an empty attribute have no value.
* A repeated element becomes a JSON array: of its texts, or of objects with the same names, relative to the element.
* Names in a declared namespace have its declared prefix, ``p:name``, and others the URI, ``{uri}name``.
* CDATA is text. Comments, processing instructions and whatever is not in a record are left out.
* A document type declaration is refused, and so are all entities but the five predefined ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from etl_assets.errors import DeclarationError
from etl_assets.extract.base import BATCH_BYTES, LARGEST_BATCH
from etl_assets.extract.formats.encoding import UTF8, canonical

_STEP: Final = r"(?:\{[^{}]+\}|[^\W\d][\w.\-]*:)?[^\W\d][\w.\-]*"
_RECORD: Final = re.compile(rf"(?:/{_STEP})+")
_REPEATED: Final = re.compile(rf"{_STEP}(?:/{_STEP})*")
_PREFIX: Final = re.compile(r"[^\W\d][\w.\-]*")
_PREFIXES: Final = re.compile(r"(?:^|/)([^\W\d][\w.\-]*):")


@dataclass(frozen=True)
class XmlOptions:
    """XML.

    Attributes:
        record: Path of the elements that are the records, from the root on: ``/list/item``.
        namespaces: Prefix and URI of each namespace whose names are written with the prefix, here and in the schema.
        repeated: Paths, relative to the record, of the elements that may occur more than once.
        null: Texts that mean 'no value' in every column.
        encoding: Encoding of the bytes, if the document does not declare it, or declares a wrong one; None for that of
            the document.
        batch_bytes: Largest size of a batch.
        missing_ok: Whether a document with other elements than those of the path has no records; else it is refused.
    """

    record: str
    namespaces: tuple[tuple[str, str], ...] = ()
    repeated: tuple[str, ...] = ()
    null: tuple[str, ...] = ()
    encoding: str | None = None
    batch_bytes: int = BATCH_BYTES
    missing_ok: bool = False

    def __post_init__(self) -> None:
        if not _RECORD.fullmatch(self.record):
            remedy = "Write all elements from the root to the record: '/list/item'"
            raise _error("record", f"{self.record!r} is no path of elements", remedy)
        for path in self.repeated:
            if not _REPEATED.fullmatch(path):
                raise _error("repeated", f"contains {path!r}, which is no path of elements", "Write one like 'address'")
        self._check_namespaces()
        try:
            canonical(self.encoding or UTF8)
        except (LookupError, ValueError) as error:
            problem = f"{self.encoding!r} is not known, or not of text files"
            raise _error("encoding", problem, "Write one like 'utf-8' or 'shift_jis'") from error
        if not 1 <= self.batch_bytes <= LARGEST_BATCH:
            raise _error("batch_bytes", f"is {self.batch_bytes}", f"Write 1 to {LARGEST_BATCH} (1 GiB)")

    def _check_namespaces(self) -> None:
        prefixes = [prefix for prefix, _ in self.namespaces]
        uris = [uri for _, uri in self.namespaces]
        if not all(_PREFIX.fullmatch(prefix) for prefix in prefixes) or not all(uris):
            raise _error("namespaces", "has no prefix or no URI", "Write both: (('p', 'urn:example'),)")
        if len(set(prefixes)) < len(prefixes) or len(set(uris)) < len(uris):
            raise _error("namespaces", "has a prefix or a URI twice", "Give each URI one prefix of its own")
        for path in (self.record, *self.repeated):
            if unknown := [prefix for prefix in _PREFIXES.findall(path) if prefix not in (*prefixes, "xml")]:
                raise _error("namespaces", f"lacks the prefix {unknown[0]!r} of {path!r}", "Add it with its URI")

    @property
    def steps(self) -> tuple[str, ...]:
        """The published names of the elements from the root to the record."""
        return tuple(re.findall(_STEP, self.record))

    @property
    def transcoded(self) -> str | None:
        """The encoding from which the stream must be transcoded; None if a parser reads it as it is.

        Offsets then count bytes of the UTF-8 stream.
        """
        codec = canonical(self.encoding or UTF8)
        return None if codec == UTF8 else codec


def _error(field: str, problem: str, remedy: str) -> DeclarationError:
    return DeclarationError("format Xml", field, problem, remedy)
