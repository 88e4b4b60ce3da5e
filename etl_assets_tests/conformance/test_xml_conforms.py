"""The format of XML conforms to the contract of formats."""

from __future__ import annotations

from etl_assets.extract.formats.xml import Xml
from etl_assets.testing.format_suite import FormatSuite

_RECORDS = [
    *(f'<item id="{n}"><word>w\u00e9</word>\n<price unit="EUR">1.{n:02d}</price></item>' for n in range(20)),
    "<item><word>one</word><word>two</word></item>",
    "<item/>",
    "<item><!-- </item> --><word><![CDATA[<x>]]></word></item >",
    *(f"<item><seldom><deep>{n}</deep></seldom> text {n} <tag>a</tag><tag>b</tag></item>" for n in range(20)),
    "<item last='true'></item>",
]
_DOCUMENT = "<?xml version='1.0'?>\n<list date='2024-01-01'>\n" + "\n".join(_RECORDS) + "\n</list>\n"


class TestXmlConforms(FormatSuite):
    format = Xml(record="/list/item", repeated=("tag",), batch_bytes=400)
    sample = _DOCUMENT.encode()
    records = 44
    empty = b"<list/>"


class TestXmlInUtf16Conforms(FormatSuite):
    format = Xml(record="/list/item", repeated=("tag",), batch_bytes=800)
    sample = _DOCUMENT.encode("utf-16")
    records = 44
    empty = "<list> </list>".encode("utf-16")


class TestTranscodedXmlConforms(FormatSuite):
    format = Xml(record="/list/item", repeated=("tag",), encoding="shift_jis", batch_bytes=400)
    sample = _DOCUMENT.replace("\u00e9", "\u30bd").encode("shift_jis")
    records = 44
    empty = b"<list></list>"


class TestXmlInGroupsWithNamespacesConforms(FormatSuite):
    format = Xml(record="/l:list/l:group/l:item", namespaces=(("l", "urn:list"),), repeated=("l:tag",), batch_bytes=400)
    sample = (
        '<list xmlns="urn:list" date="2024-01-01">'
        + "".join(
            f'<group number="{n}" xmlns:x="urn:{n}">\n{record}</group>' if n % 3 else f"<group>{record}</group>"
            for n, record in enumerate(_RECORDS)
        )
        + "</list>"
    ).encode()
    records = 44
    empty = b'<list xmlns="urn:list"/>'
    in_file = False  # the start tag of the group comes before the record
