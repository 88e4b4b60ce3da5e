"""From which columns each column of a table comes, as Dagster is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import pytest

from etl_assets import Column, References, Schema
from etl_assets.catalog import load
from etl_assets.definitions import defs
from etl_assets.errors import DeclarationError
from etl_assets.graph.assets.column_lineage import from_columns
from etl_assets.graph.build import definitions
from etl_assets_tests.graph.test_failures import Careless

if TYPE_CHECKING:
    from etl_assets_tests.graph.conftest import Bench


def lineage(built: dg.Definitions, *key: str) -> dict[str, list[str]]:
    """Return from where each column of an asset comes, as ``layer/name.column``."""
    found = built.resolve_assets_def(list(key)).get_asset_spec(dg.AssetKey(list(key))).metadata
    deps = found["dagster/column_lineage"].deps_by_column
    return {
        name: sorted(f"{dep.asset_key.to_user_string()}.{dep.column_name}" for dep in places)
        for name, places in deps.items()
    }


def test_a_column_comes_from_all_its_published_names_and_from_the_column_that_it_refers_to(bench: Bench) -> None:
    towns = bench.declare(name="towns")
    columns = (
        Column("id", "integer", required=True, published_as=("Id", "ID")),
        Column("town", "integer", references=References("core.towns.id", missing="park")),
        Column("boss", "integer", references=References("core.people.id", missing="park")),
    )
    people = bench.declare(schema=Schema(columns, key=("id",)))
    assert lineage(definitions({"people": people, "towns": towns}), "core", "people") == {
        "id": ["landing/people.ID", "landing/people.Id"],
        "town": ["core/towns.id", "landing/people.town"],
        "boss": ["landing/people.boss"],
    }


def test_a_derived_column_comes_from_the_inputs(bench: Bench) -> None:
    columns = (Column("id", "integer", required=True), Column("age", "integer", derived=True))
    inputs = (Column("born", "date", published_as="Born"), Column("died", "date"))
    source = bench.declare(schema=Schema(columns, key=("id",), inputs=inputs), transformer=Careless())
    built = definitions({"people": source})
    assert lineage(built, "core", "people")["age"] == ["landing/people.Born", "landing/people.died"]
    landing = built.resolve_assets_def(["landing", "people"]).get_asset_spec(dg.AssetKey(["landing", "people"]))
    assert [column.name for column in landing.metadata["dagster/column_schema"].columns] == ["id", "Born", "died"]


def test_every_column_that_a_bundled_asset_comes_from_is_a_declared_one() -> None:
    schemas = {f"core/{name}": source.schema for name, source in load().sources.items()}
    for mart in ("carrier_delays_by_day", "delays_against_weather"):
        places = [place for deps in lineage(defs, "marts", mart).values() for place in deps]
        assert places
        for place in places:
            table, _, column = place.partition(".")
            assert column in schemas[table].names


def test_lineage_written_by_hand_names_columns_as_references_do() -> None:
    (dep,) = from_columns({"x": "core.flights.dep_delay"}).deps_by_column["x"]
    assert (dep.asset_key, dep.column_name) == (dg.AssetKey(["core", "flights"]), "dep_delay")
    (dep,) = from_columns({"x": ["public.days.day"]}).deps_by_column["x"]
    assert (dep.asset_key, dep.column_name) == (dg.AssetKey("days"), "day")


def test_lineage_of_what_is_no_column_is_refused_with_the_form_of_one() -> None:
    with pytest.raises(DeclarationError, match=r"has 'days.day'. Write schema.table.column"):
        from_columns({"x": "days.day"})
