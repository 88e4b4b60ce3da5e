"""JSON objects as published names and values, and the rules that malformed ones break.

msgspec splits an object and keeps each value as its published bytes. It does not report a key that occurs twice. So the
quotes of each object are counted, and an object whose quotes do not add up is parsed again by a slower parser.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from etl_assets.extract.formats.utf8 import is_utf8
from etl_assets.model.rule import RuleInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.extract.formats.json.options import ObjectOptions

    Object: TypeAlias = dict[str, msgspec.Raw]

ENCODING: Final = "record__encoding"
OBJECT: Final = "record__object"
TWICE: Final = "record__key_twice"
ARRAY: Final = "record__array"
RULES: Final = (
    RuleInfo(ENCODING, "the record is in UTF-8"),
    RuleInfo(OBJECT, "the record is one JSON object"),
    RuleInfo(TWICE, "no key stands twice in the record"),
)
"""The rules that a record can break."""
ARRAY_RULE: Final = RuleInfo(ARRAY, "the record has the array that is exploded, of a size that can be exploded")
"""The rule that a record can break in addition if an array is exploded."""
_OPENING: Final = ord("{")
_DECODE_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def objects_of(records: Sequence[bytes]) -> list[Object | str]:
    """Return the values of each record, as published, by key; the rule that a malformed record breaks."""
    whole = b"\n".join(records)
    if is_utf8(whole):
        try:
            objects = [_DECODE_OBJECT(record) for record in records]
        except (msgspec.DecodeError, RecursionError):
            return [object_of(record) for record in records]
        # A key that occurs twice has quotes that are not counted, and nothing else has fewer quotes than are counted.
        if whole.count(b'"') == sum(map(_quotes, objects)):
            return list(objects)
        return [_without_key_twice(object_, record) for object_, record in zip(objects, records, strict=True)]
    return [object_of(record) if is_utf8(record) else ENCODING for record in records]


def members_of(records: Sequence[bytes], key_name: str) -> list[Object | str]:
    """Return the same for records that are members of an object, ``"key": {…}``; the key is one more value."""
    keyed: list[Object | str] = []
    for outer in objects_of([b"{" + record + b"}" for record in records]):
        if isinstance(outer, str) or len(outer) != 1:
            keyed.append(outer if isinstance(outer, str) else OBJECT)
            continue
        ((key, value),) = outer.items()
        inner = object_of(bytes(value))
        if not isinstance(inner, str):
            inner = TWICE if key_name in inner else {key_name: msgspec.Raw(msgspec.json.encode(key)), **inner}
        keyed.append(inner)
    return keyed


def flattened(object_: Object, options: ObjectOptions, prefix: str = "", level: int = 1) -> Object | str:
    """Return an object with the fields of nested objects as columns of their own; the rule that one of them breaks.

    Args:
        object_: The values by key.
        options: Which nested objects become columns.
        prefix: What comes before its keys.
        level: Of its values, from 1.
    """
    columns: Object = {}
    for key, value in object_.items():
        name = prefix + key
        inner: Object | str = {name: value}
        if options.flattens(name, level):
            if memoryview(value)[0] == _OPENING:
                nested = object_of(bytes(value))
                inner = nested if isinstance(nested, str) else flattened(nested, options, f"{name}.", level + 1)
            elif options.flatten is not True and bytes(value) == b"null":
                continue
        if isinstance(inner, str):
            return inner
        if not columns.keys().isdisjoint(inner):
            return TWICE
        columns |= inner
    return columns


def is_json(value: bytes) -> bool:
    """Return whether bytes are one valid JSON value in UTF-8."""
    try:
        msgspec.json.decode(value, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return is_utf8(value)


def object_of(record: bytes) -> Object | str:
    """Return the values of an object, as published, by key; or the rule that it breaks."""
    try:
        values = _DECODE_OBJECT(record)
    except (msgspec.DecodeError, RecursionError):
        return OBJECT
    return _without_key_twice(values, record)


def _without_key_twice(values: Object, record: bytes) -> Object | str:
    if record.count(b'"') == _quotes(values):
        return values
    pairs = json.loads(record, object_pairs_hook=list, parse_int=str, parse_float=str)
    return TWICE if len({key for key, _ in pairs}) < len(pairs) else values


def _quotes(values: Object) -> int:
    """Return how many quotes an object has that has these values, each once, and no quotes within its keys."""
    return 2 * len(values) + b"".join(values.values()).count(b'"')
