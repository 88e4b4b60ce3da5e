"""ISO 4217 as 13 deliveries of XML, and the documents of defusedxml that attack parsers."""

from __future__ import annotations

import io
from datetime import datetime
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from etl_assets.doctor import examine
from etl_assets.errors import DeliveryError
from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.xml import Xml
from etl_assets.model.partitions import Files
from etl_assets.postgres.connection import connected
from etl_assets.schema import Column, Schema
from etl_assets.source import Source
from etl_assets_tests.real_feeds.taking import FEEDS, ground_truth, take, warehouse, with_real_feeds
from etl_assets_tests.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from etl_assets_tests.real_feeds.taking import Row, Taken

pytestmark = with_real_feeds
_FEED = "iso4217_xml"
_NONE = "none"
_ATTACKS = FEEDS / "torture/defusedxml/xmltestdata"
_HARMLESS = {"simple.xml": ["/root/element"], "simple-ns.xml": ["/{namespace}root/{namespace}element"]}
_WITH_DOCTYPE = (
    *("cyclic.xml", "dtd.xml", "dtd_element.xml", "external.xml", "external_file.xml", "quadratic.xml"),
    *("xmlbomb.xml", "xmlbomb2.xml"),
)

SCHEMA = Schema(
    columns=(
        Column("country", "text", required=True, published_as="CtryNm"),
        Column("code", "text", required=True, published_as="Ccy", default=_NONE, length=4),
        Column("currency", "text", published_as="CcyNm"),
        Column("number", "text", published_as="CcyNbr", pattern="[0-9]{3}"),
        Column("minor_units", "integer", published_as="CcyMnrUnts", null=("N.A.",)),
        Column("is_fund", "boolean", published_as="CcyNm/@IsFund"),
        Column("published", "date", published_as="../../@Pblshd", formats=("%Y-%m-%d", "%B %-d, %Y")),
    ),
    key=("country", "code"),
)


def currencies(batch_bytes: int = 20_000) -> Source:
    """The source."""
    return Source(
        name=_FEED,
        description="Currencies by country.",
        owner="team:money",
        extractor=FileExtractor(
            location=f"{FEEDS / _FEED}/iso4217_table_*.xml",
            format=Xml(record="/ISO_4217/CcyTbl/CcyNtry", batch_bytes=batch_bytes),
            settle_seconds=0,
        ),
        schema=SCHEMA,
        partitions=Files(),
    )


@pytest.fixture(scope="module")
def taken(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Taken]:
    with warehouse(postgres_url, tmp_path_factory.mktemp("landing")) as kept:
        yield take(currencies(), kept)


def rows_of(path: Path) -> list[Row]:
    """What the records of a file must become, read by ElementTree."""
    root = ET.parse(path).getroot()  # noqa: S314 -- a file that we know
    published = root.get("Pblshd", "")
    day = datetime.strptime(published, "%Y-%m-%d" if published[0] == "2" else "%B %d, %Y").date()  # noqa: DTZ007 -- a date
    rows: list[Row] = []
    for entry in root.iter("CcyNtry"):
        values = {child.tag: child.text for child in entry}
        fund = entry.find("CcyNm[@IsFund]")
        units = values.get("CcyMnrUnts")
        rows.append(
            (
                values["CtryNm"],
                values.get("Ccy", _NONE),
                values["CcyNm"],
                values.get("CcyNbr"),
                None if units in (None, "N.A.") else int(units),
                None if fund is None else fund.get("IsFund") in ("true", "TRUE", "WAHR"),
                day,
            )
        )
    return rows


def test_every_delivery_is_taken_with_all_its_records_and_none_is_rejected(taken: Taken) -> None:
    known = ground_truth(_FEED)
    assert {file: counts.read for file, counts in taken.counts.items()} == {
        file: about["records"] for file, about in known.items()
    }
    assert taken.quarantined() == set()
    assert all(len(cut) > 1 for cut in taken.cuts.values())


def test_after_each_delivery_the_table_has_what_elementtree_reads(taken: Taken) -> None:
    table: dict[Row, Row] = {}
    for file, found in taken.tables.items():
        table |= {row[:2]: row for row in rows_of(FEEDS / _FEED / file)}
        assert set(found) == set(table.values()), file


def test_funds_missing_codes_and_units_are_as_many_as_are_known(taken: Taken) -> None:
    for file, about in ground_truth(_FEED).items():
        rows = [row for row in taken.tables[file] if row[6] == max(row[6] for row in taken.tables[file])]
        assert sum(row[1] == _NONE for row in rows) == about["without_Ccy"]
        assert len({row[1] for row in rows} - {_NONE}) == about["distinct_ccy"]
        assert sum(row[5] is True for row in rows) == about["is_fund"]


def test_the_doctor_finds_nothing_wrong_afterwards(taken: Taken) -> None:
    assert examine(taken.warehouse) == []


def test_the_delivery_that_writes_its_date_in_words_is_named_and_nothing_else(
    postgres_url: str, tmp_path: Path
) -> None:
    source = currencies()
    with warehouse(postgres_url, tmp_path) as kept, connected(kept.url) as connection:
        watch = Watch(source, kept, connection)
        opened = {key: watch.poll(key).opened for key in sorted(source.extractor.list())}
    changes = {key: [(event.change.kind, event.change.subject) for event in events] for key, events in opened.items()}
    in_words = [file for file, about in ground_truth(_FEED).items() if not about["Pblshd_is_iso_date"]]
    assert [key for key, found in changes.items() if found][:1] == in_words
    assert {change for found in changes.values() for change in found} == {("format", "published")}


@pytest.mark.parametrize("file", _WITH_DOCTYPE)
def test_a_document_with_a_document_type_declaration_is_refused(file: str) -> None:
    with pytest.raises(DeliveryError, match=r"has a document type declaration .*Nothing was written"):
        list(Xml(record="/root/element").read(io.BytesIO((_ATTACKS / file).read_bytes()), file))


@pytest.mark.parametrize("file", _HARMLESS)
def test_a_document_without_one_is_read(file: str) -> None:
    (record,) = _HARMLESS[file]
    (batch,) = Xml(record=record).read(io.BytesIO((_ATTACKS / file).read_bytes()), file)
    assert batch.frame.rows() == [("value", "text", 1), (None, "text", 2)]
