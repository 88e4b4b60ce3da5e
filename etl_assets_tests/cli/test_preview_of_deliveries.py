"""The option `--delivery` of the command `preview`: frozen bytes are judged, and nothing is fetched."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from etl_assets_tests.cli.desk import prepare_january

if TYPE_CHECKING:
    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk

_DAY = "2013-01-01"


@pytest.fixture
def ready(prepared: Prepared) -> Desk:
    """The stations are delivery 1, the first day of the readings is delivery 2."""
    return prepared(prepare_january)


def test_the_frozen_bytes_are_judged_although_the_publisher_has_others_now(ready: Desk) -> None:
    ready.publish(f"{_DAY}.csv", "station,day,temp,keeper\nA,1,2.5,Ann\n")
    (output,) = ready.lines("preview", "readings", "--delivery", "2", "--json")
    assert (output["read"], output["rejected"], output["partition"]) == (4, 1, _DAY)


def test_a_refusal_prints_the_command_that_shows_its_records(ready: Desk) -> None:
    ready.publish("2013-01-02.csv", "station,day,temp,keeper\nA,1,x,Ann\nB,1,y,Bo\n")
    refused = ready.type("run", "readings", "--partition", "2013-01-02")
    found = re.search(r"`etl-assets (preview readings --delivery \d+)`", refused.stderr)
    assert found is not None
    ready.publish("2013-01-02.csv", "")
    assert "2 records of 2 would be rejected" in ready.succeed(*found[1].split())


def test_a_delivery_that_lacks_a_column_is_previewed_with_the_corrected_declaration(ready: Desk) -> None:
    ready.publish("2013-01-02.csv", "station,tag,temp,keeper\nA,1,2,Ann\n")
    refused = ready.type("run", "readings", "--partition", "2013-01-02")
    found = re.search(r"`etl-assets (preview readings --delivery \d+)`", refused.stderr)
    assert found is not None
    path = ready.folder / "corrected" / "readings.py"
    path.parent.mkdir()
    former = (ready.folder / "declared" / "readings.py").read_text()
    path.write_text(former.replace('"day", "integer",', '"day", "integer", published_as="tag",'))
    (output,) = ready.lines("preview", str(path), *found[1].split()[2:], "--json")
    assert (output["read"], output["rejected"]) == (1, 0)


def test_corrections_that_count_are_read(ready: Desk) -> None:
    ready.succeed("quarantine", "fix", "1", "celsius=9.5")
    ready.succeed("quarantine", "replay", "readings", "1")
    (output,) = ready.lines("preview", "readings", "--delivery", "2", "--json")
    assert output["rejected"] == 0


@pytest.mark.parametrize(("number", "problem"), [("99", "no delivery 99"), ("1", "It is one of stations")])
def test_a_delivery_of_another_source_is_an_error(ready: Desk, number: str, problem: str) -> None:
    result = ready.type("preview", "readings", "--delivery", number)
    assert result.exit_code == 2
    assert problem in result.stderr


def test_a_partition_beside_a_delivery_is_an_error(ready: Desk) -> None:
    assert ready.type("preview", "readings", "--delivery", "2", "--partition", _DAY).exit_code == 2
