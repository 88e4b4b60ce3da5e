"""What `docs/receiving.md` says: its commands are executed, its limits and defaults are those of the code."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import Events, Inbox, Signature
from etl_assets.cli.receive import command
from etl_assets.receive import app, body, door, journal, protocol, request, server
from etl_assets_tests.documented import ROOT, examples
from etl_assets_tests.documents.test_defaults import declared, value_of
from etl_assets_tests.receive.receiving import TOKEN, receiving

if TYPE_CHECKING:
    from pathlib import Path

TEXT = (ROOT / "docs" / "receiving.md").read_text("utf-8")
COMMANDS = [
    line for block in re.findall(r"^```sh\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE) for line in [block.strip()]
]


def table(head: str, after: str = "") -> list[list[str]]:
    """The rows of the first table with a head, after a heading."""
    rows = TEXT[TEXT.index(after) :].split(head, 1)[1].split("\n\n", 1)[0].strip().splitlines()[1:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_commands_of_the_publisher_are_answered_as_documented(tmp_path: Path) -> None:
    with receiving(tmp_path) as receiver:
        receiver.declare("orders")
        receiver.start()
        (tmp_path / "orders.csv").write_bytes(b"id\n1\n2\n")
        environ = {"PATH": "/usr/bin:/bin", "SHOP_TOKEN": TOKEN, "ADDRESS": f"http://127.0.0.1:{receiver.port}"}
        answers = [
            subprocess.run(
                ["sh", "-c", command.replace("curl ", "curl -s ")],
                cwd=tmp_path,
                env=environ,
                capture_output=True,
                check=True,
            ).stdout
            for command in COMMANDS
            if "curl" in command
        ]
        assert [b'"duplicate": false' in answer for answer in answers] == [True, False, True]
        assert b"1d1c91d15ace" in answers[0]
        assert len(receiver.files("orders")) == 2


def test_every_documented_declaration_loads() -> None:
    for example in examples("docs/receiving.md"):
        example.module()


def test_the_options_of_the_command_are_documented_with_their_defaults() -> None:
    options = {option: str(each.default) for each in command.params for option in each.opts}
    rows = table("| option | meaning | default |")
    documented: dict[str, str] = {}
    for names, _, defaults in rows:
        options_of_row = re.findall(r"--[a-z-]+", names)
        documented |= dict(zip(options_of_row, (cell.strip("` ") for cell in defaults.split(",")), strict=True))
    assert documented == {name: "none" if name == "--uds" else default for name, default in options.items()}
    limits = server.Limits()
    assert (limits.at_once, limits.keep_free // 2**20, limits.end_seconds) == tuple(
        int(documented[name]) for name in ("--at-once", "--keep-free", "--end-seconds")
    )


def test_the_limits_are_those_of_the_code() -> None:
    numbers = [int(re.findall(r"[\d,]+", value)[0].replace(",", "")) for _, value in table("| limit | value |")]
    assert numbers == [
        protocol.HEADER_BYTES // 1024,
        protocol.HEADER_SECONDS,
        protocol.KEEP_ALIVE_SECONDS,
        protocol.CONNECTIONS,
        app.EVENTS_AT_ONCE,
        body.SLOWEST,
        journal._FULLEST,
        request._LONGEST_ID,
    ]
    assert f"after {body.GRACE_SECONDS:g} seconds" in TEXT
    assert f"a secret of {door.SHORTEST} characters or more" in TEXT
    assert (door.TOLERANCE, server._SECRETS_SECONDS, server._TIDY_SECONDS) == (300, 10, 60)


@pytest.mark.parametrize("class_", [Inbox, Events, Signature], ids=lambda each: each.__name__)
def test_the_arguments_are_documented_with_their_defaults(class_: type) -> None:
    defaults = declared(class_)
    wrong: dict[str, Any] = {}
    names: set[str] = set()
    for cells, _, text in table("| argument | meaning | default |", f"## Arguments of {class_.__name__}\n"):
        each = re.findall(r"`(\w+)`", cells)
        names |= set(each)
        for name, default in zip(each, text.split(", ") if len(each) > 1 else [text], strict=True):
            value: Any = value_of(default)
            if days := re.fullmatch(r"`timedelta\(days=(\d+)\)`", default):
                value = timedelta(days=int(days[1]))
            expected = inspect.Parameter.empty if not default else None if default == "none" else value
            if defaults[name] != expected:
                wrong[name] = (default, defaults[name])
    assert wrong == {}
    assert names == set(defaults)
