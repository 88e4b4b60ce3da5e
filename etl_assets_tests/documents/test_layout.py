"""The map in CONTRIBUTING names what is in the package, and nothing else."""

from __future__ import annotations

import re

from etl_assets_tests.documented import ROOT

_ENTRY = re.compile(r"^(?P<indent> *)(?P<name>[a-z_]+(?:/|\.py))(?= |$)", re.MULTILINE)


def _mapped() -> set[str]:
    """The paths of the map, below the package; folders end with a slash."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    found = re.search(r"## Layout and layers\n.*?```\n(.*?)```", text, re.DOTALL)
    assert found is not None
    paths: set[str] = set()
    room = ""
    for line in _ENTRY.finditer(found[1]):
        if not line["indent"]:
            room = line["name"]
        paths.add(line["name"] if not line["indent"] else room + line["name"])
    return paths


def _tree() -> set[str]:
    """The modules and folders of the package, and the folders of its larger rooms."""
    package = ROOT / "etl_assets"
    rooms = {path.parent for path in package.rglob("*.py")} - {package, package / "sources", package / "marts"}
    shown = {room for room in rooms if room.parent in {package, *(package / name for name in _OPENED)}}
    modules = {path for path in package.glob("*.py") if path.name != "__init__.py"}
    return {
        *(f"{path.relative_to(package)}/" for path in shown | {package / "sources", package / "marts"}),
        *(path.name for path in modules),
    }


_OPENED = ("extract", "graph", "load", "postgres", "schema")


def test_the_map_has_every_room_and_module_and_no_other() -> None:
    assert _mapped() == _tree()
