"""The command `run`, where the publisher no longer has what it delivered: its bytes are frozen."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets_tests.cli.shirts import declare_shirts

if TYPE_CHECKING:
    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk

SIZE = "Column('size', 'text')"
PRICE = "Column('size', 'text'), Column('price', 'integer')"


def declare(desk: Desk, columns: str, **where: Any) -> None:
    """Declare shirts, of which the prices are published, and perhaps not loaded."""
    declare_shirts(desk, columns, ignored=() if "price" in columns else ("price",), **where)


def done(desk: Desk) -> dict[str, str]:
    """Where an inbox moves its files: a relative path would be one of this checkout."""
    return {"move_to": str(desk.folder / "done")}


def withdraw(desk: Desk, name: str) -> None:
    (desk.folder / "feeds" / "shirts" / name).unlink()


def prepare(desk: Desk) -> None:
    desk.succeed("migrate")
    desk.publish("shirts/1.csv", "id,size,price\n1,S,10\n")
    desk.publish("shirts/2.csv", "id,size,price\n2,M,20\n")


@pytest.fixture
def ready(prepared: Prepared) -> Desk:
    return prepared(prepare)


def assert_reloaded(ready: Desk) -> None:
    lines = ready.lines("run", "shirts", "--json")
    assert sorted((line["partition"], line["status"]) for line in lines) == [("1.csv", "loaded"), ("2.csv", "loaded")]
    assert ready.query("SELECT id, price FROM core.shirts ORDER BY id") == [(1, 10), (2, 20)]
    assert "Every partition is complete." in ready.succeed("run", "shirts")
    status = ready.type("status", "shirts")
    assert status.exit_code == 0, status.output


@pytest.mark.parametrize(
    "where",
    [
        {},
        {"location": "/shirts/{key}", "partitions": "Static(('1.csv', '2.csv'))"},
    ],
    ids=["withdrawn from a folder", "withdrawn from its place"],
)
def test_a_changed_declaration_reloads_what_is_published_no_longer(ready: Desk, where: dict[str, Any]) -> None:
    declare(ready, SIZE, **where)
    ready.succeed("run", "shirts")
    withdraw(ready, "1.csv")
    declare(ready, PRICE, **where)
    assert_reloaded(ready)


def test_a_changed_declaration_reloads_what_was_moved_out_of_an_inbox(ready: Desk) -> None:
    declare(ready, SIZE, **done(ready))
    ready.succeed("run", "shirts")
    assert sorted(file.name for file in (ready.folder / "done").iterdir()) == ["1.csv", "2.csv"]
    declare(ready, PRICE, **done(ready))
    assert_reloaded(ready)


def test_a_file_that_was_refused_and_withdrawn_is_loaded_under_a_corrected_declaration(ready: Desk) -> None:
    declare(ready, "Column('size', 'text', required=True), Column('weight', 'integer', required=True)")
    ready.type("run", "shirts")
    withdraw(ready, "1.csv")
    declare(ready, PRICE)
    assert {line["status"] for line in ready.lines("run", "shirts", "--json")} == {"loaded"}
    assert ready.query("SELECT id, price FROM core.shirts ORDER BY id") == [(1, 10), (2, 20)]


def test_a_delivery_that_was_not_loaded_to_its_end_is_although_its_file_is_gone(ready: Desk) -> None:
    declare(ready, SIZE)
    ready.succeed("run", "shirts")
    ready.execute("UPDATE etl.delivery SET status = 'loading' WHERE partition = '1.csv'")
    withdraw(ready, "1.csv")
    (line,) = ready.lines("run", "shirts", "--json")
    assert (line["partition"], line["status"]) == ("1.csv", "resumed")


def test_the_error_of_a_complete_partition_without_its_file_names_the_command_that_loads_it(ready: Desk) -> None:
    declare(ready, SIZE)
    ready.succeed("run", "shirts")
    withdraw(ready, "1.csv")
    (line,) = ready.lines("run", "shirts", "--partition", "1.csv", "--json", exit_code=1)
    said, _, command = line["error"]["message"].partition("to load its frozen bytes again: etl-assets ")
    assert "What was delivered stays" in said
    assert ready.type("status", "shirts").exit_code == 1
    assert " loaded " in ready.succeed(*shlex.split(command))
    status = ready.type("status", "shirts")
    assert status.exit_code == 0, status.output


def test_a_partition_whose_newest_run_failed_is_run_again_although_it_is_complete(ready: Desk) -> None:
    declare(ready, SIZE)
    ready.succeed("run", "shirts")
    withdraw(ready, "1.csv")
    ready.type("run", "shirts", "--partition", "1.csv")
    ready.publish("shirts/1.csv", "id,size,price\n1,S,10\n")
    (line,) = ready.lines("run", "shirts", "--json")
    assert (line["partition"], line["error"]) == ("1.csv", None)
    status = ready.type("status", "shirts")
    assert status.exit_code == 0, status.output


def test_a_refused_file_that_is_gone_is_done_with_when_a_person_closes_its_alert(ready: Desk) -> None:
    declare(ready, SIZE)
    ready.publish("shirts/3.csv", "name\nx\n")
    ready.type("run", "shirts")
    withdraw(ready, "3.csv")
    assert "Every partition is complete." in ready.succeed("run", "shirts")
    assert "close its alert: etl-assets alerts list --source shirts" in " ".join(
        ready.type("status", "shirts").output.split()
    )
    alerts = ready.query("SELECT id FROM etl.alert WHERE status = 'open'")
    ready.succeed("alerts", "close", *[str(id_) for (id_,) in alerts], "--reason", "withdrawn")
    changes = ready.query("SELECT id FROM etl.drift WHERE status = 'open'")
    ready.succeed("drift", "ignore", *[str(id_) for (id_,) in changes])
    status = ready.type("status", "shirts")
    assert status.exit_code == 0, status.output


def test_an_inbox_of_which_everything_was_moved_is_complete(ready: Desk) -> None:
    declare(ready, SIZE, **done(ready))
    ready.succeed("run", "shirts")
    result = ready.type("run", "shirts")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "Every partition is complete." in result.stdout
