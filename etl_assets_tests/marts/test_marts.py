"""The bundled marts: assets written by hand over the bundled feeds."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from etl_assets_tests.bundled import JANUARY

if TYPE_CHECKING:
    from dagster._core.execution.execute_in_process_result import ExecuteInProcessResult

    from etl_assets_tests.bundled import Demo


def _materialize(demo: Demo, name: str) -> ExecuteInProcessResult:
    job = demo.defs.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=demo.instance, asset_selection=[dg.AssetKey(["marts", name])], partition_key=JANUARY
    )


def test_delays_of_a_carrier_and_day_equal_those_of_the_flights(demo: Demo) -> None:
    assert _materialize(demo, "carrier_delays_by_day").success
    assert demo.query("SELECT min(day), max(day), sum(flights) FROM marts.carrier_delays_by_day") == [
        (date(2013, 1, 1), date(2013, 1, 31), 26_324)
    ]
    assert demo.query("SELECT count(*) FROM marts.carrier_delays_by_day") == demo.query(
        "SELECT count(DISTINCT (day, carrier)) FROM core.flights"
    )
    expected = demo.query(
        "SELECT count(*), count(*) FILTER (WHERE dep_delay IS NULL), avg(dep_delay)::float8, avg(arr_delay)::float8 "
        "FROM core.flights WHERE carrier = 'UA' AND month = 1 AND day = 13"
    )
    found = demo.query(
        "SELECT flights, cancelled, departure_delay, arrival_delay FROM marts.carrier_delays_by_day "
        "WHERE carrier = 'UA' AND day = '2013-01-13'"
    )
    assert found[0][:2] == expected[0][:2]
    assert found[0][2:] == pytest.approx(expected[0][2:])


def test_delays_have_the_weather_of_their_hour(demo: Demo) -> None:
    assert _materialize(demo, "delays_against_weather").success
    wrong = demo.query(
        "SELECT count(*) FROM marts.delays_against_weather m LEFT JOIN core.weather w USING (origin, time_hour) "
        "WHERE m.wind_speed IS DISTINCT FROM w.wind_speed OR m.visibility IS DISTINCT FROM w.visibility"
    )
    assert wrong == [(0,)]
    assert demo.query("SELECT sum(flights) FROM marts.delays_against_weather") == [(26_324,)]


def test_an_unchanged_mart_is_not_written_again(demo: Demo) -> None:
    _materialize(demo, "carrier_delays_by_day")
    again = _materialize(demo, "carrier_delays_by_day")
    (event,) = again.get_asset_materialization_events()
    assert event.materialization.metadata["status"].value == "unchanged"
