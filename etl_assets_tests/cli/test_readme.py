"""The first source of the README: every command does what its comment says."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

from etl_assets_tests.documented import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets_tests.cli.desk import Desk

README = (ROOT / "README.md").read_text("utf-8")
SECTION = README.split("## The first source in five minutes", 1)[1].split("\n## ", 1)[0]
WRITTEN, PREVIEWED, COMMANDS = re.findall(r"^```(?:sh|text)\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"^cat > (\S+) <<'END'\n(.*?)^END$", re.DOTALL | re.MULTILINE)
_SHOWN = {"list": "opened__type", "show": "23.04.1952", "doctor": "invariants hold"}
"""What some commands must show, whose comment in the README does not say it."""


@pytest.fixture
def readers_desk(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk whose feeds are the files that the README writes, in the working directory."""
    (tmp_path / "reader" / "feeds").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "reader")
    for name, text in _FILE.findall(WRITTEN):
        (tmp_path / "reader" / name).write_text(text, "utf-8")
    monkeypatch.setenv("ETL_ASSETS_SOURCES", "feeds")
    return desk


def test_the_preview_is_as_shown(readers_desk: Desk) -> None:
    command, *shown = (line.rstrip() for line in PREVIEWED.splitlines())
    printed = readers_desk.succeed(*shlex.split(command.removeprefix("$ etl-assets ")))
    assert [line.rstrip() for line in printed.splitlines() if line.strip()] == [line for line in shown if line]


def test_the_commands_do_what_their_comments_say(readers_desk: Desk) -> None:
    for line in COMMANDS.splitlines():
        command, _, comment = line.partition(" # ")
        arguments = shlex.split(command.removeprefix("etl-assets "))
        if arguments[0] == "run":
            (run,) = readers_desk.lines(*arguments, "--json")
            counts = {name: int(number) for name, number in re.findall(r"(read|rejected|inserted) (\d+)", comment)}
            assert {name: run[name] for name in counts} == counts, line
            assert run["status"] == ("unchanged" if "unchanged" in comment else "loaded")
            continue
        printed = readers_desk.succeed(*arguments)
        expected = [_SHOWN[word] for word in arguments if word in _SHOWN]
        expected += re.findall(r"\d+ records? replayed|\d+ rows? inserted", comment)
        assert [text for text in expected if text not in printed] == [], line
    assert readers_desk.query("SELECT opened::text FROM core.stations WHERE station_id = 103") == [("1952-04-23",)]
