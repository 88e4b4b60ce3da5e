"""Every Python example in the documents compiles, and satisfies mypy and pyright."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from etl_assets_tests.documented import ROOT, examples

if TYPE_CHECKING:
    from etl_assets_tests.documented import Example

EXAMPLES = [
    example
    for document in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
    for example in examples(str(document.relative_to(ROOT)))
]


def _file_of(folder: Path, example: Example) -> Path:
    """The path of an example; the rule of CONTRIBUTING is imported by its test under the name it will have."""
    if example.file is not None:
        return folder / example.file
    name = "starts_with.py" if "class StartsWith" in example.code else f"example_{EXAMPLES.index(example)}.py"
    return folder / name


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Example]:
    """The examples as files: the path of each."""
    folder = tmp_path_factory.mktemp("examples")
    files = {_file_of(folder, example): example for example in EXAMPLES}
    for path, example in files.items():
        if path.parent != folder:
            path.parent.mkdir(exist_ok=True)
            (path.parent / "__init__.py").touch()
        path.write_text(example.code, "utf-8")
    return files


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_example_compiles(example: Example) -> None:
    compile(example.code, str(example), "exec")


def test_the_examples_satisfy_mypy(written: dict[Path, Example]) -> None:
    command = [sys.executable, "-m", "mypy", "--no-error-summary", *_checked(written)]  # and strict, as the project is
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (found.stdout, found.stderr, found.returncode) == ("", "", 0), _places(written)


def test_the_examples_satisfy_pyright(written: dict[Path, Example], tmp_path: Path) -> None:
    settings = tmp_path / "pyrightconfig.json"
    paths = sorted({str(ROOT), *(str(path.parent) for path in written)})
    settings.write_text(
        json.dumps({"include": _checked(written), "typeCheckingMode": "standard", "extraPaths": paths}), "utf-8"
    )
    command = [str(Path(sys.executable).parent / "basedpyright"), "--project", str(settings), "--outputjson"]
    command += ["--pythonpath", sys.executable]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    diagnostics = json.loads(found.stdout)["generalDiagnostics"]
    errors = [(each["file"], each["range"]["start"]["line"] + 1, each["message"]) for each in diagnostics]
    assert errors == [], _places(written)


def _checked(written: dict[Path, Example]) -> list[str]:
    """The files to check: all but those that import a module which only their reader writes."""
    return [str(path) for path, example in written.items() if "rules.starts_with" not in example.code]


def _places(written: dict[Path, Example]) -> str:
    """Which example each file holds."""
    return "\n".join(f"{path.name}: {example}" for path, example in written.items())
