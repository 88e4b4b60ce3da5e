"""What the overview of a table shows in Dagster: first what waits, then numbers that are plotted, and no zeros."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from etl_assets.graph.assets.overview import links
from etl_assets.marts.carrier_delays_by_day import carrier_delays_by_day
from etl_assets.sources.flights import SOURCE as FLIGHTS
from etl_assets_tests.graph.conftest import metadata_of

if TYPE_CHECKING:
    import pytest

    from etl_assets_tests.graph.conftest import Bench

_GOOD = ("1,Ann,30", "2,Bo,41")


def test_the_overview_begins_with_what_waits_and_is_open(bench: Bench) -> None:
    bench.run(bench.people(*_GOOD))
    source = bench.people(*_GOOD, "x,Cy,50", max_rejected=0.5)
    bench.query(
        "INSERT INTO etl.alert (source, rule, severity, summary) "
        "VALUES ('people', 'quarantine_ageing', 'warning', 'Records wait.')"
    )
    metadata = metadata_of(bench.run(source), "core", "people")
    assert list(metadata)[:3] == ["records waiting", "open alerts before its checks", "status"]
    assert (metadata["records waiting"], metadata["open alerts before its checks"]) == (1, 1)


def test_of_very_many_records_that_wait_only_the_first_are_counted(bench: Bench) -> None:
    bench.run(bench.people(*_GOOD))
    bench.query(
        "INSERT INTO etl.rejected (delivery_id, record_no, generation, source, partition, location, raw, rules, "
        "status, fingerprint, run_id) SELECT 1, 10 + n, 1, 'people', '', '', '', '{a__type}', 'open', '', 'r' "
        "FROM generate_series(1, 10001) n"
    )
    metadata = metadata_of(bench.run(bench.people(*_GOOD, "3,Cy,50")), "core", "people")
    assert metadata["records waiting"] == "10,000 or more"


def test_an_open_change_is_in_the_overview(bench: Bench) -> None:
    bench.run(bench.people(*_GOOD))
    source = bench.people("1,Ann,30,Ulm", "2,Bo,41,Bonn", header="id,name,age,town")
    metadata = metadata_of(bench.run(source), "core", "people")
    assert next(iter(metadata.items())) == ("open changes", 1)


def test_what_there_is_nothing_of_is_left_out(bench: Bench) -> None:
    result = bench.run(bench.people(*_GOOD))
    metadata = metadata_of(result, "core", "people")
    assert next(iter(metadata)) == "status"
    assert [row.data["count"] for row in metadata["counts"].records] == ["read", "accepted", "produced", "inserted"]
    landed = metadata_of(result, "landing", "people")
    assert not {"unmapped columns", "missing columns", "changes", "taken back"} & landed.keys()


def test_no_metadata_of_a_run_are_json_and_the_numbers_are_numbers(bench: Bench) -> None:
    result = bench.run(bench.people(*_GOOD, "x,Cy,50", max_rejected=0.5))
    values = {
        name: value
        for event in result.get_asset_materialization_events()
        for name, value in event.materialization.metadata.items()
    }
    assert not [name for name, value in values.items() if isinstance(value, dg.JsonMetadataValue)]
    numbers = {name for name, value in values.items() if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue)}
    assert {"records", "rejected", "seconds", "dagster/row_count"} <= numbers
    assert values["rejected"].value == 1


def test_the_pages_of_status_are_linked_where_a_setting_says_that_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ETL_ASSETS_STATUS_URL", raising=False)
    assert "Status page" not in links("people")
    monkeypatch.setenv("ETL_ASSETS_STATUS_URL", "https://data.example.org/status/")
    assert links("people").startswith(
        "[Status page](https://data.example.org/status/tables/people.html) · [Data Docs]("
    )


def test_an_asset_written_by_hand_is_in_the_group_of_its_source() -> None:
    assert FLIGHTS.group == "aviation"
    assert set(carrier_delays_by_day.group_names_by_key.values()) == {"aviation"}
