"""The sensor that sends alerts, and the whole way from a run to a notification."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from etl_assets import NoDelivery, RejectedCount
from etl_assets.graph.build import definitions
from etl_assets.graph.runs.alert_sensor import alert_sensor
from etl_assets_tests.alerts.stubs import http_stub

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets import Source
    from etl_assets_tests.alerts.stubs import Stub
    from etl_assets_tests.graph.conftest import Bench


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """A stub that receives the notifications of the channel ``default``."""
    with http_stub() as stub:
        monkeypatch.setenv("ETL_ASSETS_CHANNEL_DEFAULT", f"json://127.0.0.1:{stub.port}")
        monkeypatch.setenv("ETL_ASSETS_UI_URL", "https://dagster.test/")
        yield stub


def _tick(bench: Bench, *sources: Source) -> str:
    """Evaluate one tick, which requests no run; return its message."""
    with dg.build_sensor_context(instance=bench.instance) as context:
        data = alert_sensor({source.name: source for source in sources}).evaluate_tick(context)
    assert not data.run_requests
    return data.skip_message or ""


def _messages(stub: Stub) -> list[tuple[str, str]]:
    return [(posted.json["title"], posted.json["message"]) for posted in stub.taken]


def test_the_sensor_is_switched_on_and_loads() -> None:
    sensor = alert_sensor({})
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    assert sensor.minimum_interval_seconds == 30
    dg.Definitions.validate_loadable(dg.Definitions(sensors=[sensor]))


def test_a_failed_run_is_alerted_with_links_and_the_next_good_run_resolves_it(bench: Bench, hook: Stub) -> None:
    bad = bench.run(bench.people("1,Ada,200"))
    assert not bad.success
    assert _tick(bench) == "1 sent, 0 waiting."
    good = bench.run(bench.people("1,Ada,36"))
    assert good.success
    assert _tick(bench) == "1 sent, 0 waiting."
    assert _tick(bench) == "0 sent, 0 waiting."
    (opened, text), (resolved, _) = _messages(hook)
    assert opened == "[error] people: run failed"
    assert "TooManyRejectedError" in text
    assert f"Run: https://dagster.test/runs/{bad.run_id}\n" in text
    assert "Asset: https://dagster.test/assets/core/people" in text
    assert "Ada" not in text
    assert resolved == "[resolved] people: run failed"


def test_a_failed_check_that_does_not_block_is_alerted_although_the_run_succeeds(bench: Bench, hook: Stub) -> None:
    for day in range(8):
        lines = [f"{number},Ada {day},36" for number in range(1, 301)]
        assert bench.run(bench.people(*lines)).success
    result = bench.run(bench.people("1,Ada,36"))
    assert result.success
    _tick(bench)
    ((title, text),) = _messages(hook)
    assert title == "[error] people: volume drop"
    assert "100% fewer than usual: 1 record, expected 225 to 375" in text


def test_records_rejected_by_consent_are_alerted_only_if_a_rule_is_declared(bench: Bench, hook: Stub) -> None:
    lines = ("1,Ada,36", "2,Alan,200")
    assert bench.run(bench.people(*lines, max_rejected=0.5)).success
    assert _tick(bench) == "0 sent, 0 waiting."
    source = bench.people(*lines, "3,Kurt,300", max_rejected=0.9, alerts=(RejectedCount(above=1),))
    assert bench.run(source).success
    assert _tick(bench, source) == "1 sent, 0 waiting."
    assert _messages(hook)[0][0] == "[warning] people: rejected count above 1"


def test_a_replay_does_not_resolve_the_alert_of_a_failed_run(bench: Bench, hook: Stub) -> None:
    source = bench.people("1,Ada,200")
    bench.run(source)
    assert bench.run_job(definitions({"people": source}), "replay", config=_replay_of_nothing()).success
    assert bench.query("SELECT rule, status FROM etl.alert") == [("run_failed", "open")]
    _tick(bench)
    assert len(hook.taken) == 1


def test_the_sensor_alerts_a_missed_deadline_without_a_run(bench: Bench, hook: Stub) -> None:
    passed = (datetime.now(UTC) - timedelta(minutes=1)).time()
    source = bench.declare(alerts=(NoDelivery(by=time(passed.hour, passed.minute)),))
    assert _tick(bench, source) == "1 sent, 0 waiting."
    assert _messages(hook)[0][0].startswith("[error] people: no delivery by ")


def test_a_message_names_the_owner_and_every_asset_downstream_also_those_written_by_hand(
    bench: Bench, hook: Stub
) -> None:
    @dg.asset(key_prefix="marts", deps=[dg.AssetKey(["core", "people"])])
    def busy() -> None: ...

    @dg.asset(key_prefix="marts", deps=[busy])
    def busiest() -> None: ...

    people = bench.people("1,Ada,200")
    assert not bench.run(people).success
    location = dg.Definitions.merge(definitions({"people": people}), dg.Definitions(assets=[busy, busiest]))
    with dg.build_sensor_context(instance=bench.instance, definitions=location) as context:
        alert_sensor({"people": people}).evaluate_tick(context)
    (posted,) = hook.taken
    assert posted.json["owner"] == people.owner
    assert posted.json["downstream"] == ["marts/busiest", "marts/busy"]


def test_the_sensor_shows_channels_that_fail_and_channels_that_are_not_configured(bench: Bench, hook: Stub) -> None:
    hook.refusals = 1
    source = bench.people("1,Ada,200", alerts=(RejectedCount(above=0, to=("ops",)),), max_rejected=1.0)
    bench.run(source)
    bench.run(bench.people("name"))
    message = _tick(bench, source)
    assert "0 sent, 2 waiting." in message
    assert "No channel 'ops' is configured: set ETL_ASSETS_CHANNEL_OPS. 1 wait for it." in message
    assert "Channel 'default' has failed since 20" in message


def _replay_of_nothing() -> dict[str, object]:
    from etl_assets.graph.run_config import replay_config

    return replay_config("people")
