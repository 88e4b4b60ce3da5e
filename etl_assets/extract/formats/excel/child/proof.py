"""Reads rows of Office Open XML by regular expressions that prove that nothing else is in them.

The proof of a row: each of its cells is written in one of the usual ways, its attributes are well-formed, and nothing
but blanks is around its cells. The proof of a run of rows: each has cells in the columns, with the types and styles, of
one row before them, or lacks some of them; their attributes are well-formed; and nothing but blanks and rows without
contents is between them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from etl_assets.extract.formats.excel.child import literals
from etl_assets.extract.formats.excel.child.book import Row, column_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from etl_assets.extract.formats.excel.child.values import Conversion

    Convert = Callable[[Sequence[str]], list[str]]

_ROW_NUMBER: Final = "[1-9][0-9]{0,6}"
_BLANKS: Final = " \t\r\n"
_ATTRIBUTES: Final = "[^<>&/]{0,500}"
_ROW_BEGIN: Final = f'<row r="({_ROW_NUMBER})"({_ATTRIBUTES})'
_ROW_END: Final = "</row>"
_ROW: Final = re.compile(f"[{_BLANKS}]*{_ROW_BEGIN}>")
_NAME: Final = "[A-Za-z_][A-Za-z0-9_.:-]*"
_ATTRIBUTE: Final = re.compile(f"""[{_BLANKS}]+({_NAME})[{_BLANKS}]*=[{_BLANKS}]*"[{_BLANKS}!#-%'-;=?-~]*["]""")
_EMPTY_ROW: Final = re.compile(f"{_ROW_BEGIN}/>")
_JOINT: Final = f'{_ROW_END}<row r="'
_BETWEEN: Final = re.compile(
    f'{_ROW_END}((?:[{_BLANKS}]|<row r="{_ROW_NUMBER}"{_ATTRIBUTES}/>)*)<row r="{_ROW_NUMBER}"{_ATTRIBUTES}>'
)
_NUMBER: Final = r"-?[0-9]+(?:\.[0-9]+)?(?:E[-+]?[0-9]{1,3})?"
_CELL: Final = re.compile(
    rf'<c r="([A-Z]{{1,3}})({_ROW_NUMBER})"(?: s="([0-9]{{1,6}})")?(?: t="([nsb])")?'
    rf"(?:/>|><v>({_NUMBER})</v></c>)"
)
_VALUES: Final = {"": _NUMBER, "n": _NUMBER, "s": "[0-9]{1,9}", "b": "[01]"}
_BOOLEANS: Final = {"1": literals.TRUE, "0": literals.FALSE}
_MOST_SHAPES: Final = 2_000
_MOST_GROUPS: Final = 2_000
_LAST_COLUMN: Final = 16_383


class _Shape(NamedTuple):
    """What rows have in common: columns, what makes their cells, and the pattern of a run of such rows."""

    columns: tuple[int, ...]
    converters: list[Convert]
    pattern: re.Pattern[str] | None


class Proof:
    """Reads rows and runs of rows.

    Args:
        strings: The shared strings, as cells.
        conversions: For each style, the cells by the digits of a number.
    """

    def __init__(self, strings: Sequence[str], conversions: Sequence[Conversion]) -> None:
        self._strings = strings
        self._conversions = conversions
        self._shapes: dict[tuple[tuple[str, ...], ...], _Shape | None] = {}
        self._widest: _Shape | None = None

    def of_run(self, run: bytes) -> Iterator[Row] | None:
        """Return the rows of a run of whole rows; None if there is no proof."""
        shape, self._widest = self._widest, None
        if shape is None or shape.pattern is None or b"hidden" in run:
            return None
        try:
            text = run.decode()
            found = shape.pattern.findall(text)
            numbers, attributes, *values = zip(*found, strict=True)
            empty = [column.count("") for column in values]
            gaps = _gaps(text, len(found), 2 * len(found) + 4 * (len(values) * len(found) - sum(empty)))
            if gaps is None or not all(map(_are_sound, set(attributes))):
                return None
            columns = zip(shape.converters, values, empty, strict=True)
            cells = [_sparse(convert, column) if some else convert(column) for convert, column, some in columns]
        except (IndexError, ValueError):
            return None
        self._widest = shape
        places = shape.columns
        rows = (
            Row(int(number), False, places, row)  # noqa: FBT003 -- keywords take longer
            for number, row in zip(numbers, zip(*cells, strict=True), strict=True)
        )
        return _with_empty_rows(gaps, rows) if gaps else rows

    def of_row(self, fragment: bytes) -> Row | None:
        """Return the row of a fragment that ends with its end tag; None if there is no proof."""
        try:
            text = fragment.decode()
        except UnicodeDecodeError:
            return None
        match = _ROW.match(text)
        cells = _CELL.findall(text, match.end()) if match else []
        if match is None or not cells or "hidden" in match[2] or not _are_sound(match[2]):
            return None
        letters, numbers, styles, types, values = zip(*cells, strict=True)
        if not _has_only(text, match.end(), len(cells), values.count("")) or numbers.count(match[1]) != len(cells):
            return None
        shape = self._shape(letters, styles, types)
        if shape is None or not all(map(_is_of_type, values, types)):
            return None
        if self._widest is None or len(shape.columns) >= len(self._widest.columns):
            self._widest = shape
        try:
            row = [_sparse(convert, (value,))[0] for convert, value in zip(shape.converters, values, strict=True)]
        except (IndexError, ValueError):
            return None
        return Row(int(match[1]), False, shape.columns, row)  # noqa: FBT003 -- keywords take longer

    def _shape(self, *shape: tuple[str, ...]) -> _Shape | None:
        """Return the shape of a row; None if its columns do not ascend."""
        if shape not in self._shapes:
            if len(self._shapes) >= _MOST_SHAPES:
                self._shapes.clear()
            self._shapes[shape] = self._new_shape(*shape)
        return self._shapes[shape]

    def _new_shape(self, letters: Sequence[str], styles: Sequence[str], types: Sequence[str]) -> _Shape | None:
        columns = tuple(map(column_of, letters))
        ascending = all(column < following for column, following in pairwise(columns))
        if not ascending or columns[-1] > _LAST_COLUMN:
            return None
        converters = [self._convert(style, type_) for style, type_ in zip(styles, types, strict=True)]
        return _Shape(columns, converters, _pattern(letters, styles, types) if len(columns) < _MOST_GROUPS else None)

    def _convert(self, style: str, type_: str) -> Convert:
        """Return what makes cells of the values of a column."""
        if type_ == "s":
            strings = self._strings
            return lambda places: list(map(strings.__getitem__, map(int, places)))
        if type_ == "b":
            return lambda values: list(map(_BOOLEANS.__getitem__, values))
        place = int(style or 0)
        return self._conversions[place if place < len(self._conversions) else 0].column


def _pattern(letters: Sequence[str], styles: Sequence[str], types: Sequence[str]) -> re.Pattern[str]:
    """Return the pattern of a row: its number, and the value of each cell or nothing."""
    cells = "".join(
        rf'(?:<c r="{name}\1"{_attribute("s", style)}{_attribute("t", type_)}(?:><v>({_VALUES[type_]})</v></c>|/>))?'
        for name, style, type_ in zip(letters, styles, types, strict=True)
    )
    return re.compile(f"{_ROW_BEGIN}>{cells}{_ROW_END}")


def _is_of_type(value: str, type_: str) -> bool:
    return not value or re.fullmatch(_VALUES[type_], value) is not None


def _attribute(name: str, value: str) -> str:
    return f' {name}="{value}"' if value else ""


@lru_cache(maxsize=1024)
def _are_sound(attributes: str) -> bool:
    """Return whether the attributes of a row, but for its number, are well-formed, and none is there twice."""
    names = _ATTRIBUTE.findall(attributes)
    sound = not _ATTRIBUTE.sub("", attributes).strip(_BLANKS)
    return sound and "r" not in names and len(set(names)) == len(names)


def _has_only(text: str, start: int, cells: int, empty: int) -> bool:
    """Return whether a row has, after its start tag, nothing but cells, some of them empty, and blanks."""
    tags = 1 + 4 * cells - 3 * empty
    adjacent = 3 * cells - 2 * empty
    if text.count("<", start) != tags:
        return False
    if text.count(">", start) == tags and text.count("><", start - 1) == adjacent + 1:
        return True
    return _CELL.sub("", text[start:]).strip(_BLANKS) == _ROW_END


def _gaps(text: str, rows: int, tags: int) -> list[str] | None:
    """Return what is before each row of a run: blanks and rows without contents.

    Args:
        text: The run.
        rows: Number of rows that were found.
        tags: Number of tags in them.

    Returns:
        Nothing if nothing is between the rows; None if there may be anything else.
    """
    more = text.count("<") - tags
    if not more and text.startswith("<row") and text.count(_JOINT) == rows - 1:
        return []
    gaps: list[str] = [match[1] for match in _BETWEEN.finditer(_ROW_END + text)]
    between = "".join(gaps)
    usual = text.count("</row") == rows == len(gaps) and between.count("<") == more
    return gaps if usual and all(_are_sound(attributes) for _, attributes in _EMPTY_ROW.findall(between)) else None


def _with_empty_rows(gaps: Sequence[str], rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows, and before each the rows without contents."""
    for gap, row in zip(gaps, rows, strict=True):
        for number, _ in _EMPTY_ROW.findall(gap):
            yield Row(int(number), False, (), ())  # noqa: FBT003 -- keywords take longer
        yield row


def _sparse(convert: Convert, values: Sequence[str]) -> list[str]:
    """Return the cells of a column; null where it has no value."""
    cells = iter(convert([value for value in values if value]))
    return [next(cells) if value else literals.NULL for value in values]
