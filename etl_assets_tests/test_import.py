from __future__ import annotations

import subprocess
import sys

import pytest

_LOADED = (
    "import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}} & {{'dagster', {more}}}))"
)


@pytest.mark.parametrize("module", ["etl_assets", "etl_assets.local", "etl_assets.ingest", "etl_assets.schema"])
def test_importing_the_package_loads_neither_dagster_nor_great_expectations(module: str) -> None:
    code = _LOADED.format(module=module, more="'great_expectations', 'dlt'")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""


@pytest.mark.parametrize("declaration", ["FileExtractor(location='x', format=Csv())", "Http(private=True)"])
def test_declaring_a_file_does_not_load_what_fetches_from_the_web(declaration: str) -> None:
    names = "{'urllib3', 'requests'}"
    code = f"import sys; from etl_assets import *; {declaration}; print(*sorted({names} & {{*sys.modules}}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
