"""Commands set the limits of Dagster's pools as declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from etl_assets_tests.cli.desk import Desk


def test_a_command_sets_the_limit_of_each_pool_as_declared(desk: Desk) -> None:
    declaration = desk.folder / "declared" / "stations.py"
    declaration.write_text(declaration.read_text().replace("schema=", "runs_at_once=3, schema="))
    desk.succeed("migrate")
    with dg.DagsterInstance.get() as instance:
        limits = {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}
    assert (limits["stations"], limits["readings"]) == (3, 1)
