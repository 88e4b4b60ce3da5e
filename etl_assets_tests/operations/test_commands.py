"""Every command of docs/operations.md that no other test carries out works."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest

from etl_assets_tests.documented import ROOT, blocks
from etl_assets_tests.operations.team import OPERATIONS, carry_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets_tests.operations.team import Team

_TEXT = Path(ROOT, OPERATIONS).read_text("utf-8")
_SECTIONS = re.findall(r"^### (.+)$", _TEXT, re.MULTILINE)
_ELSEWHERE = ("The backup", "The restore", "A source with everything that it brought")
_OF_DAGSTER = {"dagster instance concurrency get --all", "dagster definitions validate -m etl_assets.definitions"}


def _commands() -> Iterator[str]:
    """Yield the commands of the blocks that no other test carries out."""
    for section in _SECTIONS:
        if section not in _ELSEWHERE:
            for block in re.findall(r"^ *```bash\n(.*?)^ *```", _section(section), re.DOTALL | re.MULTILINE):
                yield from (line.strip() for line in block.splitlines())


def _section(heading: str) -> str:
    return re.split(r"^##", _TEXT.partition(f"\n### {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


@pytest.mark.parametrize("command", sorted(set(_commands())))
def test_a_command_of_a_runbook_succeeds(team: Team, command: str) -> None:
    environment = team.environment("etl_loader")
    if command in _OF_DAGSTER:
        team.succeed("etl_loader", "alerts", "list")  # sets what `dagster` needs
        environment |= {"DAGSTER_HOME": str(team.folder / "home" / "dagster")}
    carry_out(team.server, command, **environment)


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`etl-assets ([a-z][^`]*)`", _TEXT.replace("\n", " ")))))
def test_a_command_in_the_text_exists(team: Team, command: str) -> None:
    words = command.split()
    if words[0] == "metrics" and find_spec("etl_assets.cli.metrics") is None:
        pytest.skip("This version serves no metrics.")
    named = [word for word in words if word.islower() and word[0] != "-"]
    assert team.type("etl_loader", *named, "--help").exit_code == 0, command


def test_a_password_is_changed_as_documented(team: Team) -> None:
    alter, end = (block.replace("…", "other") for block in blocks(OPERATIONS, "sql", "## Secrets"))
    with psycopg.connect(team.server.superuser_url(), autocommit=True) as connection:
        connection.execute(alter.encode())
        try:
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(team.url("etl_loader"))
            secret = f":{urlsplit(team.url('etl_loader')).password}@"
            with psycopg.connect(team.url("etl_loader").replace(secret, ":other@")) as session:
                connection.execute(end.encode())
                with pytest.raises(psycopg.OperationalError):
                    session.execute("SELECT 1")
        finally:
            connection.execute(f"ALTER ROLE etl_loader PASSWORD '{secret[1:-1]}'".encode())


def test_the_reader_may_ask_what_the_runbooks_ask_of_the_warehouse(team: Team) -> None:
    statements = [text for text in re.findall(r'--dbname=warehouse --command="([^"]+)"', _TEXT) if "etl." in text]
    assert len(statements) == 2
    for statement in statements:
        team.execute("etl_reader", statement)


def test_each_rule_of_prometheus_has_a_heading() -> None:
    rules = ROOT / "docker" / "prometheus" / "rules.yaml"
    if not rules.exists():
        pytest.skip("There are no rules.")
    names = re.findall(r"alert: (\w+)", rules.read_text("utf-8"))
    assert names
    assert set(names) == {name for name in _SECTIONS if name.startswith("EtlAssets")}
