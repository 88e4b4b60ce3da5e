"""The command `contract`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import yaml

from etl_assets import catalog
from etl_assets_tests.contract.test_contracts_of_others import OTHERS
from etl_assets_tests.documented import ROOT, blocks

if TYPE_CHECKING:
    import pytest

    from etl_assets_tests.cli.desk import Desk


def test_a_contract_is_printed_and_needs_no_database(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETL_ASSETS_DATABASE_URL", "postgresql://127.0.0.1:1/none")
    document = yaml.safe_load(desk.succeed("contract", "export", "stations"))
    assert (document["name"], document["apiVersion"]) == ("stations", "v3.2.0")


def test_contracts_of_all_sources_are_written_into_a_folder_and_what_they_lack_is_printed(desk: Desk) -> None:
    result = desk.type("contract", "export", "--to", str(desk.folder / "contracts"))
    assert result.exit_code == 0
    assert {path.name for path in (desk.folder / "contracts").iterdir()} >= {
        "airlines.odcs.yaml",
        "flights.odcs.yaml",
        "stations.odcs.yaml",
    }
    assert "fx_rates: the contract does not have transformer: code of one's own" in result.stderr


def test_several_contracts_are_printed_as_documents(desk: Desk) -> None:
    text = desk.succeed("contract", "export", "stations", "readings")
    assert [document["name"] for document in yaml.safe_load_all(text)] == ["stations", "readings"]


def test_a_contract_becomes_the_file_that_it_was_written_from(desk: Desk) -> None:
    contract = desk.folder / "readings.yaml"
    contract.write_text(desk.succeed("contract", "export", "readings"))
    desk.succeed("contract", "import", str(contract), "--to", str(desk.folder / "again"))
    again = catalog.load_file(desk.folder / "again" / "readings.py")
    assert again == catalog.load_file(desk.folder / "declared" / "readings.py")


def test_no_file_is_replaced(desk: Desk) -> None:
    contract = str(OTHERS / "shop-snowflake.odcs.yaml")
    desk.succeed("contract", "import", contract, "--to", str(desk.folder / "shop"))
    (desk.folder / "shop" / "orders.py").unlink()
    result = desk.type("contract", "import", contract, "--to", str(desk.folder / "shop"))
    assert result.exit_code == 2
    assert "line_items.py exists. Nothing was written." in " ".join(result.stderr.split())
    assert not (desk.folder / "shop" / "orders.py").exists()


def test_what_is_not_understood_is_printed(desk: Desk) -> None:
    result = desk.type("contract", "import", str(OTHERS / "orders-postgres.odcs.yaml"))
    assert result.exit_code == 0
    assert "SOURCE = Source(" in result.stdout
    assert "servers[0].host: 'localhost'" in result.stderr
    assert "tbl: 3 columns;" in result.stderr


def test_what_is_no_contract_is_an_error(desk: Desk) -> None:
    file = desk.folder / "list.yaml"
    file.write_text("- 1\n")
    result = desk.type("contract", "import", str(file))
    assert result.exit_code == 1
    assert "The file is no data contract." in result.stderr


def test_every_command_of_the_document_succeeds(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk.folder)
    (desk.folder / "orders.odcs.yaml").write_text((OTHERS / "shop-snowflake.odcs.yaml").read_text())
    text = "".join(blocks("docs/contracts.md", "bash", "## Commands"))
    commands = [line for line in text.splitlines() if line]
    assert len(commands) >= 4
    for line in commands:
        program, *arguments = shlex.split(line)
        assert program == "etl-assets"
        desk.succeed(*arguments)
    assert (ROOT / "docs" / "contracts.md").is_file()
