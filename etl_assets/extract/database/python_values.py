"""Values of Python as texts, in the notation of ``schema.canonical_type``: what drivers of SQLAlchemy return.

A number has the digits that it came with. Bytes are two hexadecimal digits each, dicts and lists are JSON. What has no
notation is refused by the name of its class.
"""

from __future__ import annotations

from datetime import timedelta
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pyarrow as pa

from etl_assets.errors import DeliveryError
from etl_assets.extract.dlt.values import UnknownTypeError, value_of, with_large_integers
from etl_assets.model.text import names_text

if TYPE_CHECKING:
    from collections.abc import Sequence

_TEXTS: Final = frozenset({str, type(None)})
_NETWORKS: Final = (IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network)
_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)


def texts_of(cells: Sequence[Any], column: str, *, clocks: bool = False) -> Any:
    """Return values as an Arrow array of texts.

    Args:
        cells: Of one column; None for null.
        column: Its name, for errors.
        clocks: Whether a `timedelta` is a time of day, which may be one of more than a day: ``-838:59:59``.

    Raises:
        DeliveryError: If a value has no notation.
    """
    try:
        if not _TEXTS.issuperset(map(type, cells)):
            cells = [text_of(cell, clocks=clocks) for cell in cells]
        return pa.array(cells, pa.string())
    except UnknownTypeError as error:
        problem = error.problem
    except UnicodeEncodeError:
        problem = "has a text that is not Unicode"
    raise DeliveryError(
        f"The column {names_text([column])} {problem}. Nothing was written. Leave it out by columns=…, or let the "
        "database write it: SELECT CAST(… AS VARCHAR) in a query."
    )


def text_of(value: Any, *, clocks: bool = False) -> str | None:
    """Return a value as text; see `texts_of`."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, _NETWORKS):
        return str(value)
    if clocks and isinstance(value, timedelta):
        return _clock(value)
    written = value_of(value)
    if written is None or isinstance(written, str):
        return written
    return msgspec.json.encode(with_large_integers(written)).decode()  # a number of JSON is one of ours


def _clock(value: timedelta) -> str:
    """Return ``23:59:59.5``, with as many digits of the fraction as are not zero."""
    sign, size = ("-", -value) if value < timedelta() else ("", value)
    hours, rest = divmod(size, _HOUR)
    minutes, rest = divmod(rest, _MINUTE)
    fraction = f".{rest.microseconds:06}".rstrip("0").rstrip(".")
    return f"{sign}{hours:02}:{minutes:02}:{rest.seconds:02}{fraction}"
