"""Servers whose pages are not what they were declared to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from etl_assets import Cursor
from etl_assets.errors import DeliveryError, DeliveryIncompleteError, DeliveryUnreachableError
from etl_assets_tests.extract.rest.hostile.scenario import Scenario, document, every, sends

if TYPE_CHECKING:
    from etl_assets_tests.hostile_server import Answer

_WHOLE: Final = document()
_ONCE: Final = "one request"
_PAGED: Final = {"pagination": Cursor("$.next")}


def _html(text: bytes) -> Answer:
    return sends(text, Content_Type="text/html; charset=utf-8")


def _with(old: bytes, new: bytes) -> Answer:
    """Return what sends the page with another text in it."""
    return sends(_WHOLE.replace(old, new, 1))


def _breaks_the_first_record(server: str, old: bytes, new: bytes) -> Scenario:
    """Return the scenario of a page whose first record another text makes malformed: all others arrive."""
    return Scenario(server, every(_with(old, new)), 1, _ONCE, malformed=1, records=range(2, 7), declared=_PAGED)


SCENARIOS: Final = (
    Scenario(
        "answers 200 with a page for browsers",
        every(_html(b"<!doctype html><title>Maintenance</title>")),
        1,
        _ONCE,
        DeliveryUnreachableError,
        "under maintenance",
    ),
    Scenario(
        "answers 200 with a page for browsers, and calls it JSON",
        every(sends(b"<html>Log in</html>")),
        1,
        _ONCE,
        DeliveryUnreachableError,
        "asks for a login",
        declared=_PAGED,
    ),
    Scenario("answers 200 with an error as JSON", every(sends(b'{"error": "quota"}')), 1, _ONCE, DeliveryError),
    Scenario(
        "answers 200 with an error as JSON, beside null for the records",
        every(sends(b'{"error": "quota", "items": null}')),
        1,
        _ONCE,
        DeliveryError,
        "missing_ok=True",
    ),
    Scenario("answers 200 with nothing", every(sends(b"")), 1, _ONCE, DeliveryError),
    Scenario(
        "ends in the middle of a record, with the right length",
        every(sends(_WHOLE[:100])),
        4,
        "`attempts` of the access",
        DeliveryIncompleteError,
    ),
    Scenario(
        "ends between two records, with the right length",
        every(sends(_WHOLE[: _WHOLE.index(b"}, ") + 1])),
        4,
        "`attempts` of the access",
        DeliveryIncompleteError,
    ),
    Scenario("sends two documents as one page", every(sends(_WHOLE + _WHOLE)), 1, _ONCE, DeliveryError),
    _breaks_the_first_record("sends a byte that is not UTF-8", b"contents", b"cont\xffnts"),
    Scenario("sends a byte order mark", every(sends(b"\xef\xbb\xbf" + _WHOLE)), 1, _ONCE, declared=_PAGED),
    _breaks_the_first_record("sends a key twice in a record", b'"id": 1,', b'"id": 1, "id": 1,'),
    Scenario(
        "sends the cursor twice: the last one counts",
        every(sends(_WHOLE[:-1] + b', "next": "a", "next": null}')),
        1,
        _ONCE,
        declared=_PAGED,
    ),
    Scenario(
        "sends the records twice in a page", every(sends(_WHOLE[:-1] + b', "items": []}')), 1, _ONCE, DeliveryError
    ),
    Scenario(
        "sends the number 1e400 in a record",
        every(_with(b'"name": "contents-of-a-record"', b'"name": 1e400')),
        1,
        _ONCE,
        declared=_PAGED,
    ),
    _breaks_the_first_record("sends NaN in a record", b'"name": "contents-of-a-record"', b'"name": NaN'),
    _breaks_the_first_record(
        "nests 100,000 arrays in a record",
        b'"name": "contents-of-a-record"',
        b'"name": ' + b"[" * 100_000 + b"]" * 100_000,
    ),
    Scenario(
        "nests 100,000 arrays beside the records",
        every(sends(_WHOLE[:-1] + b', "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")),
        1,
        _ONCE,
        DeliveryError,
        declared=_PAGED,
    ),
)
