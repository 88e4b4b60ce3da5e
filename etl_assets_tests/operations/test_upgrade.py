"""A warehouse of the previous revision, with data, is upgraded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from alembic import command

from etl_assets.postgres.migrations.migrate import alembic_config, newest

if TYPE_CHECKING:
    from etl_assets_tests.operations.team import Team

_CONTENTS = "SELECT source, partition, status, records FROM etl.delivery ORDER BY id"


def _revision_before(team: Team) -> str:
    """Take the newest revision back, with the data that are there, and return the one before."""
    before = f"{int(newest()) - 1:04}"
    command.downgrade(alembic_config(team.url("etl_migrator")), before)
    return before


def test_commands_refuse_a_warehouse_of_the_revision_before(team: Team) -> None:
    before = _revision_before(team)
    result = team.type("etl_loader", "run", "stations")
    assert result.exit_code == 3
    assert f"is at revision {before}" in result.output
    team.succeed("etl_migrator", "migrate")


def test_data_of_the_revision_before_are_upgraded_and_every_invariant_holds(team: Team) -> None:
    loaded = team.execute("etl_migrator", _CONTENTS)
    rows = team.execute("etl_loader", "SELECT * FROM core.readings ORDER BY station, day")
    before = _revision_before(team)
    assert f"Schema etl went from {before} to {newest()}." in team.succeed("etl_migrator", "migrate")
    assert team.execute("etl_migrator", _CONTENTS) == loaded
    assert team.execute("etl_loader", "SELECT * FROM core.readings ORDER BY station, day") == rows
    team.succeed("etl_loader", "doctor", "--deep")
    team.desk.publish("2013-01-02.csv", "station,day,temp,keeper\nA,3,2.5,Ann\n")
    team.succeed("etl_loader", "run", "readings", "--partition", "2013-01-02")
    team.succeed("etl_loader", "doctor", "--deep")


@pytest.mark.parametrize("role", ["etl_loader", "etl_reviewer", "etl_reader"])
def test_only_the_migrator_migrates(team: Team, role: str) -> None:
    before = _revision_before(team)
    assert team.type(role, "migrate").exit_code != 0
    assert team.execute("etl_migrator", "SELECT version_num FROM etl.schema_version") == [(before,)]
    team.succeed("etl_migrator", "migrate")
