"""Recognises JSON: objects in lines, or one document, and where in it the records are."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from etl_assets.extract.formats.encoding import UTF8
from etl_assets.extract.formats.json import Json
from etl_assets.extract.formats.json.path import step_of
from etl_assets.extract.formats.ndjson import Ndjson
from etl_assets.extract.rest.signs import next_page_paths
from etl_assets.infer.recognised import Recognised, other_parts
from etl_assets.infer.text import whole_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.infer.file import File

_HEAD: Final = 4 * 1024 * 1024
"""Number of bytes at the start of a document in which records are looked for."""
_TOKEN: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{},]', re.DOTALL)
_CLOSING: Final = {"{": "}", "[": "]"}
_DEEPEST: Final = 8
_FEWEST_MEMBERS: Final = 2
_ALIKE: Final = 0.5
"""The members of an object are records if they have this share of their names in common."""
_SAMPLE: Final = 1_000
_MOST_SHOWN: Final = 5
_MOST_LINES: Final = 20


@dataclass(frozen=True)
class _Place:
    """Where records may be.

    Attributes:
        path: As `Json` takes it.
        records: The first of them.
        count: Their number in the part that was read.
        inside: Whether they are in the records of another place.
    """

    path: str
    records: list[dict[str, Any]]
    count: int
    inside: bool


def recognise_json(file: File, part: str | None) -> Recognised | None:
    """Return objects in lines, or a document with the path of its records; None if it is neither.

    Args:
        file: The file.
        part: The path of the records, if it is known.
    """
    head = file.head(_HEAD)
    cut = len(head) == _HEAD
    if part is None and (objects := objects_in_lines(whole_lines(head) if cut else head)):
        return Recognised(Ndjson(), _nested(objects))
    document = _decoded(head, cut=cut)
    if document is None:
        return None
    places = list(_places(document, "$", 0, inside=False))
    if part is not None:
        key_name = "key" if part.endswith(".*") else None
        return Recognised(Json(part, key_name=key_name), _nested(_records_at(places, part)))
    recognised = _of_places(places, cut=cut)
    paths = next_page_paths(partial(_value_at, document))
    if recognised is None or not paths:
        return recognised
    doubt = (
        f"the document names a next page at {paths[0]}, so that these may not be all records: declare a RestExtractor "
        "with a pagination, and infer from that"
    )
    return replace(recognised, doubts=(*recognised.doubts, doubt))


def objects_in_lines(lines: bytes) -> list[dict[str, Any]]:
    """Return the objects of the first lines; none if there are not two of them, or most lines are no objects."""
    first = [
        line for line in lines.removeprefix(b"\xef\xbb\xbf").split(b"\n", _MOST_LINES)[:_MOST_LINES] if line.strip()
    ]
    values = [value for value in map(_object_of_line, first) if value is not None]
    return values if len(values) > 1 and 2 * len(values) > len(first) else []


def _object_of_line(line: bytes) -> dict[str, Any] | None:
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        value = json.loads(line, parse_int=str)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _of_places(places: list[_Place], *, cut: bool) -> Recognised | None:
    outer = [place for place in places if not place.inside]
    if not outer:
        return None
    best = max(outer, key=lambda place: (place.count, -len(place.path)))
    doubts = [*_nested(best.records)]
    if cut:
        doubts.append(f"records were looked for in the first {_HEAD:,} bytes alone")
    key_name = None
    if best.path.endswith(".*"):
        key_name = _free_name(best.records)
        doubts.append(f"each record is a member of an object, whose key is published as {key_name}")
    sizes = {place.path: place.count for place in places if place.path != "$" or place.count > 1}
    others = other_parts(sizes, best.path, "records at {}, {} in the part that was read")
    return Recognised(Json(best.path, key_name=key_name), tuple(doubts), others)


def _value_at(document: Any, steps: Sequence[str]) -> Any:
    for step in steps:
        document = document.get(step) if isinstance(document, dict) else None
    return document


def _records_at(places: list[_Place], path: str) -> list[dict[str, Any]]:
    return next((place.records for place in places if place.path == path), [])


def _free_name(records: list[dict[str, Any]]) -> str:
    taken = {name for record in records for name in record}
    return next(name for name in ("key", "member", "member_key", "key_of_member") if name not in taken)


def _decoded(head: bytes, *, cut: bool) -> Any:
    """Return the value of a document, or of its first part; None if it is no JSON of objects."""
    text = head.removeprefix(b"\xef\xbb\xbf").decode(UTF8, "ignore" if cut else "replace")
    try:
        return json.loads(_closed(text) if cut else text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return None


def _closed(text: str) -> str:
    """Return the first part of a document, up to the last comma, with what closes its arrays and objects."""
    stack: list[str] = []
    end, closing = 0, ""
    for match in _TOKEN.finditer(text):
        mark = match[0]
        if mark in _CLOSING:
            stack.append(_CLOSING[mark])
        elif mark in ("}", "]") and stack:
            stack.pop()
        elif mark == ",":
            end, closing = match.start(), "".join(reversed(stack))
    return text[:end] + closing


def _places(value: Any, path: str, depth: int, *, inside: bool) -> Iterator[_Place]:
    """Yield the arrays of objects, the objects of objects that are alike, and the document if it is an object."""
    if isinstance(value, list):
        yield from _places_of_array(value, path, depth, inside=inside)
    elif isinstance(value, dict):
        if not depth:
            yield _Place(path, [value], 1, inside)
        if _are_alike(list(value.values())):
            yield _Place(f"{path}.*", list(value.values())[:_SAMPLE], len(value), inside)
            return
        for name, member in value.items():
            if name and depth < _DEEPEST:
                yield from _places(member, path + step_of(name), depth + 1, inside=inside)


def _places_of_array(array: list[Any], path: str, depth: int, *, inside: bool) -> Iterator[_Place]:
    """Yield an array of objects, and the arrays in its first objects."""
    records = [element for element in array[:_SAMPLE] if isinstance(element, dict)]
    if len(records) * 2 <= min(len(array), _SAMPLE):
        return
    yield _Place(path, records, len(array), inside)
    for name in dict.fromkeys(name for record in records[:_MOST_SHOWN] for name in record if name):
        nested = [element for r in records if isinstance(r.get(name), list) for element in r[name]]
        if nested and depth < _DEEPEST:
            yield from _places_of_array(nested, f"{path}[*]{step_of(name)}", depth + 1, inside=True)


def _are_alike(members: list[Any]) -> bool:
    """Return whether the members of an object are objects that have most of their names in common."""
    names = [set(member) for member in members[:_SAMPLE] if isinstance(member, dict)]
    if len(names) < max(_FEWEST_MEMBERS, min(len(members), _SAMPLE)):
        return False
    common = set.intersection(*names)
    return len(common) >= _ALIKE * max(map(len, names)) > 0 and not all(isinstance(member, list) for member in members)


def _nested(records: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return what could be declared of the objects and the arrays of objects in the records."""
    names = dict.fromkeys(name for record in records for name in record)
    objects = [n for n in names if any(isinstance(r.get(n), dict) and r[n] for r in records)]
    arrays = [n for n in names if any(isinstance(r.get(n), list) and any(map(_is_dict, r[n])) for r in records)]
    texts = []
    if objects:
        listed = ", ".join(map(repr, objects[:_MOST_SHOWN])) + ("," if len(objects) == 1 else "")
        texts.append(f"objects stay JSON; flatten=({listed}) makes columns of their fields")
    if arrays:
        texts.append(f"arrays stay JSON; explode={arrays[0]!r} makes a record of each of its elements")
    return tuple(texts)


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)
