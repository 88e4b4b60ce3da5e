"""What an alert says to type is a command that runs, whatever the names are."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets.alerts import commands
from etl_assets.alerts.lifecycle import Evaluation, update_alerts
from etl_assets.alerts.rules import reasons_of_drift
from etl_assets.model import alert as model
from etl_assets.model.alert import AlertRule, Reason
from etl_assets.model.drift import Change, DriftEvent
from etl_assets.postgres.connection import connected
from etl_assets_tests.cli.desk import prepare_january

if TYPE_CHECKING:
    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk

_ARGUMENTS: dict[str, dict[str, Any]] = {
    "NoDelivery": {"by": time(8)},
    "RejectedCount": {"above": 1},
    "RejectedShare": {"above": 0.1},
}
KINDS = [
    kind
    for kind in vars(model).values()
    if isinstance(kind, type) and issubclass(kind, AlertRule) and kind is not AlertRule
]
_OF_NO_SOURCE = {"channel_lost", "location_lost", "tick_failed"}


@pytest.fixture
def ready(prepared: Prepared) -> Desk:
    """The readings of the first day are loaded, and a delivery of them has a change."""
    return prepared(prepare_january)


def _reason(kind: type[AlertRule], delivery: int) -> Reason:
    rule = kind(**_ARGUMENTS.get(kind.__name__, {}))
    if kind is model.DriftOpened:
        at = datetime(2026, 1, 1, tzinfo=UTC)
        event = DriftEvent(1, "readings", Change("added", "x"), "open", delivery, delivery, at)
        return reasons_of_drift([rule], [event], "2013-01-01")[0]
    return Reason(rule, "It happened.", "Do it.", "default")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_the_command_of_each_kind_of_alert_runs(ready: Desk, kind: type[AlertRule]) -> None:
    ((delivery,),) = ready.query("SELECT max(id) FROM etl.delivery")
    ready.execute(
        "INSERT INTO etl.drift (source, kind, subject, status, first_delivery, last_delivery, detail) "
        f"VALUES ('readings', 'added', 'x', 'open', {delivery}, {delivery}, '{{}}')"
    )
    reason = _reason(kind, delivery)
    source = "" if kind.kind in _OF_NO_SOURCE else "readings"
    typed = shlex.split(commands.command_of(reason, source, "2013-01-02" if source else ""))
    assert typed[0] == "etl-assets"
    result = ready.type(*typed[1:])
    assert result.exit_code in {0, 1}, result.output  # 2: it was not understood
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output


def test_the_command_of_a_run_that_failed_loads_the_partition(ready: Desk) -> None:
    typed = shlex.split(commands.run("readings", "2013-01-02"))
    ready.succeed(*typed[1:])
    assert ready.query("SELECT status FROM etl.delivery WHERE partition = '2013-01-02'") == [("complete",)]


@pytest.mark.parametrize("key", ["a b", "it's", "$(reboot)", "-x", "a;b", "`x`", 'q"q', "ü"])
def test_names_are_quoted_for_a_shell(key: str) -> None:
    assert shlex.split(commands.run("readings", key)) == ["etl-assets", "run", "readings", "--partition", key]


def test_an_asset_that_was_written_by_hand_is_run_by_its_key() -> None:
    assert commands.run("marts.delays", "") == "etl-assets run marts/delays"
    assert commands.run("public.delays", "") == "etl-assets run delays"


def test_a_list_has_what_to_do_and_the_command_on_a_line_of_its_own(ready: Desk) -> None:
    with connected(ready.url) as connection, connection.transaction():
        rules = (model.RunFailed(),)
        evaluation = Evaluation({}, [Reason(rules[0], "It failed.", "Correct it.")], "")
        update_alerts(connection, rules, "readings", "2013-01-02", evaluation)
    lines = ready.succeed("alerts", "list").splitlines()
    assert "    To do: Correct it." in lines
    assert "    etl-assets run readings --partition 2013-01-02" in lines
