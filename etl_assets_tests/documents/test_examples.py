"""Every Python example in the documents runs, and satisfies mypy and pyright; so do the bundled sources."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from etl_assets_tests.documented import ROOT, Example, examples, written_files

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCES = ROOT / "etl_assets" / "sources"

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = [example for document in DOCUMENTS for example in examples(str(document.relative_to(ROOT)))]
WRITTEN = [file for document in DOCUMENTS for file in written_files(str(document.relative_to(ROOT)))]
"""The files of Python that commands of the documents write."""
BUNDLED = [
    Example(str(path.relative_to(ROOT)), 1, path.read_text("utf-8")) for path in sorted(SOURCES.glob("[!_]*.py"))
]
"""The bundled sources, which the documents name as examples."""
RUN_BY = {
    "class TestStartsWith(RuleSuite)": "schema/test_a_kind_is_one_file.py",
    "from ._shops import": "cli/test_own_assets.py",
    "from .sales import": "cli/test_own_assets.py",
    "from feeds.access_log import": "conformance/test_stages_conform.py",
}
"""What an example has that imports files which only its reader writes, and the test that runs it."""


def _file_of(folder: Path, example: Example) -> Path:
    """The path of an example; the rule of CONTRIBUTING is imported by its test under the name it will have."""
    if example.file is not None:
        return folder / example.file
    if "class StartsWith" in example.code:
        return folder / "starts_with.py"
    kind, among = next((kind, each) for kind, each in _SEVERAL.items() if example in each)
    return folder / f"{kind}_{among.index(example)}.py"


_SEVERAL: dict[str, Sequence[Example]] = {"example": EXAMPLES, "written": WRITTEN, "bundled": BUNDLED}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Example]:
    """The examples as files: the path of each."""
    folder = tmp_path_factory.mktemp("examples")
    files = {_file_of(folder, example): example for example in (*EXAMPLES, *WRITTEN, *BUNDLED)}
    for path, example in files.items():
        if path.parent != folder:
            path.parent.mkdir(exist_ok=True)
            (path.parent / "__init__.py").touch()
        path.write_text(example.code, "utf-8")
    return files


@pytest.mark.parametrize("example", [*EXAMPLES, *WRITTEN], ids=str)
def test_an_example_runs(example: Example) -> None:
    if any(text in example.code for text in RUN_BY):
        compile(example.code, str(example), "exec")
    else:
        assert example.module().__file__ == f"<{example}>"


def test_each_example_that_another_test_runs_is_there_and_so_is_the_test() -> None:
    assert {text for text in RUN_BY if any(text in example.code for example in EXAMPLES)} == set(RUN_BY)
    assert [test for test in RUN_BY.values() if not (ROOT / "etl_assets_tests" / test).exists()] == []


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
