"""Any document: written by ElementTree and read back, cut anywhere, flipped anywhere, fed in any pieces."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.xml import Xml, document
from etl_assets.model.delivery import MemberIndex
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.model.batch import RawBatch

FORMAT = Xml(record="/list/group/item", namespaces=(("p", "urn:p"),), batch_bytes=2_000)
_NAMES = st.sampled_from(["a", "b", "item", "{urn:p}a", "{urn:q}b", "\u00e9"])
_TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff\u0085")
    | st.sampled_from("\t\n <&>'\""),
    max_size=6,
)


@st.composite
def _elements(draw: st.DrawFn, depth: int = 2) -> ET.Element:
    element = ET.Element(draw(_NAMES), draw(st.dictionaries(_NAMES, _TEXTS, max_size=2)))
    element.text = draw(_TEXTS)
    if depth and draw(st.booleans()):
        element.extend(draw(st.lists(_elements(depth - 1), max_size=3)))
        for child in element:
            child.tail = draw(_TEXTS)
    return element


@st.composite
def _documents(draw: st.DrawFn) -> ET.Element:
    root = ET.Element("list", draw(st.dictionaries(_NAMES, _TEXTS, max_size=1)))
    for _ in range(draw(st.integers(1, 3))):
        group = ET.SubElement(root, "group", draw(st.dictionaries(_NAMES, _TEXTS, max_size=1)))
        group.extend(draw(st.lists(_elements(), max_size=4)))
        for item in group:
            item.tag = "item"
    return root


def _published(name: str) -> str:
    return name.replace("{urn:p}", "p:")


def _values(element: ET.Element, path: str, values: list[tuple[str, str]]) -> None:
    """Add path and text of everything in an element, as the format should publish it."""
    prefix = path and f"{path}/"
    values += [(f"{prefix}@{_published(name)}", value) for name, value in element.attrib.items()]
    for child in element:
        _values(child, f"{prefix}{_published(child.tag)}", values)
    pieces = [element.text or "", *(child.tail or "" for child in element)]
    if len(element):
        pieces = [piece for piece in pieces if piece.strip(" \t\r\n")]
    values.append((path or ".", "".join(pieces)))


def _expected(root: ET.Element) -> list[dict[str, str] | None]:
    records: list[dict[str, str] | None] = []
    for group in root:
        for item in group:
            values = [(f"../../@{_published(name)}", value) for name, value in root.attrib.items()]
            values += [(f"../@{_published(name)}", value) for name, value in group.attrib.items()]
            _values(item, "", values)
            twice = len({path for path, _ in values}) < len(values)
            records.append(None if twice else {path: value for path, value in values if value})
    return records


def _records(batches: Sequence[RawBatch]) -> list[dict[str, Any] | None]:
    """Return the values of each record, in order; None for a malformed one."""
    found: dict[int, dict[str, Any] | None] = {}
    for batch in batches:
        found |= dict.fromkeys(batch.malformed["record_no"])
        for row in batch.frame.iter_rows(named=True):
            found[row[RECORD_NO]] = {k: v for k, v in row.items() if k != RECORD_NO and v is not None}
    return [found[number] for number in sorted(found)]


def _read(data: bytes, format_: Xml = FORMAT) -> list[RawBatch]:
    return list(format_.read(io.BytesIO(data), "m"))


@settings(max_examples=40)
@given(_documents(), st.sampled_from(["utf-8", "utf-16", "iso-8859-1"]))
def test_any_document_that_elementtree_writes_is_read_back(root: ET.Element, encoding: str) -> None:
    data = ET.tostring(root, encoding)
    batches = _read(data)
    assert _records(batches) == _expected(root)
    names = tuple(dict.fromkeys(name for batch in batches for name in batch.names))
    index = MemberIndex("m", 0, names, tuple(batch.span for batch in batches))
    assert _records(list(FORMAT.read(io.BytesIO(data), "m", index=index))) == _expected(root)
    for batch in batches:
        numbers = range(batch.span.first_record, batch.span.last_record + 1)
        reread = FORMAT.reread(names, {number: batch.raw(number) for number in numbers}, batch.span.context)
        assert _records([reread]) == _records([batch])


_PARTS = st.sampled_from(
    [
        *(
            "<item>",
            "</item>",
            "<item/>",
            "<a>",
            "</a>",
            "<a x='1'>",
            '<a  x="&lt;"/>',
            "x",
            " ",
            "\r\n",
            "&amp;",
            "&#233;",
        ),
        *("\u00e9", "<!-- <item> -->", "<![CDATA[</item>]]>", "<?p <item> ?>", "]]>", "&e;", "<item a='>'>", "\0"),
        *("<item><a>1</a><b>2</b></item>\n", "<item k='1'><a>x &gt; y</a></item>", "<item><a>\u00e9</a><b></b></item>"),
        *(
            "<item k='1' l='&lt;'/>",
            "<row><![CDATA[<item><a>1</a><b>2</b></item>\n</item>]]></row>",
            "</group><group id='1'>",
            "</group><group xmlns='urn:p'><item/></group><group>",
            "<item xmlns='u'><a/></item>",
        ),
    ]
)


@given(st.lists(_PARTS, max_size=12), st.integers(1, 40))
def test_records_that_are_matched_by_their_shape_are_those_that_the_parser_finds(parts: list[str], times: int) -> None:
    body = "".join(part * (times if "/" in part and "<item" in part else 1) for part in parts)
    data = f"<list><group>{body}</group></list>".encode()
    results: list[Any] = []
    for lessons in (0, 16):
        parser = document.Document(FORMAT, "m")
        parser.shapes.lessons = lessons
        try:
            for start in range(0, len(data), 100):
                parser.feed(data[start : start + 100])
            parser.close()
            results.append([(*record[:2], record.cells, record.ancestors) for record in parser.take()])
        except DeliveryError as error:
            results.append([type(error)])
    assert results[0] == results[1]


_SAMPLE = (
    "<?xml version='1.0'?><list d='1'><group x='2'>"
    + "".join(f"<item n='{n}'><a>\u00e9 &amp; {n}</a><!-- c --><b><![CDATA[<]]></b></item>\n" for n in range(6))
    + "</group></list>"
).encode()


@given(st.integers(0, len(_SAMPLE) - 1), st.integers(0, 255), st.booleans())
def test_bytes_cut_or_changed_anywhere_are_refused_or_read(position: int, byte: int, cut: bool) -> None:  # noqa: FBT001 -- drawn
    data = _SAMPLE[:position] + (b"" if cut else bytes([byte]) + _SAMPLE[position + 1 :])
    try:
        batches = _read(data)
    except DeliveryError:
        return
    assert not cut
    assert sum(batch.span.records for batch in batches) <= 6
    for batch in batches:
        batch.forget()
        assert batch.frame.height + batch.malformed.height == batch.span.records


@pytest.mark.parametrize("record", [b"<item n='1'><a>x</a></item>\n", b"<item n='1' m='&lt;'/>"])
def test_alike_records_are_matched_by_their_shape(record: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    learnt: list[int] = []
    monkeypatch.setattr(document.Document, "_feed_alike", _counting(document.Document._feed_alike, learnt))
    data = b"<list><group>" + record * 10_000 + b"</group></list>"
    assert len(_records(_read(data, Xml(record="/list/group/item")))) == 10_000
    assert sum(learnt) > 5_000


def _counting(feed: Any, counts: list[int]) -> Any:
    def counted(self: document.Document, *arguments: Any) -> int:
        before = len(self.records)
        end: int = feed(self, *arguments)
        counts.append(len(self.records) - before)
        return end

    return counted


@pytest.mark.parametrize("around", [("<![CDATA[", "]]>"), ("<!--", "-->"), ("<?x ", "?>"), ("<other>", "</other>")])
def test_what_looks_like_alike_records_but_is_none_is_left_out(around: tuple[str, str]) -> None:
    record = "<item><a>1</a></item>\n"
    data = f"<list><group>{record * 5_000}{around[0]}{record * 10_000}{around[1]}{record * 5}</group></list>".encode()
    assert len(_records(_read(data, Xml(record="/list/group/item")))) == 5_005


def test_a_long_comment_of_end_tags_is_read_in_time_that_grows_with_its_length() -> None:
    records = "<item><a>1</a></item>\n" * 5_000
    data = f"<list><group>{records}<!--{'</item>' * 100_000}-->{records}</group></list>".encode()
    assert len(_records(_read(data, Xml(record="/list/group/item")))) == 10_000
