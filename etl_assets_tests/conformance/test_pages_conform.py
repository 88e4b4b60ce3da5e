"""The format of frozen pages conforms to the contract of formats, and RestExtractor to that of extractors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets import Csv, Http, Json, PageNumber, Partition, RestExtractor
from etl_assets.extract.pages import MAGIC, PageHead, Pages, packed
from etl_assets.testing import ExtractorSuite, FormatSuite
from etl_assets_tests.apis import Api, Reply, numbered, page_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets_tests.apis import Asked

_RECORDS = [
    *(b'{"number": %d, "word": "w\\u00e9\\"", "price": 1.%02d}' % (n, n) for n in range(20)),
    b'{"number": 20, "number": 20}',
    b"[22]",
    b'{"number": NaN}',
    *(b'{"number": %d, "seldom": {"a": [1.0, null], "b": {}}, "word": null}' % n for n in range(24, 40)),
]


def pages(*bodies: bytes, values: bool = False) -> bytes:
    """Return pages as they are frozen."""
    return MAGIC + b"".join(
        packed(
            PageHead(
                number,
                "GET",
                f"https://api.example/items?page={number}",
                200,
                {"content-type": "application/json"},
                len(body),
                values={"order": f"o{number}"} if values else {},
            ),
            body,
        )
        for number, body in enumerate(bodies, 1)
    )


def documents(size: int) -> list[bytes]:
    """Return the records in documents of so many."""
    return [
        b'{"items": [\n%b]}' % b",\n".join(_RECORDS[first : first + size]) for first in range(0, len(_RECORDS), size)
    ]


class TestRunsOfSmallPagesConform(FormatSuite):
    format = Pages(Json("$.items", batch_bytes=700))
    sample = pages(*documents(3))
    records = 39
    empty = pages(b'{"items": []}', b'{"items": []}')


class TestPartsOfLargePagesConform(FormatSuite):
    format = Pages(Json("$.items", batch_bytes=150))
    sample = pages(*documents(13), b'{"items": []}')
    records = 39
    empty = MAGIC


class TestPagesWithColumnsOfAParentConform(FormatSuite):
    format = Pages(Json("$.groups[*].items", batch_bytes=400), ("order",))
    sample = pages(
        *(b'{"groups": [{"items": []}, {"none": 1}, %b]}' % document for document in documents(5)), values=True
    )
    records = 39
    empty = pages(b'{"groups": []}', values=True)


class TestPagesOfCsvConform(FormatSuite):
    format = Pages(Csv(batch_bytes=100))
    sample = pages(*(b"number,word\n%d,a\n%d\n%d,c" % (n, n, n) for n in range(12)))
    records = 36
    empty = pages(b"number,word\n")


class TestRestExtractorConforms(ExtractorSuite):
    @pytest.fixture
    def api(self) -> Iterator[Api]:
        def answer(asked: Asked) -> Reply:
            if asked.path == "/gone":
                return Reply(status=404)
            return Reply({"items": page_of(numbered(5), asked, 2)})

        with Api(answer) as api:
            yield api

    @pytest.fixture
    def extractor(self, api: Api) -> RestExtractor:
        return RestExtractor(
            Json("$.items"), api.url("/{key}"), pagination=PageNumber(), access=Http(private=True, wait=0.01)
        )

    @pytest.fixture
    def there(self) -> Partition:
        return Partition("items", "items")

    @pytest.fixture
    def missing(self) -> Partition:
        return Partition("gone", "gone")
