"""The command `drift`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets import catalog
from etl_assets.landing import LandingStore, Warehouse
from etl_assets.postgres.connection import connected
from etl_assets_tests.cli.shirts import declare_shirts
from etl_assets_tests.watching import Watch

if TYPE_CHECKING:
    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk


def observe(desk: Desk, *keys: str, cells: bool = True) -> None:
    """Freeze what is published and observe its drift, as a run would; without cells, one whose delivery is refused."""
    source = catalog.load((str(desk.folder / "declared"),)).sources["shirts"]
    warehouse = Warehouse(desk.url, LandingStore(str(desk.folder / "landing")))
    with connected(desk.url) as connection:
        watch = Watch(source, warehouse, connection)
        for key in keys:
            watch.poll(key, cells=cells)


def declare_sizes(desk: Desk, *, sensitive: bool) -> None:
    declare_shirts(desk, f"Column('size', 'text', allowed=('S', 'M'), sensitive={sensitive})")


@pytest.fixture
def ready(prepared: Prepared) -> Desk:
    """Change 1 is a new name, change 2 a new member of a category; both are open."""
    return prepared(prepare_drift)


def prepare_drift(desk: Desk) -> None:
    declare_sizes(desk, sensitive=False)
    desk.succeed("migrate")
    desk.publish("shirts/1.csv", "id,size\n" + "".join(f"{number},S\n" for number in range(100)))
    lines = [f"{number},{number}.5,{'XXL' if number % 2 else 'S'}\n" for number in range(100)]
    desk.publish("shirts/2.csv", "id,Tint\tof it,size\n" + "".join(lines))
    observe(desk, "1.csv", "2.csv")


def test_the_list_has_the_open_changes_and_no_values_of_cells(ready: Desk) -> None:
    text = ready.succeed("drift", "list")
    assert "added" in text
    assert "category" in text
    assert "XXL" not in text
    events = ready.lines("drift", "list", "--source", "shirts", "--json")
    assert [(event["id"], event["kind"], event["subject"], event["status"]) for event in events] == [
        (1, "added", "Tint\tof it", "open"),
        (2, "category", "size", "open"),
    ]
    assert events[0]["proposal"] == "Column('tint_of_it', 'float', published_as='Tint\\tof it')"
    assert "XXL" not in str(events)
    assert ready.lines("drift", "list", "--source", "parcels", "--json") == []


def test_a_change_is_shown_with_its_deliveries_and_what_to_declare(ready: Desk) -> None:
    text = ready.succeed("drift", "show", "1")
    assert "'Tint\\tof it'" in text
    assert "2 of shirts (2.csv)" in text
    assert "\n    Column('tint_of_it', 'float', published_as='Tint\\tof it')\n" in text


def test_show_prints_the_members_of_a_category(ready: Desk) -> None:
    assert "XXL" in ready.succeed("drift", "show", "2")
    (shown,) = ready.lines("drift", "show", "2", "--json")
    assert shown["detail"]["members"] == ["XXL"]
    assert shown["proposal"] == "Column('size', 'text', allowed=('S', 'M', 'XXL'))"


def test_members_of_a_column_that_is_sensitive_or_no_longer_declared_are_masked(ready: Desk) -> None:
    declare_sizes(ready, sensitive=True)
    assert "XXL" not in ready.succeed("drift", "show", "2")
    (ready.folder / "declared" / "shirts.py").unlink()
    (shown,) = ready.lines("drift", "show", "2", "--json")
    assert shown["detail"]["members"] == "***"
    assert "XXL" not in str(shown)


def test_changes_are_accepted_and_ignored_with_reviewer_and_note(ready: Desk) -> None:
    assert "1 change accepted" in ready.succeed("drift", "accept", "1", "--note", "asked", "--reviewer", "eve")
    assert "1 change ignored" in ready.succeed("drift", "ignore", "2", "--reviewer", "eve")
    assert ready.query("SELECT status, reviewer, note FROM etl.drift ORDER BY id") == [
        ("accepted", "eve", "asked"),
        ("ignored", "eve", ""),
    ]
    assert "No change is open." in ready.succeed("drift", "list")
    events = ready.lines("drift", "list", "--status", "accepted", "--status", "ignored", "--json")
    assert [event["id"] for event in events] == [1, 2]


def test_several_changes_are_closed_all_or_none(ready: Desk) -> None:
    ready.succeed("drift", "accept", "1")
    result = ready.type("drift", "accept", "2", "1")
    assert result.exit_code == 1
    assert "Drift event 1 is not open" in result.stderr
    assert ready.query("SELECT status FROM etl.drift ORDER BY id") == [("accepted",), ("open",)]
    assert "1 change ignored" in ready.succeed("drift", "ignore", "2", "2")


def test_a_missing_change_is_an_error(ready: Desk) -> None:
    for command in (("show", "99"), ("accept", "99"), ("ignore", "99")):
        result = ready.type("drift", *command)
        assert result.exit_code == 1
        assert "There is no drift event 99" in result.stderr
    assert ready.type("drift", "accept").exit_code == 2


def test_a_change_of_a_source_that_is_no_longer_declared_can_be_closed(ready: Desk) -> None:
    (ready.folder / "declared" / "shirts.py").unlink()
    ready.succeed("drift", "accept", "1", "2")
    assert "No change is open." in ready.succeed("drift", "list", "--source", "shirts")


@pytest.mark.parametrize("decision", ["accept", "ignore"])
def test_a_decision_says_that_deliveries_are_refused_all_the_same(prepared: Prepared, decision: str) -> None:
    ready = prepared(prepare_a_new_name_of_the_key)
    said = ready.succeed("drift", decision, "1")
    assert "Deliveries of shirts are refused all the same: its column 'id' is required" in said
    assert "etl-assets drift show 1 prints what to declare." in said
    assert "published_as=('number', 'id')" in ready.succeed("drift", "show", "1")


def test_a_decision_about_an_optional_column_speaks_of_no_refusal(ready: Desk) -> None:
    assert "refused" not in ready.succeed("drift", "accept", "1", "2")


def prepare_a_new_name_of_the_key(desk: Desk) -> None:
    declare_sizes(desk, sensitive=False)
    desk.succeed("migrate")
    desk.publish("shirts/1.csv", "id,size\n" + "".join(f"{number},S\n" for number in range(100)))
    desk.publish("shirts/2.csv", "number,size\n" + "".join(f"{number},S\n" for number in range(100)))
    observe(desk, "1.csv", "2.csv", cells=False)
