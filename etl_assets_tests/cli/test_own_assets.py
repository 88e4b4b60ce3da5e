"""Files of a folder import each other, and `run` runs assets that are written by hand like sources, as documented."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets_tests.cli.desk import prepare_published
from etl_assets_tests.documented import examples

if TYPE_CHECKING:
    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk


@pytest.fixture
def documented(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk with the files of the document, and with what they load."""
    desk = prepared(prepare_published)
    files = {block.file: block.code for block in examples("docs/declaring-a-source.md") if block.file is not None}
    assert sorted(files) == ["feeds/_shops.py", "feeds/sales.py", "feeds/sales_by_half.py"]
    for path, code in files.items():
        (desk.folder / path).write_text(code)
    desk.publish("sales-first.csv", "shop;half;pieces\nA;first;2\nB;first;3\n")
    desk.publish("sales-second.csv", "shop;half;pieces\nA;second;7\n")
    monkeypatch.chdir(desk.folder)
    monkeypatch.setenv("ETL_ASSETS_SOURCES", "feeds")
    return desk


def test_a_source_and_an_asset_written_by_hand_run_together(documented: Desk) -> None:
    lines = documented.lines("run", "marts/sales_by_half", "sales", "--json")
    assert [(line["source"], line["partition"]) for line in lines] == [
        ("sales", "first"),
        ("sales", "second"),
        ("marts.sales_by_half", "first"),
        ("marts.sales_by_half", "second"),
    ]
    assert documented.query("SELECT half, pieces FROM marts.sales_by_half ORDER BY 1") == [("first", 5), ("second", 7)]
    assert documented.lines("run", "marts/sales_by_half", "--json") == []
    (line,) = documented.lines("run", "marts/sales_by_half", "--partition", "sec", "--json")
    assert (line["status"], line["partition"]) == ("unchanged", "second")


def test_an_asset_written_by_hand_loads_no_file(documented: Desk) -> None:
    result = documented.type("run", "marts/sales_by_half", "--file", "feeds/sales-first.csv")
    assert result.exit_code == 2
    assert "was written by hand and loads no file" in result.stderr


def test_a_name_that_is_neither_a_source_nor_an_asset_is_wrong_usage(documented: Desk) -> None:
    result = documented.type("run", "marts/nonesuch")
    assert result.exit_code == 2
    assert "There is no asset 'marts/nonesuch'." in result.stderr
    nearly = documented.type("run", "marts/sale_by_half")
    assert "There is no asset 'marts/sale_by_half'. Did you mean 'marts/sales_by_half'?" in nearly.stderr


def test_an_asset_whose_file_does_not_load_is_not_said_to_be_missing(documented: Desk) -> None:
    (documented.folder / "feeds" / "sales_by_year.py").write_text("import nonesuch\n")
    result = documented.type("run", "marts/sales_by_year")
    assert result.exit_code == 3
    assert "No module named 'nonesuch'" in result.stderr
