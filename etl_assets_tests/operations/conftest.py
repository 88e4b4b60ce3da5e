"""Fixtures: a server with the roles of docs/operating.md, and a team that works on it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from etl_assets.local import embedded
from etl_assets_tests.operations.team import Team, create_roles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.local import EmbeddedServer


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    """A server of its own, because roles belong to a whole server."""
    home = Path(tempfile.mkdtemp(prefix="etl-assets-tests-"))  # the server's account cannot enter pytest's folders
    home.chmod(0o711)
    try:
        with embedded(home) as server:
            create_roles(server)
            yield server
    finally:
        shutil.rmtree(home)


@pytest.fixture(scope="module")
def team(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """A team that has loaded the stations and the first day of the readings: record 1 is open, record 2 is parked."""
    before = dict(os.environ)
    for name in ("DAGSTER_HOME", "ETL_ASSETS_LANDING_URL"):
        os.environ.pop(name, None)
    sys.modules.pop("etl_assets.definitions", None)
    team = Team(server, tmp_path_factory.mktemp("team"))
    team.desk.publish_readings()
    team.succeed("etl_migrator", "migrate")
    team.succeed("etl_loader", "run", "stations")
    team.succeed("etl_loader", "run", "readings", "--partition", "2013-01-01")
    yield team
    os.environ.clear()
    os.environ.update(before)
