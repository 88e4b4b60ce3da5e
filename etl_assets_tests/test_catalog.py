"""Each file of sources is loaded by itself: one that does not load stops no other, and its error is described."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from etl_assets import catalog
from etl_assets.errors import SettingsError
from etl_assets.settings import Settings
from etl_assets_tests.declared_files import source_text, write_files

if TYPE_CHECKING:
    from pathlib import Path


def _load(*folders: Path) -> catalog.Catalog:
    return catalog.load(map(str, folders))


def _problem(folder: Path, text: str) -> str:
    """Return the description of a file with that text, which is beside a good one."""
    loaded = _load(write_files(folder, broken=text, good=source_text("good")))
    assert "good" in loaded.sources
    assert list(loaded.broken) == ["broken"]
    return loaded.broken["broken"].problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x = 1\nSOURCE = Source(\n", "Line 2: SyntaxError: '(' was never closed."),
        ("\nimport nonesuch\n", "Line 2: ModuleNotFoundError: No module named 'nonesuch'."),
        ("from etl_assets import Sauce\n", "Line 1: ImportError: cannot import name 'Sauce' from 'etl_assets'"),
        ("from etl_assets import Source as S\nS(nam='x')\n", "Line 2: DeclarationError: Source: nam is not known."),
        (source_text("broken", more="max_rejected=2.0"), "DeclarationError: source 'broken': max_rejected 2.0 is not"),
        (source_text("another"), "DeclarationError: file {path}: name is 'another'. Name the file like the source"),
        ("SOURCE = 1\n", "DeclarationError: file {path}: SOURCE is not a Source."),
        (
            source_text("broken").replace("SOURCE =", "source ="),
            "DeclarationError: file {path}: source is not read. Rename it: SOURCE = Source(...)",
        ),
        ("raise SystemExit(0)\n", "Line 1: SystemExit: The file ends the process that imports it."),
        ("def f():\n    f()\nf()\n", "Line 2: RecursionError: maximum recursion depth exceeded"),
        ("from .helper import x\n", "Line 1: ModuleNotFoundError: No module named 'etl_assets_folder_"),
    ],
)
def test_a_file_that_does_not_load_is_described_with_its_line_and_the_others_are_loaded(
    tmp_path: Path, text: str, problem: str
) -> None:
    assert problem.format(path=tmp_path / "broken.py") in _problem(tmp_path, text)


def test_the_error_of_a_helper_names_the_file_and_the_line_of_the_helper(tmp_path: Path) -> None:
    write_files(tmp_path, _helper="x = 1\nx.nonesuch\n")
    place = f"In {tmp_path / '_helper.py'}, line 2: AttributeError: 'int' object has no attribute 'nonesuch'."
    assert _problem(tmp_path, "from . import _helper\n") == place


def test_a_syntax_error_in_bytes_that_are_no_text_is_described(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_bytes(b"x = '\xff'\n")
    assert "SyntaxError" in _load(tmp_path).broken["broken"].problem


def test_a_description_repeats_no_secret_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_API_TOKEN", "hunter2hunter2")
    monkeypatch.setenv("SHOP", "ftp://ann:open%20sesame@shop.test")
    masked = "Line 1: TypeError: *** and ***."
    assert _problem(tmp_path, "raise TypeError('hunter2hunter2 and open sesame')") == masked
    assert "12" not in _problem(tmp_path, "raise ValueError('record 12')\n").partition("ValueError")[2]


def test_a_file_whose_name_is_no_text_has_an_asset_of_plain_characters(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"sh\xffop.py")).write_text("import nonesuch\n")
    loaded = _load(tmp_path)
    assert list(loaded.broken) == ["sh_op"]
    assert loaded.broken["sh_op"].path.endswith(r"sh\xffop.py")


def test_a_file_that_is_corrected_loads(tmp_path: Path) -> None:
    _problem(tmp_path, "import nonesuch\n")
    write_files(tmp_path, broken=source_text("broken"))
    loaded = _load(tmp_path)
    assert "broken" in loaded.sources
    assert not loaded.broken


def test_of_two_files_that_declare_the_same_source_the_second_is_broken(tmp_path: Path) -> None:
    folders = [write_files(tmp_path / name, sales=source_text("sales", name)) for name in "ab"]
    loaded = _load(*folders)
    assert loaded.sources["sales"].extractor.location == "a"  # type: ignore[attr-defined]
    assert list(loaded.broken) == ["sales_2"]
    assert loaded.broken["sales_2"].path == str(folders[1] / "sales.py")
    assert "name 'sales' is taken" in loaded.broken["sales_2"].problem


def test_broken_files_of_the_same_name_have_assets_of_their_own(tmp_path: Path) -> None:
    loaded = _load(*(write_files(tmp_path / name, sales="import nonesuch") for name in "abc"))
    assert list(loaded.broken) == ["sales", "sales_2", "sales_3"]


def test_files_import_their_neighbours_also_where_two_folders_have_files_of_the_same_names(tmp_path: Path) -> None:
    using = "from ._owner import OWNER\n" + source_text("{name}").replace('"team:tests"', "OWNER")
    for name in "ab":
        write_files(tmp_path / name, _owner=f"OWNER = 'team:{name}'", **{f"of_{name}": using.format(name=f"of_{name}")})
    loaded = _load(tmp_path / "a", tmp_path / "b")
    assert not loaded.broken
    assert [loaded.sources[f"of_{name}"].owner for name in "ab"] == ["team:a", "team:b"]


def test_a_module_is_imported_once_whatever_refers_to_it(tmp_path: Path) -> None:
    write_files(
        tmp_path,
        after="from .sales import SOURCE as SALES\n",
        helpers="COUNT = []\n",
        sales="from .helpers import COUNT\nCOUNT.append(1)\n" + source_text("sales"),
    )
    loaded = _load(tmp_path, tmp_path)
    modules = {file.name: module for file, module in loaded.modules.items()}
    assert modules["after"].SALES is loaded.sources["sales"]
    assert catalog.load_file(tmp_path / "sales.py") is loaded.sources["sales"]
    assert modules["helpers"].COUNT == [1]


def test_files_that_begin_with_an_underscore_or_a_dot_are_not_loaded_by_themselves(tmp_path: Path) -> None:
    write_files(tmp_path, _helper="raise ValueError", __init__="raise ValueError", **{".lock": "raise ValueError"})
    loaded = _load(tmp_path)
    assert not loaded.broken
    assert not [file for file in loaded.modules if file.path.startswith(str(tmp_path))]


def test_a_package_that_does_not_load_is_a_broken_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path / "feeds_of_a_test", __init__="1 + None\n", sales=source_text("sales"))
    monkeypatch.syspath_prepend(tmp_path)
    loaded = catalog.load(["feeds_of_a_test"])
    assert "TypeError: unsupported operand" in loaded.broken["feeds_of_a_test"].problem


def test_a_package_that_does_not_exist_is_a_wrong_setting() -> None:
    with pytest.raises(SettingsError, match=r"folder 'nonesuch'.* or sources in the project file"):
        catalog.load(["nonesuch"])


def test_the_settings_say_whether_the_bundled_sources_are_loaded(tmp_path: Path) -> None:
    write_files(tmp_path, sales=source_text("sales"))
    given = {"ETL_ASSETS_SOURCES": str(tmp_path)}
    assert {"sales", "flights"} <= catalog.of_settings(Settings.from_environment(given)).sources.keys()
    alone = catalog.of_settings(Settings.from_environment({**given, "ETL_ASSETS_BUNDLED": "no"}))
    assert list(alone.sources) == ["sales"]
