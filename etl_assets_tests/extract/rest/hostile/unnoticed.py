"""Servers that are wrong in a way that no client can notice: what is landed then, and what helps."""

from __future__ import annotations

from typing import Final

from etl_assets import Ndjson, Offset, PageNumber
from etl_assets_tests.extract.rest.hostile.pages import delete_first, numbered, table
from etl_assets_tests.extract.rest.hostile.scenario import Scenario, document, every, page_of

_LINES: Final = b'{"id": 1}\n{"id": 2}\n'

SCENARIOS: Final = (
    Scenario(
        "loses a record between two pages, and names neither a total nor a version: declare `total`, or use a cursor",
        table((2, delete_first)),
        4,
        "the pages",
        records=(1, 2, 4, 5, 6),
        missing=1,
        declared={"pagination": Offset(limit=2)},
    ),
    Scenario(
        "names a total that is too small, and as many records come until then: leave `total` out",
        numbered(lambda page: document(page_of(page), total=2)),
        1,
        "the pages",
        records=(1, 2),
        missing=4,
        declared={"pagination": PageNumber(total="$.total")},
    ),
    Scenario(
        "announces the length of the first of two lines: use JSON, whose end shows itself",
        every(lambda request: request.answer(_LINES, length=len(_LINES) // 2, Connection="close")),
        1,
        "one request",
        records=(1,),
        missing=1,
        declared={"format": Ndjson()},
    ),
)
