"""The version, the changelog and the wheel agree."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version

from etl_assets_tests.documented import ROOT

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_newest_version_in_the_changelog_is_that_of_the_package() -> None:
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}$", CHANGELOG, re.MULTILINE)
    assert released[0] == VERSION == version("etl-assets")


def test_each_version_in_the_changelog_has_a_link() -> None:
    headings = re.findall(r"^## \[([^\]]+)\]", CHANGELOG, re.MULTILINE)
    assert headings == re.findall(r"^\[([^\]]+)\]: https://", CHANGELOG, re.MULTILINE)


def test_security_fixes_are_announced_for_the_newest_minor_version() -> None:
    supported = re.findall(r"^\| (\d+\.\d+) \| yes \|$", (ROOT / "SECURITY.md").read_text("utf-8"), re.MULTILINE)
    assert supported == [VERSION.rpartition(".")[0]]
