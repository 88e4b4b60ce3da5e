"""XML: the exact values that are read, the records that are malformed, and the documents that are refused."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets.errors import DeliveryError, DeliveryIncompleteError
from etl_assets.extract.formats.xml import Xml, reader
from etl_assets.model.delivery import MemberIndex
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from etl_assets.model.batch import RawBatch

ITEMS = Xml(record="/list/item")


def read(data: str | bytes, format_: Xml = ITEMS) -> list[RawBatch]:
    return list(format_.read(io.BytesIO(data.encode() if isinstance(data, str) else data), "m"))


def rows(data: str | bytes, format_: Xml = ITEMS) -> list[dict[str, Any]]:
    """Return the values of each well-formed record, without those that it lacks."""
    return [
        {name: value for name, value in row.items() if value is not None}
        for batch in read(data, format_)
        for row in batch.frame.drop(RECORD_NO).iter_rows(named=True)
    ]


def only(item: str, format_: Xml = ITEMS) -> dict[str, Any]:
    (row,) = rows(f"<list>{item}</list>", format_)
    return row


@pytest.mark.parametrize(
    ("item", "values"),
    [
        ("<item/>", {}),
        ("<item>x</item>", {".": "x"}),
        ("<item a='1' b=''><c/><d></d></item>", {"@a": "1"}),
        ("<item><a> x\t\n</a></item>", {"a": " x\t\n"}),
        ("<item>\n <a> </a>\n</item>", {"a": " "}),
        ("<item><a>x<!-- c -->y<?p q?>z</a></item>", {"a": "xyz"}),
        ("<item><a><![CDATA[<b>&amp;]]></a></item>", {"a": "<b>&amp;"}),
        ("<item><a>&lt;&amp;&#233;&#x1F600;&quot;</a></item>", {"a": '<&é😀"'}),
        ("<item><a x='&#10; &lt;'/></item>", {"a/@x": "\n <"}),
        ("<item><a x='1'>t<b y='2'>u</b></a></item>", {"a": "t", "a/@x": "1", "a/b": "u", "a/b/@y": "2"}),
        ("<item>\n one <b>two</b> <i>three</i> four\n</item>", {".": "\n one  four\n", "b": "two", "i": "three"}),
        ("<item><a>\r\n</a></item>", {"a": "\n"}),
        ("<item xml:lang='de'><item>x</item></item>", {"@xml:lang": "de", "item": "x"}),
    ],
)
def test_a_value_is_published_under_its_path_in_the_record(item: str, values: dict[str, str]) -> None:
    assert only(item) == values


def test_an_attribute_of_an_element_around_the_record_is_a_value_of_each_record_in_it() -> None:
    groups = "<list day='1'><group id='a'><item/><item>x</item></group><group><item/></group></list>"
    assert rows(groups, Xml(record="/list/group/item")) == [
        {"../../@day": "1", "../@id": "a"},
        {"../../@day": "1", "../@id": "a", ".": "x"},
        {"../../@day": "1"},
    ]


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("<a><x/><y><b/></y><x/></a>", "lacks 'b' in /a, where the elements are 'x', 'y'. "),
        ("<a><x/><b><c><d/></c></b><z/></a>", "lacks 'item' in /a/b, where the elements are 'c'. "),
        ("<a><b/><b><p:c xmlns:p='u'/></b></a>", "lacks 'item' in /a/b, where the elements are '{u}c'. "),
    ],
)
def test_a_document_that_shows_no_place_for_records_is_refused_unless_that_is_declared(
    document: str, problem: str
) -> None:
    format_ = Xml(record="/a/b/item")
    with pytest.raises(DeliveryError) as error:
        read(document, format_)
    assert problem in str(error.value)
    assert rows(document, replace(format_, missing_ok=True)) == []


@pytest.mark.parametrize(
    "document", ["<a/>", "<a><b/></a>", "<a><x/><b> <!-- none --> </b></a>", "<a><b/><y/><b></b></a>"]
)
def test_a_document_that_is_empty_where_the_path_ends_is_a_delivery_without_records(document: str) -> None:
    (batch,) = read(document, Xml(record="/a/b/item"))
    assert (batch.span.records, batch.names) == (0, ())


def test_elements_outside_the_path_of_the_records_are_no_records() -> None:
    document = (
        "<list><head><item>no</item></head>text<item>yes</item><items/><other><list><item/></list></other></list>"
    )
    assert rows(document) == [{".": "yes"}]


def test_the_root_can_be_the_only_record() -> None:
    assert rows("<item a='1'><b>2</b></item>", Xml(record="/item")) == [{"@a": "1", "b": "2"}]


def test_names_of_declared_namespaces_have_the_declared_prefix_whatever_the_document_writes() -> None:
    document = (
        "<list xmlns='urn:a' xmlns:x='urn:b'><item x:k='1' k='2'><x:v>3</x:v><v xmlns='urn:b'/></item>"
        "<q:item xmlns:q='urn:a'><w xmlns='urn:b'>4</w><v xmlns=''>5</v></q:item></list>"
    )
    format_ = Xml(record="/a:list/a:item", namespaces=(("a", "urn:a"),))
    (batch,) = read(document, format_)
    assert batch.malformed.rows() == [(1, ["record__element_twice"])]
    assert rows(document, format_) == [{"{urn:b}w": "4", "v": "5"}]


@pytest.mark.parametrize(
    ("item", "cells"),
    [
        ("<item><t>a</t><t>b</t></item>", {"t": ["a", "b"]}),
        ("<item><t>a</t></item>", {"t": ["a"]}),
        ("<item><t/><t k='1'/></item>", {"t": [None, {"@k": "1"}]}),
        ("<item><t k='1'>x<u>y</u><v><w>z</w></v></t></item>", {"t": [{"@k": "1", ".": "x", "u": "y", "v/w": "z"}]}),
        ("<item><t><r>1</r><r>2</r></t><t><r>3</r></t></item>", {"t": [{"r": ["1", "2"]}, {"r": ["3"]}]}),
        ("<item><g><t>a</t></g></item>", {"g/t": ["a"]}),
    ],
)
def test_a_repeated_element_is_an_array_of_its_texts_or_of_objects(item: str, cells: dict[str, Any]) -> None:
    format_ = Xml(record="/list/item", repeated=("t", "t/r", "g/t"))
    assert {name: json.loads(value) for name, value in only(item, format_).items()} == cells


@pytest.mark.parametrize(
    "item",
    [
        "<item><a/><a/></item>",
        "<item><a>1</a><b/><a>2</a></item>",
        "<item><a><b/></a><a><c/></a></item>",
        "<item><a/><a><b/></a></item>",
        "<item><a><b/></a><a/></item>",
        "<item><t><a/><a/></t></item>",
        "<item><a><b/><b/></a></item>",
    ],
)
def test_an_element_that_occurs_twice_makes_its_record_malformed_and_no_other(item: str) -> None:
    (batch,) = read(f"<list><item>1</item>{item}<item>3</item></list>", Xml(record="/list/item", repeated=("t",)))
    assert batch.malformed.rows() == [(2, ["record__element_twice"])]
    assert batch.frame["."].to_list() == ["1", "3"]
    assert batch.raw(2) == item.encode()
    assert batch.location(2) == "m:/list/item[2]"


def test_null_words_are_no_values() -> None:
    data = "<list><item a='NA'>-</item><item a='n'>NA</item></list>"
    assert rows(data, Xml(record="/list/item", null=("NA", "-"))) == [{}, {"@a": "n"}]


@pytest.mark.parametrize(
    ("data", "problem", "remedy"),
    [
        (b"", "m is empty", "Check the feed"),
        (b"<!DOCTYPE list><list/>", "(DOCTYPE), line 1, byte ", "without it"),
        (b"<!DOCTYPE a [<!ENTITY e 'x'>]><list><item>&e;</item></list>", "(DOCTYPE)", "without it"),
        (b"<list><item>&e;</item></list>", "undefined entity, line 1, byte 12", "correct it"),
        (b"<list><item>a & b</item></list>", "not well-formed (invalid token), line 1, byte 15", "correct it"),
        (b"<list>\n<item>\0</item></list>", "not well-formed (invalid token), line 2, byte 13", "correct it"),
        (b"<list><item>\xff</item></list>", "not well-formed (invalid token)", "correct it"),
        (b"<list><item></list>", "mismatched tag", "correct it"),
        (b"<list/><list/>", "junk after document element, line 1, byte 7", "correct it"),
        (b"<list/>\n\0", "not well-formed (invalid token)", "correct it"),
        (b"<list a='1' a='2'/>", "duplicate attribute", "correct it"),
        (b"<list><x:item/></list>", "unbound prefix", "correct it"),
        (b"<rows><item/></rows>", "has the root 'rows', but records are declared below 'list'", "Correct record="),
        (b"<list xmlns='u'/>", "has the root '{u}list'", "namespaces="),
        (
            b"<list><entry/>x<ITEM><item/></ITEM></list>",
            "lacks 'item' in /list, where the elements are 'entry', 'ITEM'",
            "ok=True",
        ),
        (
            b"<list><item _record_no='1'/><item>" + b"x" * 300 + b"</item></list>",
            "longer than 200 bytes, byte 28",
            "path",
        ),
        (b"<list><item><_record_no>1</_record_no></item></list>", "the name '_record_no'", "another name"),
        (b"<?xml version='1.0' encoding='Shift_JIS'?><list/>", "the encoding 'Shift_JIS'", "encoding='shift_jis'"),
        (b"<?xml version='1.0' encoding='nonsense'?><list/>", "the encoding 'nonsense'", "Write its encoding"),
        (b"<?xml version='1.0' encoding='utf-16'?><list/>", "encoding specified in XML declaration", "correct it"),
        ("<list/>".encode("utf-32"), "the byte order mark of utf-32", "encoding='utf-32'"),
    ],
)
def test_a_document_that_cannot_be_trusted_is_refused_with_its_place_and_a_remedy(
    data: bytes, problem: str, remedy: str
) -> None:
    with pytest.raises(DeliveryError) as error:
        read(data, Xml(record="/list/item", batch_bytes=200))
    assert problem in str(error.value)
    assert remedy in str(error.value).partition("Nothing was written. ")[2]


@pytest.mark.parametrize(
    "data",
    ["<list", "<list><item>", "<list><item>x</item>", "<list><!-- ", "<list><item><![CDATA[x", "<list><item>&am"],
)
def test_a_document_that_is_cut_short_is_incomplete(data: str) -> None:
    with pytest.raises(DeliveryIncompleteError, match=r"m is cut short: .*, line 1, byte "):
        read(data)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("<list>" * 100_000, "more than 256 elements around each other"),
        ("<list><item>" + "<a>" * 100_000, "more than 256 elements around each other"),
        ("<list><item>" + "x" * 20_000_000 + "</item></list>", "a record longer than 12582912 bytes"),
        ("<list><item " + " ".join(f"a{n}='1'" for n in range(200_000)) + "/></list>", "longer than 1,048,576 bytes"),
        ("<list><item " + " ".join(f"a{n}='1'" for n in range(2_000)) + "/></list>", "more than 1,000 attributes"),
        ("<list><x " + " ".join(f"a{n}='1'" for n in range(2_000)) + "/></list>", "more than 1,000 attributes"),
        ("<list><x " + " ".join(f"xmlns:a{n}='u'" for n in range(2_000)) + "/></list>", "more than 1,000 attributes"),
        ("<list><!--" + "x" * 5_000_000 + "--></list>", "longer than 1,048,576 bytes, line 1, byte 6"),
        ("<!--" + "x" * 5_000_000, "longer than 1,048,576 bytes"),
        ("<list>" + "".join(f"<item><a{n}/></item>" for n in range(2_001)) + "</list>", "2,001 different names"),
        (f"<list><item {'a' * 1001}='1'/></list>", "names longer than 1,000 bytes"),
    ],
    ids=range(11),
)
def test_a_document_that_is_made_to_exhaust_memory_or_time_is_refused(data: str, problem: str) -> None:
    with pytest.raises(DeliveryError) as error:
        read(data)
    assert problem in str(error.value)


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("<list><item>é</item></list>".encode("utf-8-sig"), None),
        ("<list><item>é</item></list>".encode("utf-8-sig"), "utf-8"),
        ("<list><item>é</item></list>".encode("utf-16"), None),
        ("<list><item>é</item></list>".encode("utf-16-be"), None),
        ("<list><item>é</item></list>".encode("utf-32"), "utf-32"),
        ("<list><item>é</item></list>".encode("cp1252"), "cp1252"),
        ("<?xml version='1.0' encoding='windows-1252'?><list><item>é</item></list>".encode("cp1252"), None),
        ("<?xml version='1.0' encoding='utf-16'?><list><item>é</item></list>".encode(), "utf-8"),
    ],
)
def test_a_document_is_read_in_its_own_encoding_or_in_the_declared_one(data: bytes, encoding: str | None) -> None:
    format_ = Xml(record="/list/item", encoding=encoding)
    assert rows(data, format_) == [{".": "é"}]
    (batch,) = read(data, format_)
    assert batch.raw(1) in data
    assert format_.reread(batch.names, {7: batch.raw(1)}, batch.span.context).frame.rows() == [("é", 7)]


def test_the_bytes_of_a_record_begin_with_the_start_tags_around_it_that_have_attributes() -> None:
    document = "<list day='1'><group id='&lt;'><item>x</item></group><group><item>y</item></group></list>"
    format_ = Xml(record="/list/group/item")
    (batch,) = read(document, format_)
    assert batch.raw(1) == b'<group id="&lt;"><item>x</item>'
    assert batch.raw(2) == b"<item>y</item>"
    reread = format_.reread(batch.names, {1: batch.raw(1), 2: batch.raw(2)}, batch.span.context)
    assert reread.frame.rows() == batch.frame.rows()


@pytest.mark.parametrize(
    "raw", [b"", b"<item>", b"<item/><item/>", b"<other/>", b"<item/>x", b"\xff", b"<item>\0</item>"]
)
def test_bytes_that_are_no_record_are_malformed_when_they_are_reread(raw: bytes) -> None:
    (batch,) = read("<list day='1'><item>x</item></list>")
    reread = ITEMS.reread(batch.names, {1: raw, 2: b"<item><new>y</new></item>"}, batch.span.context)
    assert reread.malformed.rows() == [(1, ["record__well_formed"])]
    assert reread.frame.rows(named=True) == [{"../@day": "1", ".": None, "new": "y", RECORD_NO: 2}]


def test_an_ancestor_with_the_name_of_the_record_is_no_record_when_it_is_reread() -> None:
    format_ = Xml(record="/cube/cube/cube")
    (batch,) = read(
        "<cube a='1'><cube><cube><cube><cube/></cube></cube></cube><cube b='2'><cube/></cube></cube>", format_
    )
    numbers = range(1, batch.span.records + 1)
    reread = format_.reread(batch.names, {number: batch.raw(number) for number in numbers}, batch.span.context)
    assert reread.frame.rows() == batch.frame.rows()
    assert reread.malformed.is_empty()


def test_a_batch_whose_records_have_few_of_many_names_is_cut_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MOST_CELLS", 100)
    batches = read("<list>" + "".join(f"<item><k{n % 50}/></item>" for n in range(200)) + "</list>")
    assert max(batch.span.records * max(len(batch.names), 10) for batch in batches) <= 100
    assert sum(batch.span.records for batch in batches) == 200


def test_what_is_between_records_does_not_stay_in_memory() -> None:
    filling = "<other>" + "x" * 100_000 + "</other>"
    batches = read(
        f"<list><item>1</item>{filling * 3}<item>2</item></list>", Xml(record="/list/item", batch_bytes=50_000)
    )
    assert [batch.span.length for batch in batches] == [len("<item>1</item>")] * 2


def test_a_batch_that_does_not_have_the_records_of_its_index_is_refused() -> None:
    (batch,) = read("<list><item/><item/></list>")
    index = MemberIndex("m", 0, (), (batch.span,))
    (other,) = Xml(record="/list/row").read(io.BytesIO(b"<list><item/><item/></list>"), "m", index=index)
    with pytest.raises(DeliveryError, match=r"has 0 records, its index says 2\. The batch was not written"):
        _ = other.frame
