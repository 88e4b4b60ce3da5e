"""The command `receive` before it receives: what must be corrected first."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from etl_assets.cli import WRONG_SETTINGS, main
from etl_assets_tests.receive.receiving import TOKEN

if TYPE_CHECKING:
    from click.testing import Result

    from etl_assets_tests.receive.receiving import Receiving


@pytest.fixture(autouse=True)
def environment(receiver: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    (receiver.folder / "declared").mkdir()
    monkeypatch.setenv("ETL_ASSETS_HOME", str(receiver.home))
    monkeypatch.setenv("ETL_ASSETS_SOURCES", str(receiver.folder / "declared"))
    monkeypatch.setenv("TEST_TOKEN", TOKEN)


def receive(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["receive", *arguments])


def test_without_an_inbox_nothing_is_started() -> None:
    result = receive()
    assert result.exit_code == WRONG_SETTINGS
    assert "sources have no inbox" in result.stderr


def test_without_a_secret_nothing_is_started(receiver: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    receiver.declare("orders")
    monkeypatch.delenv("TEST_TOKEN")
    result = receive("--port", "0")
    assert result.exit_code == WRONG_SETTINGS
    assert "There is no secret TEST_TOKEN" in result.stderr


@pytest.mark.parametrize("option", ["--port=70000", "--port=-1", "--at-once=0", "--keep-free=-1", "--end-seconds=-1"])
def test_a_limit_out_of_its_range_is_refused(receiver: Receiving, option: str) -> None:
    receiver.declare("orders")
    result = receive(option)
    assert result.exit_code == 2
    assert "is not in the range" in result.stderr


def test_a_port_that_is_used_is_named(receiver: Receiving) -> None:
    receiver.declare("orders")
    with socket.create_server(("127.0.0.1", 0)) as other:
        result = receive("--port", str(other.getsockname()[1]))
    assert result.exit_code == WRONG_SETTINGS
    assert "Choose another with --port" in result.stderr


def test_a_unix_socket_that_another_process_uses_is_left_alone(receiver: Receiving) -> None:
    receiver.declare("orders")
    path = receiver.folder / "s"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        result = receive("--uds", str(path))
    assert result.exit_code == WRONG_SETTINGS
    assert path.exists()


def test_a_file_of_sources_that_does_not_load_is_shown_and_the_others_receive(receiver: Receiving) -> None:
    receiver.declare("orders")
    (receiver.folder / "declared" / "broken.py").write_text("import nothing_like_this")
    receiver.start()
    assert receiver.send("orders", b"id\n1\n").status == 201
    assert any("broken.py does not load" in line for line in receiver.log)
