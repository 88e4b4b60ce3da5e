"""The commands of docs/quarantine.md, typed as they are written there."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

from etl_assets_tests.cli.test_corrections import prepare_events
from etl_assets_tests.documented import ROOT

if TYPE_CHECKING:
    from etl_assets_tests.cli.conftest import Prepared

_BLOCKS = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs/quarantine.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
_EXPECTED = (
    ["A replay would load it", "1 row inserted"],
    [
        "2 records would be corrected",
        "2 records corrected",
        "1 record corrected",
        "1 record corrected",
        "3 records replayed",
    ],
    ["4 records written", "0 records would be corrected, 4 unchanged", "0 records corrected, 4 unchanged"],
    ["3 records would be dismissed", "3 records dismissed", "3 records reopened"],
)


@pytest.mark.parametrize("number", range(len(_BLOCKS)))
def test_the_commands_do_what_is_documented(prepared: Prepared, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = prepared(prepare_events)
    monkeypatch.chdir(desk.folder)
    lines = _BLOCKS[number].splitlines()
    for line, expected in zip(lines, _EXPECTED[number], strict=True):
        _, *arguments = shlex.split(line)
        result = desk.type(*arguments)
        assert result.exit_code == 0, result.output
        assert expected in result.output
