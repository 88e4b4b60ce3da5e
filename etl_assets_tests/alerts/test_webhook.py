"""A webhook receives fields as they are documented."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]

from etl_assets import RunFailed
from etl_assets.alerts.channel import deliver
from etl_assets.alerts.message import trial
from etl_assets.postgres.alerts import background
from etl_assets.postgres.alerts.background import DeclaredSource
from etl_assets_tests.alerts.office import PLACES
from etl_assets_tests.alerts.stubs import http_stub
from etl_assets_tests.documented import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets_tests.alerts.office import Office
    from etl_assets_tests.alerts.stubs import Stub

_SCHEMA = json.loads((ROOT / "etl_assets" / "alerts" / "webhook.schema.json").read_text("utf-8"))
_VALIDATOR = Draft202012Validator(_SCHEMA, format_checker=FormatChecker())


@pytest.fixture
def hook(office: Office) -> Iterator[Stub]:
    """The server behind the channel ``default``."""
    with http_stub() as stub:
        office.channels["default"] = f"json://127.0.0.1:{stub.port}/hook"
        yield stub


def _valid(value: Any) -> dict[str, Any]:
    assert isinstance(value, dict)
    _VALIDATOR.validate(value)
    assert set(value) == set(_SCHEMA["properties"])
    return value


def test_the_opening_and_the_end_have_all_fields_of_the_schema(office: Office, hook: Stub) -> None:
    background.keep(office.connection, {"people": DeclaredSource("team:people", ("core/visits", "marts/busy"))})
    office.fail(RunFailed(), partition="2026-01")
    office.send()
    office.run(RunFailed(), partition="2026-01")
    office.send()
    opened, resolved = (_valid(posted.json) for posted in hook.taken)
    assert (opened["event"], opened["status"], opened["id"], opened["partition"]) == ("opened", "open", 1, "2026-01")
    assert (opened["owner"], opened["downstream"]) == ("team:people", ["core/visits", "marts/busy"])
    assert opened["to_do"]["command"] == "etl-assets run people --partition 2026-01"
    assert opened["urls"]["run"] == "http://dagster.test/runs/run-1"
    assert opened["urls"]["status"] == "http://status.test/tables/people.html"
    assert (resolved["event"], resolved["status"], resolved["to_do"]) == ("resolved", "resolved", None)
    assert resolved["resolution"] == "Run run-1 succeeded."
    assert resolved["thread_id"] == opened["thread_id"]
    assert resolved["resolved_at"] >= opened["opened_at"]


def test_the_counts_are_those_of_the_runs_concerned(office: Office, hook: Stub) -> None:
    office.connection.execute(
        "INSERT INTO etl.run (run_id, source, partition, status, ended_at, read, rejected, accepted) "
        "SELECT 'run-1', 'people', p, 'failed', clock_timestamp(), 10, 4, 6 FROM unnest('{a,b,c}'::text[]) p"
    )
    for partition in ("a", "b"):
        office.fail(RunFailed(), partition=partition)
    office.send()
    counts = _valid(hook.taken[0].json)["counts"]
    assert (counts["alerts"], counts["occurrences"], counts["still_open"]) == (2, 2, 2)
    assert counts["records"] | {"read": 20, "rejected": 8, "accepted": 12} == counts["records"]


def test_many_partitions_are_listed_each(office: Office, hook: Stub) -> None:
    for partition in ("a", "b"):
        office.fail(RunFailed(), partition=partition)
    office.send()
    opened = _valid(hook.taken[0].json)
    assert opened["partition"] is None
    assert [(alert["id"], alert["partition"]) for alert in opened["alerts"]] == [(1, "a"), (2, "b")]
    assert opened["alerts"][1]["command"] == "etl-assets run people --partition b"
    assert opened["to_do"]["command"] == "etl-assets run people"


def test_the_test_of_a_channel_is_valid_too(hook: Stub) -> None:
    assert deliver(f"json://127.0.0.1:{hook.port}", trial(PLACES)).error is None
    assert _valid(hook.taken[0].json)["event"] == "test"


def test_fields_that_the_url_of_a_channel_names_are_added(office: Office, hook: Stub) -> None:
    office.channels["default"] += "?:team=data"
    office.fail(RunFailed())
    office.send()
    assert hook.taken[0].json["team"] == "data"


def test_the_documented_example_is_valid_and_has_every_field() -> None:
    text = (ROOT / "docs" / "alerts.md").read_text("utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    _valid(json.loads(example))
