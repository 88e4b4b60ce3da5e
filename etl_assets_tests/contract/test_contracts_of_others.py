"""Contracts that others wrote: what of them is declared, and that everything else is listed."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from etl_assets import Append, Csv, FileExtractor, ForeignKey, UniqueTogether, catalog, contract
from etl_assets.contract.importing import left
from etl_assets.contract.written import write_declaration
from etl_assets.errors import ContractError
from etl_assets.infer.names import check_source_name

OTHERS = Path(__file__).parent / "others"
FILES = sorted(OTHERS.glob("*.yaml"))


def read(name: str) -> list[contract.Imported]:
    return contract.import_contract((OTHERS / f"{name}.odcs.yaml").read_text())


def test_a_contract_with_a_postgres_server_is_declared_as_far_as_it_can_be() -> None:
    (tbl,) = read("orders-postgres")
    assert (tbl.name, tbl.key, tbl.owner) == ("tbl", ("rcvr_id",), None)
    assert tbl.description == "Views built on top of the seller tables.\n\nProvides core payment metrics"
    assert [repr(column) for column in tbl.columns] == [
        "Column('transaction_reference_date', 'date', description='Reference date for transaction')",
        (
            "Column('rcvr_id', 'text', required=True, length=18, description='A description for column rcvr_id.', "
            "sensitive=True)"
        ),
        "Column('rcvr_cntry_code', 'text', required=True, length=2)",
    ]
    assert tbl.of_source == {"freshness": timedelta(days=4)}


def test_everything_else_of_it_is_listed() -> None:
    (tbl,) = read("orders-postgres")
    listed = tbl.not_understood
    for clause in (
        "schema.tbl.rcvr_id: its classification is declared as sensitive=True",
        "schema.tbl.rcvr_id: not required, and it is in the key; it is required now",
        "schema.tbl.transaction_reference_date.physicalName: 'txn_ref_dt'",
        "schema.tbl.transaction_reference_date.partitioned: 'True'",
        "schema.tbl.rcvr_cntry_code.quality[0].severity: 'error'",
        "schema.tbl.rcvr_cntry_code.quality[1].mustBeLessThan: '10'",
        "schema.tbl.quality[0].metric: 'rowCount'",
        "schema.tbl.quality[1].engine: 'greatExpectations'",
        "servers[0].host: 'localhost'",
        "team[0].username: 'ceastwood'",
        "slaProperties[1].property: 'retention'",
        "version: '1.1.0'",
        "price.priceAmount: '9.95'",
        "customProperties[0].value: 'gcsc.ruleset.name'",
        "description.limitations: 'Data based on seller perspective, no buyer information'",
    ):
        assert clause in listed


def test_a_contract_with_a_snowflake_server_is_declared_table_by_table() -> None:
    orders, items = read("shop-snowflake")
    assert (orders.name, orders.key, orders.owner) == ("orders", ("order_id",), "david@acme.example")
    assert [repr(column) for column in orders.columns] == [
        "Column('order_id', 'text', required=True, length=36, published_as='ORDER_ID')",
        "Column('order_timestamp', 'timestamp', required=True, published_as='ORDER_TIMESTAMP', zone='UTC')",
        "Column('order_total', 'decimal', minimum=0, published_as='ORDER_TOTAL', precision=12, scale=2)",
        "Column('status', 'text', allowed=('placed', 'shipped'), published_as='STATUS')",
        "Column('customer_email', 'text', pattern='[^@]+@[^@]+', published_as='CUSTOMER_EMAIL', sensitive=True)",
        "Column('raw', 'json', published_as='RAW')",
        "Column('place', 'text', published_as='PLACE')",
    ]
    assert orders.of_schema == {"rules": (UniqueTogether("order_id", "status"),)}
    assert orders.of_source == {"tags": {"checkout": "", "domain": "orders"}}
    assert items.key == ("order_id", "line_item_id")
    assert items.columns[1].arguments["references"] == "core.orders.order_id"
    assert items.of_schema["rules"] == (
        ForeignKey(("order_id", "line_item_id"), "core.parts", ("order_id", "part_id")),
    )


def test_types_and_options_without_a_place_are_listed() -> None:
    orders, items = read("shop-snowflake")
    for clause in (
        "schema.ORDERS: the name, which cannot be that of a source; it is orders",
        "schema.ORDERS.order_id.logicalTypeOptions.format: 'uuid'",
        "schema.ORDERS.order_id.logicalTypeOptions.minLength: '36'",
        "schema.ORDERS.order_total.logicalTypeOptions.exclusiveMaximum: '1000000'",
        "schema.ORDERS.raw.properties[0].name: 'INNER'",
        "schema.ORDERS.place: the type GEOGRAPHY, which is declared as text",
        "tags: 'not a tag'",
        "servers[0].account: 'acme-eu1'",
        "team.name: 'checkout'",
    ):
        assert clause in orders.not_understood
    amount = "the digits of its numbers, which are 38, 9 of them after the point"
    assert f"schema.LINE_ITEMS.amount: {amount}" in items.not_understood
    assert (
        "schema.LINE_ITEMS.order_id.relationships[0].customProperties[0].value: 'many-to-one'" in items.not_understood
    )


def test_files_that_a_server_names_are_fetched() -> None:
    (measurements,) = read("measurements-s3")
    extractor = measurements.of_source["extractor"]
    assert extractor == FileExtractor(location="s3://acme-lake/measurements/latest.csv", format=Csv())
    assert measurements.of_source["freshness"] == timedelta(minutes=90)
    assert [repr(column) for column in measurements.columns] == [
        "Column('station_name', 'text', required=True, allowed=('north', 'south'), published_as='Station Name')",
        "Column('at', 'timestamp', zone='Europe/Berlin')",
        "Column('value', 'float', minimum=-50.5)",
        "Column('tags', 'json')",
        "Column('code', 'text', length=12, pattern='(?s:.*)(?:[A-Z]{3})(?s:.*)', unique=True)",
    ]
    assert "schema.measurements.station_name.enum[0].label: 'Nordwerk'" in measurements.not_understood
    assert "schema.measurements.value.logicalTypeOptions.multipleOf: '0.5'" in measurements.not_understood


UNDERSTOOD = frozenset(
    [
        "apiVersion",
        "kind",
        "name",
        "purpose",
        "description",
        "logicalType",
        "physicalType",
        "required",
        "unique",
        "primaryKey",
        "primaryKeyPosition",
        "classification",
        "minimum",
        "maximum",
        "maxLength",
        "pattern",
        "timezone",
        "defaultTimezone",
        "value",
        "property",
        "unit",
        "metric",
        "mustBe",
        "validValues",
        "properties",
        "type",
        "from",
        "to",
        "tags",
        "username",
        "role",
        "location",
        "format",
    ]
)
"""Fields whose values may be declared; what is left of the others must be in the list."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_nothing_of_a_contract_is_silent(file: Path) -> None:
    listed = "\n".join(clause for each in contract.import_contract(file.read_text()) for clause in each.not_understood)
    silent = []
    for clause in left(yaml.load(file.read_text(), yaml.BaseLoader)):  # noqa: S506 -- every value as a text
        path, _, value = clause.partition(": ")
        name = re.sub(r"(\[\d+\])+$", "", path).rpartition(".")[2]
        if name not in UNDERSTOOD and value != "'null'" and f"{name}: {value}".lower() not in _without_places(listed):
            silent.append(clause)
    assert silent == []


def _without_places(listed: str) -> str:
    return re.sub(r"(\[\d+\])+: ", ": ", listed).lower().replace("\n", " ")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_file_of_each_table_loads_as_a_declaration(file: Path, tmp_path: Path) -> None:
    for imported in contract.import_contract(file.read_text()):
        path = tmp_path / f"{imported.name}.py"
        path.write_text(write_declaration(imported))
        source = catalog.load_file(path)
        assert source.schema.columns == tuple(imported.columns)
        assert isinstance(source.write, Append) == (not imported.key)
        assert source.owner == (imported.owner or "team:unknown")


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("- a\n- b\n", "A contract is a mapping in YAML"),
        ("a: [", "is no YAML"),
        ("a: &a [1]\nb: *a\n", "has an alias"),
        ("kind: DataContract\nunknown: 1\n", "unknown: Extra inputs are not permitted"),
        ("kind: DataContract\nschema: []\n", "has no table with properties"),
        ("kind: DataContract\nschema:\n- name: a\n", "has no table with properties"),
        ("kind: DataContract\n1: a\n", "no contract of the Open Data Contract Standard"),
    ],
)
def test_what_is_no_contract_is_refused(text: str, clause: str) -> None:
    with pytest.raises(ContractError, match=re.escape(clause)):
        contract.import_contract(text)


@pytest.mark.parametrize(
    "code",
    [
        "__import__('os').system('touch {file}')",
        "open('{file}', 'w')",
        "(lambda: 1)()",
        "[x for x in (1, 2)]",
        "Column.__init__.__globals__",
        "f'{{1}}'",
        "Rule('a', print, 'b')",
        "1 if True else 2",
        "(" * 5000,
        "9 ** 9 ** 9",
        "x",
        "Upsert(**{{}})",
        "datetime.sys.exit(1)",
    ],
)
def test_code_in_a_custom_property_is_neither_executed_nor_written(code: str, tmp_path: Path) -> None:
    text = code.replace("{file}", str(tmp_path / "touched")).replace("{{", "{").replace("}}", "}")
    document = {
        "kind": "DataContract",
        "schema": [{"name": "goods", "properties": [{"name": "a", "logicalType": "string"}]}],
        "customProperties": [{"property": "write", "value": text, "vendor": "etl-assets"}],
    }
    (imported,) = contract.import_contract(yaml.safe_dump(document))
    assert not (tmp_path / "touched").exists()
    assert [clause.partition(":")[0] for clause in imported.not_understood] == ["write"]
    assert imported.of_source == {}
    assert "write=Append()" in write_declaration(imported)


@pytest.mark.parametrize("name", ["write=().__class__ or dict(x", "name", "wat", ""])
def test_the_name_of_a_custom_property_is_written_only_if_a_source_has_such_an_argument(name: str) -> None:
    document = {
        "kind": "DataContract",
        "schema": [{"name": "goods", "properties": [{"name": "a", "logicalType": "string"}]}],
        "customProperties": [{"property": name, "value": "'other'", "vendor": "etl-assets"}],
    }
    (imported,) = contract.import_contract(yaml.safe_dump(document))
    assert imported.not_understood == [f"{name}, which no source has as a custom property"]
    assert imported.of_source == {}
    assert "other" not in write_declaration(imported)


def test_two_tables_whose_names_become_the_same_are_two_sources() -> None:
    tables = [
        {"name": name, "properties": [{"name": "a", "logicalType": "string"}]}
        for name in ("orders", "Orders", "ORDERS", "o" * 60, "O" * 60)
    ]
    imported = contract.import_contract(yaml.safe_dump({"kind": "DataContract", "schema": tables}))
    assert [each.name for each in imported[:3]] == ["orders", "orders_2", "orders_3"]
    assert len({each.name for each in imported}) == len(tables)
    assert "schema.Orders: the name, which cannot be that of a source; it is orders_2" in imported[1].not_understood
    for each in imported:
        check_source_name(each.name)


@pytest.mark.parametrize("value", [0, -1, 1e308, float("nan")])
def test_an_agreed_age_that_no_source_can_have_is_listed(value: float) -> None:
    document = {
        "kind": "DataContract",
        "schema": [{"name": "goods", "properties": [{"name": "a", "logicalType": "string"}]}],
        "slaProperties": [{"property": "latency", "value": value, "unit": "d"}],
    }
    (imported,) = contract.import_contract(yaml.safe_dump(document))
    assert "freshness" not in imported.of_source
    assert f"slaProperties[0].value: {str(value)!r}" in imported.not_understood


def test_a_long_list_of_what_is_not_understood_is_cut() -> None:
    properties = [{"name": f"c{number}", "logicalType": "string", "businessName": "x"} for number in range(300)]
    text = yaml.safe_dump({"kind": "DataContract", "schema": [{"name": "goods", "properties": properties}]})
    (imported,) = contract.import_contract(text)
    assert len(imported.not_understood) == 201
    assert imported.not_understood[-1] == "and 100 more"


def column_of(element: dict[str, object]) -> tuple[dict[str, Any], list[str]]:
    """Return the arguments of the column that a property is declared as, and what of it is not declared."""
    properties = [{"name": "a", **element}]
    text = yaml.safe_dump({"kind": "DataContract", "schema": [{"name": "goods", "properties": properties}]})
    (imported,) = contract.import_contract(text)
    (column,) = imported.columns
    column.check("the test")
    return dict(column.arguments), imported.not_understood


def test_a_limit_that_is_no_day_of_the_calendar_is_listed() -> None:
    column, listed = column_of({"logicalType": "date", "logicalTypeOptions": {"minimum": "2024-02-30"}})
    assert column == {}
    assert listed == ["schema.goods.a.logicalTypeOptions.minimum: '2024-02-30'"]


def test_a_pattern_with_an_alternative_in_brackets_at_each_end_is_kept() -> None:
    column, listed = column_of({"logicalType": "string", "logicalTypeOptions": {"pattern": "^(?:a)|(?:b)$"}})
    assert column["pattern"] == "(?s:.*)(?:^(?:a)|(?:b)$)(?s:.*)"
    assert listed == []


def test_a_decimal_with_more_digits_than_there_can_be_gets_the_usual_ones() -> None:
    column, listed = column_of({"physicalType": "numeric(50, 2)"})
    assert column == {"scale": 9}
    assert listed == ["schema.goods.a: the digits of its numbers, which are 38, 9 of them after the point"]


def test_a_zone_that_does_not_exist_is_listed() -> None:
    column, listed = column_of({"logicalType": "timestamp", "logicalTypeOptions": {"defaultTimezone": "Nowhere/Else"}})
    assert column == {"zone": "UTC"}
    assert listed == ["schema.goods.a: the zone Nowhere/Else, which does not exist; it is UTC"]


def test_an_unknown_field_of_a_property_is_listed() -> None:
    text = (
        "kind: DataContract\nschema:\n- name: goods\n  properties:\n  - {name: a, logicalType: string, colour: red}\n"
    )
    (imported,) = contract.import_contract(text)
    assert imported.not_understood == ["schema.goods.a.colour: 'red'"]
