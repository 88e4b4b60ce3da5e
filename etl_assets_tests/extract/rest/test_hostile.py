"""Servers that are slow, broken, wrong or hostile: every record once or nothing, within bounds, and explained."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest

from etl_assets import Http, Json, PageNumber, Parent, Partition, RestExtractor, SinglePage
from etl_assets.errors import DeliveryIncompleteError
from etl_assets.extract.http.session import MOST_REDIRECTS
from etl_assets_tests.extract.rest.hostile.document import DOCUMENT, NOTICED, UNNOTICED, text
from etl_assets_tests.extract.rest.hostile.memory import BOMBS
from etl_assets_tests.extract.rest.hostile.run import landed, polled, previewed
from etl_assets_tests.extract.rest.hostile.scenario import CONTENTS, SECRETS, document, number, page_of, send
from etl_assets_tests.hostile_server import HostileServer

if TYPE_CHECKING:
    from etl_assets.errors import DeliveryError
    from etl_assets_tests.extract.rest.hostile.scenario import Scenario
    from etl_assets_tests.hostile_server import Request

ALL: Final = (*NOTICED, *UNNOTICED)
_SECONDS: Final = 15.0
"""Within which each scenario ends on a slow machine: most take some milliseconds."""
_MEBIBYTES: Final = 512
"""Which a fetch may take: a page of 64 MiB with its copies, or a batch of a million records of two bytes."""
_MOST_PREVIEWED: Final = 3

every_scenario = pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.server)


@every_scenario
def test_every_record_is_landed_as_often_as_it_was_published_or_nothing_is_landed(scenario: Scenario) -> None:
    run = landed(scenario)
    if scenario.refused is not None:
        assert (type(run.error), run.kept) == (scenario.refused, [])
    else:
        assert run.error is None
        assert Counter(run.ids) == Counter(scenario.records)
        assert run.records == len(run.ids) + scenario.malformed
        assert not scenario.missing or scenario in UNNOTICED or scenario.note


@every_scenario
def test_a_fetch_is_bounded_in_time_and_requests(scenario: Scenario) -> None:
    run = landed(scenario)
    assert run.requests == scenario.requests
    assert run.seconds < _SECONDS


@every_scenario
def test_an_error_or_a_note_says_what_happened_and_what_to_do_and_nothing_secret(scenario: Scenario) -> None:
    run = landed(scenario)
    said = f"{run.error} {' '.join(run.notes)}"
    if run.error is not None:
        assert re.search(r"[Nn]othing was written", str(run.error))
        assert re.search(scenario.remedy, str(run.error))
    assert re.search(scenario.note, " ".join(run.notes))
    assert bool(run.notes) == bool(scenario.note)
    assert [secret for secret in (*SECRETS.values(), CONTENTS, "hunter2") if secret in said] == []
    assert said.isprintable()


@every_scenario
def test_secrets_reach_no_other_address_and_are_not_frozen(scenario: Scenario) -> None:
    assert landed(scenario).leaked == []


@every_scenario
def test_a_poll_is_bounded_and_explained(scenario: Scenario) -> None:
    run = polled(scenario)
    assert run.seconds < _SECONDS
    assert run.requests <= (MOST_REDIRECTS + 1 if "redirects" in scenario.server else 2)  # or one with a new token
    _check_error(run.error)
    assert run.leaked == []


@every_scenario
def test_a_preview_has_the_first_pages_or_an_error(scenario: Scenario) -> None:
    run = previewed(scenario)
    assert run.seconds < _SECONDS
    assert run.requests <= max(scenario.requests, _MOST_PREVIEWED + 1)
    _check_error(run.error)
    assert run.leaked == []


def _check_error(error: DeliveryError | None) -> None:
    text = str(error or "")
    assert [secret for secret in (*SECRETS.values(), CONTENTS, "hunter2") if secret in text] == []
    assert error is None or re.search(r"[Nn]othing was written", text)


def test_the_document_on_hostile_servers_is_what_the_run_gives() -> None:
    assert DOCUMENT.read_text("utf-8") == text(), "run python -m etl_assets_tests.extract.rest.hostile"


def test_each_server_of_the_document_is_another_one() -> None:
    assert [server for server, count in Counter(scenario.server for scenario in ALL).items() if count > 1] == []


@pytest.mark.parametrize("parallel", [1, 4])
def test_a_page_that_is_missing_among_those_of_a_record_of_the_parent_refuses_the_delivery(parallel: int) -> None:
    def answer(request: Request) -> None:
        if request.path.startswith("/orders"):
            send(request, document((1, 2)))
        else:
            page = number(request)
            send(request, document(page_of(page)), "404 Not Found" if page == 3 else "200 OK")

    access = Http(private=True, wait=0.01, deadline=30)
    with HostileServer(answer) as server:
        orders = RestExtractor(Json("$.items"), server.url("/orders"), access=access, pagination=SinglePage())
        lines = RestExtractor(
            Json("$.items"),
            server.url("/lines/{order_id}"),
            access=access,
            pagination=PageNumber(),
            parent=Parent(orders, {"order_id": "id"}),
            parallel=parallel,
        )
        with pytest.raises(DeliveryIncompleteError, match=r"Page 3 of .* is not there"), lines.fetch(Partition()):
            pass


@pytest.mark.parametrize("bomb", BOMBS)
def test_the_memory_of_a_fetch_is_bounded(bomb: str) -> None:
    command = [sys.executable, "-m", "etl_assets_tests.extract.rest.hostile.memory", bomb]
    taken = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert int(taken) < _MEBIBYTES
