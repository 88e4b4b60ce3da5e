"""The errors about documents that are refused as a whole, each with what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.parsers import expat

from etl_assets.errors import DeliveryError, DeliveryIncompleteError
from etl_assets.model.text import names_text, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_DEPTH: Final = 256
"""The largest number of elements around each other."""
MOST_ATTRIBUTES: Final = 1_000
"""The largest number of attributes of an element."""
LONGEST_TOKEN: Final = 1024 * 1024
"""The largest size of a tag, a comment or a processing instruction, in bytes; a parser has all of it in memory."""
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
_EXHAUSTING: Final = "Check the file: it may be made to exhaust memory"


def refused(where: str, problem: str, remedy: str) -> DeliveryError:
    """Return the error about a document.

    Args:
        where: The file's name.
        problem: What is wrong with it, as a clause.
        remedy: What to do, as a sentence without the final period.
    """
    return DeliveryError(f"{where} {problem}. Nothing was written. {remedy}.")


def not_well_formed(where: str, error: expat.ExpatError, position: int) -> DeliveryError:
    """Return the error about a document that expat refuses at a position, in bytes."""
    problem = f"{expat.ErrorString(error.code)}, line {error.lineno}, byte {position}"
    if error.code in _CUT:
        return DeliveryIncompleteError(
            f"{where} is cut short: {problem}. Nothing was written. Fetch it again once the publisher has finished it."
        )
    remedy = "Ask the publisher to correct it; what follows such a place cannot be trusted"
    return refused(where, f"is not well-formed XML: {problem}", remedy)


def document_type(where: str, line: int, position: int) -> DeliveryError:
    """Return the error about a document type declaration."""
    problem = (
        f"has a document type declaration (DOCTYPE), line {line}, byte {position}, which can define entities and read "
        "other files"
    )
    return refused(where, problem, "Ask the publisher for the document without it")


def another_root(where: str, root: str, declared: str) -> DeliveryError:
    """Return the error about a document whose root is not that of the declared path."""
    problem = f"has the root {quoted(root)}, but records are declared below {declared!r}"
    return refused(where, problem, "Correct record=, and namespaces= if the names have a namespace")


def without_records(where: str, wanted: str, around: Sequence[str], others: Sequence[str]) -> DeliveryError:
    """Return the error about a document without an element that leads to records.

    Args:
        where: The file's name.
        wanted: Name of the first element on the path that the document does not have.
        around: Names of the elements that it does have, from the root on.
        others: Names of the elements that are in the last of these.
    """
    problem = f"lacks {wanted!r} in /{'/'.join(around)}, where the elements are {names_text(others)}"
    return refused(where, problem, "Correct record=, or write missing_ok=True if a document may have no records")


def unreadable(where: str, encoding: str) -> DeliveryError:
    """Return the error about the encoding that a document declares."""
    problem = f"is declared to be in the encoding {quoted(encoding)}, which cannot be read directly"
    return refused(where, problem, "Write its encoding in the format: encoding='shift_jis', for example")


def too_deep(where: str) -> DeliveryError:
    """Return the error about elements that are too deep."""
    return refused(where, f"has more than {MOST_DEPTH} elements around each other", _EXHAUSTING)


def too_many_attributes(where: str) -> DeliveryError:
    """Return the error about an element with too many attributes."""
    return refused(where, f"has an element with more than {MOST_ATTRIBUTES:,} attributes", _EXHAUSTING)


def token_too_long(where: str, line: int, position: int) -> DeliveryError:
    """Return the error about a token that is longer than `LONGEST_TOKEN`."""
    problem = f"has a tag, a comment or a processing instruction longer than {LONGEST_TOKEN:,} bytes"
    return refused(where, f"{problem}, line {line}, byte {position}", _EXHAUSTING)
