from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from etl_assets_tests.docker.stack import IMAGE, ROOT, run

pytestmark = pytest.mark.docker


def _in_image(*command: str) -> str:
    return run("docker", "run", "--rm", "--network", "none", "--read-only", "--cap-drop", "ALL", IMAGE, *command)


@pytest.fixture(autouse=True)
def _image(image: str) -> None:
    """Build the image."""


def test_the_image_runs_the_command_line() -> None:
    assert "Usage: etl-assets" in _in_image("etl-assets", "--help")


def test_the_image_runs_as_an_ordinary_user() -> None:
    assert _in_image("id", "-u").strip() == "10001"


def test_the_user_of_the_image_cannot_change_the_program() -> None:
    assert _in_image("find", "/opt", "-writable", "-not", "-type", "l") == ""


def test_the_image_holds_no_sources_of_secrets_and_no_tests() -> None:
    names = _in_image("find", "/opt/etl_assets", "/opt/dagster", "-name", ".env*", "-o", "-name", "etl_assets_tests")
    assert names == ""


def test_each_service_brings_its_own_health_check() -> None:
    configuration = json.loads(run("docker", "image", "inspect", IMAGE))[0]["Config"]
    assert "Healthcheck" not in configuration or configuration["Healthcheck"] is None
    assert configuration["User"] == "10001:10001"


def test_the_image_has_no_tools_to_build_with() -> None:
    found = _in_image("sh", "-c", "for tool in gcc cc make uv git; do command -v $tool || :; done")
    assert found == ""


def test_the_default_command_serves_the_definitions() -> None:
    command = json.loads(run("docker", "image", "inspect", IMAGE))[0]["Config"]["Cmd"]
    assert "--module-name" in command
    assert "--module-name" in _in_image(*command[:3], "--help")


def test_the_image_says_what_it_is() -> None:
    labels = json.loads(run("docker", "image", "inspect", IMAGE))[0]["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == "etl_assets"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_an_image_with_sources_of_a_team_is_three_lines(tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parent / "team", tmp_path / "sources")
    (three,) = re.findall(
        r"(?m)^#   (FROM .*)\n#   (COPY .*)\n#   (ENV .*)$", (ROOT / "docker" / "Dockerfile").read_text()
    )
    (tmp_path / "Dockerfile").write_text("\n".join(three).replace("FROM etl-assets", f"FROM {IMAGE}") + "\n")
    run("docker", "build", "--tag", "etl-assets-team:test", ".", cwd=tmp_path)
    listing = "from etl_assets.cli.environment import declared; print(sorted(declared().sources))"
    shown = run(
        "docker", "run", "--rm", "--network", "none", "--read-only", "etl-assets-team:test", "python", "-c", listing
    )
    assert shown.strip() == "['shops']"
