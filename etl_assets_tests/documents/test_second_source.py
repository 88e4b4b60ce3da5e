"""The second source of a new user, an Excel file on an SFTP server, is a documented example of fewer than 25 lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xlsxwriter
from click.testing import CliRunner

from etl_assets.cli import main
from etl_assets_tests.documented import examples
from etl_assets_tests.file_servers import PASSWORD, sftp_server

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def write_prices(path: Path) -> None:
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("Prices")
        sheet.write(0, 0, "Prices of 2026")
        sheet.write_row(2, 0, ["article", "price"])
        code = book.add_format({"num_format": "00000"})
        for row, (article, price) in enumerate([(42, 1.5), (10007, 20)], start=3):
            sheet.write_number(row, 0, article, code)
            sheet.write_number(row, 1, price)


def test_the_documented_excel_source_on_sftp_is_short_and_reads_what_a_person_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = (one for one in examples("docs/places.md") if 'name="price_list"' in one.code)
    assert len(example.code.splitlines()) < 25
    (tmp_path / "root" / "out").mkdir(parents=True)
    write_prices(tmp_path / "root" / "out" / "prices.xlsx")
    monkeypatch.setenv("SUPPLIER_PASSWORD", PASSWORD)
    with sftp_server(tmp_path / "root") as (port, fingerprint):
        code = example.code.replace("files.supplier.example", f"127.0.0.1:{port}").replace('"shop"', '"me"')
        before, _, after = code.partition('host_key="')
        code = f'{before}host_key="{fingerprint}"{after.partition(chr(34))[2]}'
        (tmp_path / "price_list.py").write_text(code)
        result = CliRunner().invoke(main, ["preview", str(tmp_path / "price_list.py"), "--json"])
    assert result.exit_code == 0, result.output
    assert '"rejected": 0' in result.stdout
    assert '"sample": [{"article": "00042", "price": "1.50"}, {"article": "10007", "price": "20.00"}]' in result.stdout
