"""The members of a page that is a JSON object: their bytes, so that a page is not parsed to find a few values in it.

A record may be malformed, and is one malformed record then; what the page says beside its records is read all the same.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

import msgspec

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.blocks import Blocks
from etl_assets.extract.formats.json.cursor import Cursor
from etl_assets.extract.formats.json.extent import COLON, text_end
from etl_assets.extract.formats.json.path import Path
from etl_assets.extract.formats.json.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MALFORMED: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_MARK: Final = b"\xef\xbb\xbf"
_OBJECT: Final = b"{"
_MEMBERS: Final = Path.parse("$.*")


def members_of(body: bytes) -> Mapping[str, bytes | msgspec.Raw]:
    """Return the members of an object by their keys; none if the body is another JSON value.

    Raises:
        ValueError: If the body is no JSON.
    """
    body = body.removeprefix(_MARK)
    if body.lstrip()[:1] != _OBJECT:
        return {}
    try:
        return msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except MALFORMED:
        return _walked(body)


def value_at(members: Mapping[str, bytes | msgspec.Raw], steps: Sequence[str]) -> Any:
    """Return the value to which the keys lead; None if it is not there.

    Raises:
        ValueError: If it is no JSON.
    """
    first, *rest = steps
    if first not in members:
        return None
    try:
        if not rest:
            return msgspec.json.decode(members[first])
        return value_at(members_of(bytes(members[first])), rest)
    except MALFORMED as error:
        raise ValueError from error


def _walked(body: bytes) -> dict[str, bytes | msgspec.Raw]:
    """Return the members of an object whose values need not be well-formed, if only their quotes and brackets are."""
    blocks = Blocks(cast("BinaryIO", io.BytesIO()), "")
    walk = Walk(Cursor(blocks, body, len(body) + 1, "", 0), _MEMBERS, missing_ok=False)
    members: dict[str, bytes | msgspec.Raw] = {}
    try:
        for found in walk.records():
            end = text_end(found.data, 0)
            colon = COLON.match(found.data, end)
            if colon is not None:
                members[msgspec.json.decode(found.data[:end], type=str)] = found.data[colon.end() :]
    except (*MALFORMED, DeliveryError) as error:
        raise ValueError from error
    return members
