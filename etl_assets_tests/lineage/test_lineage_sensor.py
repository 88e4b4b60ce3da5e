"""The sensor sends a start and an end of each run, and keeps what a server does not take."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from etl_assets.cli.environment import declared
from etl_assets.graph.runs.lineage_sensor import lineage_sensor
from etl_assets.lineage.sending import is_configured
from etl_assets_tests.cli.conftest import desks, prepared  # noqa: F401 -- fixtures
from etl_assets_tests.cli.desk import prepare_january
from etl_assets_tests.lineage.receiver import receiving

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk
    from etl_assets_tests.lineage.receiver import Receiver


@pytest.fixture
def desk(prepared: Prepared) -> Desk:  # noqa: F811 -- the fixture
    return prepared(prepare_january)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as receiver:
        monkeypatch.setenv("OPENLINEAGE_URL", receiver.url)
        monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "tests")
        yield receiver


def tick(cursor: str | None, tables: Collection[str] = ("stations", "readings")) -> tuple[str, str]:
    """Evaluate the sensor of a code location with some tables; returns its cursor, and what it says."""
    with dg.DagsterInstance.get() as instance, dg.build_sensor_context(instance, cursor=cursor) as context:
        result = lineage_sensor(declared().sources, tables)(context)
        assert isinstance(result, dg.SkipReason)
        assert context.cursor is not None
        return context.cursor, str(result.skip_message)


def ends(server: Receiver) -> list[tuple[str, str]]:
    return [(event["job"]["name"], event["eventType"]) for event in server.events]


def from_the_start() -> str:
    return json.dumps({"after": 0, "also": []})


def test_the_first_tick_sends_nothing_of_the_past(desk: Desk, server: Receiver) -> None:
    desk.execute("UPDATE etl.run SET started_at = started_at - interval '1 hour'")
    cursor, _ = tick(None)
    tick(cursor)
    assert server.events == []


@pytest.mark.usefixtures("desk")
def test_each_run_has_a_start_and_an_end(server: Receiver) -> None:
    cursor, said = tick(from_the_start())
    assert ends(server) == [
        ("stations", "START"),
        ("stations", "COMPLETE"),
        ("readings", "START"),
        ("readings", "COMPLETE"),
    ]
    first, second = server.events[:2]
    assert first["run"]["runId"] == second["run"]["runId"]
    assert first["eventTime"] < second["eventTime"]
    assert said == "2 runs were sent."
    tick(cursor)
    assert len(server.events) == 4


@pytest.mark.usefixtures("desk")
def test_the_runs_of_another_code_location_are_left_to_it(server: Receiver) -> None:
    cursor, said = tick(from_the_start(), ["readings"])
    assert ends(server) == [("readings", "START"), ("readings", "COMPLETE")]
    assert said == "1 runs were sent."
    tick(cursor, ["readings"])
    tick(from_the_start(), ["stations"])
    assert ends(server)[2:] == [("stations", "START"), ("stations", "COMPLETE")]


def test_the_end_has_datasets_columns_and_what_checks_found(desk: Desk, server: Receiver) -> None:
    tick(from_the_start())
    event = server.events[-1]
    (read,), (written,) = event["inputs"], event["outputs"]
    assert (read["namespace"], read["name"]) == ("file", f"{desk.folder}/feeds/{{key}}.csv")
    assert read["inputFacets"]["dataQualityMetrics"]["rowCount"] == 4
    checks = {found["assertion"]: found for found in read["inputFacets"]["dataQualityAssertions"]["assertions"]}
    assert not checks["celsius__type"]["success"]
    assert checks["celsius__type"]["column"] == "celsius"
    assert checks["shape"]["success"]
    assert written["namespace"].startswith("postgres://127.0.0.1:")
    assert written["name"].endswith(".core.readings")
    fields = {field["name"]: field["type"] for field in written["facets"]["schema"]["fields"]}
    assert fields == {"station": "text", "day": "integer", "celsius": "float", "keeper": "text"}
    (origin,) = written["facets"]["columnLineage"]["fields"]["celsius"]["inputFields"]
    assert (origin["name"], origin["field"]) == (read["name"], "temp")
    assert written["outputFacets"]["outputStatistics"]["rowCount"] == 2
    assert (
        event["run"]["facets"]["parent"]["run"]["runId"]
        == desk.query("SELECT run_id FROM etl.run WHERE source = 'readings'")[0][0]
    )
    text = json.dumps(server.events)
    assert not any(contents in text for contents in ("warm", "Ann", "postgresql://"))


def test_a_run_that_fails_is_an_end_with_its_error(desk: Desk, server: Receiver) -> None:
    desk.publish("2013-01-02.csv", "other,names\n1,2\n")
    assert desk.type("run", "readings", "--partition", "2013-01-02").exit_code == 1
    tick(from_the_start())
    assert ends(server)[-1] == ("readings", "FAIL")
    assert server.events[-1]["inputs"][0]["name"].endswith("/feeds/{key}.csv")
    message: str = server.events[-1]["run"]["facets"]["errorMessage"]["message"]
    assert message.startswith("ShapeError: ")


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize("status", [401, 429])
def test_what_a_server_does_not_take_is_sent_by_a_later_tick(
    server: Receiver, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    server.status = status
    cursor, said = tick(from_the_start())
    assert server.events == []
    assert said == f"0 runs were sent. The events of stations were not sent: HTTPError, status {status}."
    assert "Events of OpenLineage of stations were not sent" in caplog.text
    server.status = 200
    tick(cursor)
    assert len(server.events) == 4


@pytest.mark.usefixtures("desk")
def test_what_a_server_refuses_is_lost_and_the_rest_is_sent(server: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    server.status = 422
    cursor, said = tick(from_the_start())
    assert said == "2 runs were sent."
    assert "refused an event of OpenLineage of stations (HTTPError, status 422). It is lost." in caplog.text
    server.status = 200
    tick(cursor)
    assert server.events == []


@pytest.mark.usefixtures("desk")
def test_a_server_that_is_away_delays_nothing_but_the_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_URL", "http://127.0.0.1:9")
    cursor, said = tick(from_the_start())
    assert said == "0 runs were sent. The events of stations were not sent: ConnectionError."
    assert json.loads(cursor) == {"after": 0, "also": []}


def test_a_run_in_progress_keeps_those_after_it_from_being_forgotten(desk: Desk, server: Receiver) -> None:
    desk.execute("UPDATE etl.run SET started_at = started_at - interval '1 hour'")
    desk.execute("UPDATE etl.run SET status = 'started', ended_at = NULL WHERE source = 'stations'")
    cursor, _ = tick(from_the_start())
    assert ends(server) == [("readings", "START"), ("readings", "COMPLETE")]
    desk.execute("UPDATE etl.run SET status = 'crashed', ended_at = now() WHERE source = 'stations'")
    cursor, _ = tick(cursor)
    assert ends(server)[2:] == [("stations", "START"), ("stations", "FAIL")]
    assert json.loads(cursor)["also"] == []
    tick(cursor)
    assert len(server.events) == 4


def test_it_is_sent_where_a_setting_of_the_library_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not is_configured({})
    assert is_configured({"OPENLINEAGE_URL": "http://example.org"})
    assert not is_configured({"OPENLINEAGE_URL": "http://example.org", "OPENLINEAGE_DISABLED": "true"})
    (tmp_path / "openlineage.yml").write_text("transport: {type: console}\n")
    assert is_configured({})


@pytest.mark.usefixtures("desk")
def test_the_sensor_is_there_only_if_it_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    from etl_assets.graph import needed
    from etl_assets.settings import Settings

    def names() -> set[str]:
        sensors = needed.of_everything(Settings.from_environment()).definitions.sensors or ()
        return {sensor.name for sensor in sensors}

    assert "openlineage" not in names()
    monkeypatch.setenv("OPENLINEAGE_URL", "http://127.0.0.1:9")
    assert "openlineage" in names()
