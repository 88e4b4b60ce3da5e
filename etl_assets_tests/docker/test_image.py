from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.docker

_ROOT = Path(__file__).parents[2]
_IMAGE = "etl-assets:test"


def _docker(*arguments: str) -> str:
    result = subprocess.run(["docker", *arguments], cwd=_ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    return result.stdout


def _run(*command: str) -> str:
    return _docker("run", "--rm", "--network", "none", "--read-only", "--cap-drop", "ALL", _IMAGE, *command)


@pytest.fixture(scope="module", autouse=True)
def _image() -> None:
    _docker("build", "--file", "docker/Dockerfile", "--tag", _IMAGE, ".")


def test_the_image_runs_the_command_line() -> None:
    assert "Usage: etl-assets" in _run("etl-assets", "--help")


def test_the_image_runs_as_an_ordinary_user() -> None:
    assert _run("id", "-u").strip() == "10001"


def test_the_user_of_the_image_cannot_change_the_program() -> None:
    assert _run("find", "/opt", "-writable", "-not", "-type", "l") == ""


def test_the_image_holds_no_sources_of_secrets_and_no_tests() -> None:
    names = _run("find", "/opt/etl_assets", "/opt/dagster", "-name", ".env*", "-o", "-name", "etl_assets_tests")
    assert names == ""


def test_the_image_says_when_it_is_well() -> None:
    configuration = json.loads(_docker("image", "inspect", _IMAGE))[0]["Config"]
    assert "grpc-health-check" in configuration["Healthcheck"]["Test"]
    assert configuration["User"] == "10001:10001"
