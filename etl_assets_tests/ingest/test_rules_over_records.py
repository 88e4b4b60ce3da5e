"""Rules over whole records in the complete ingest: validation, quarantine, correction, lookups, audit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from polars import col
from psycopg import sql

from etl_assets import ForeignKey, Rule, Transformer, UniqueTogether, ingest
from etl_assets.audit.examination import audit_table
from etl_assets.errors import LoadError, RuleError
from etl_assets.model.rule import KEY_UNIQUE
from etl_assets.postgres.connection import connected
from etl_assets.schema import Column, Schema
from etl_assets_tests.ingest.world import GOODS

if TYPE_CHECKING:
    import pandas as pd

    from etl_assets_tests.ingest.world import World

CHEAP = Rule("costs_more_than_its_length", col("amount") > col("note").str.len_chars(), "amount is above its length")


def not_nine(frame: pd.DataFrame) -> pd.Series[Any]:
    return frame["amount"] != 9


def declared(*rules: Any, columns: tuple[Column, ...] = GOODS.columns, **more: Any) -> Schema:
    return Schema(columns, key=("code",), rules=rules, **more)


def waiting(world: World) -> dict[int, list[str]]:
    return {record.record_no: record.rules for record in world.waiting()}


def test_a_record_that_breaks_an_expression_waits_and_can_be_corrected(world: World) -> None:
    world.schema = declared(CHEAP)
    report = world.take("apple,9,round", "plum,2,blue", "fig,,sweet", "kiwi,x,green")
    assert waiting(world) == {2: [CHEAP.name], 4: ["amount__type"]}
    assert report.rules == {CHEAP.name: 1, "amount__type": 1}
    plum = next(record for record in world.waiting() if record.record_no == 2)
    world.correct(plum, amount="5")
    assert world.replay(plum.id).replayed == 1
    assert [row[0] for row in world.rows()] == ["apple", "fig", "plum"]
    assert world.violations() == []


def test_a_function_validates_what_no_expression_can(world: World) -> None:
    world.schema = declared(Rule("not_nine", not_nine, "amount is not nine", columns=("amount",)))
    world.take("apple,9,", "plum,2,", "fig,,")
    assert waiting(world) == {1: ["not_nine"]}
    assert [row[0] for row in world.rows()] == ["fig", "plum"]


def test_every_rule_that_a_record_breaks_is_listed_with_the_rules_of_columns_first(world: World) -> None:
    world.schema = declared(Rule("not_nine", not_nine, "amount is not nine", columns=("amount",)), CHEAP)
    world.take("Apple,9,long enough")
    assert waiting(world) == {1: ["code__pattern", "not_nine", CHEAP.name]}


def test_a_function_that_fails_stops_the_batch_and_nothing_of_it_is_written(world: World) -> None:
    world.schema = declared(Rule("fails", lambda frame: frame["nothing"] > 0, "it fails", columns=("amount",)))
    with pytest.raises(RuleError, match=r"The rule 'fails' raised KeyError at test_rules_over_records.py"):
        world.take("apple,9,")
    assert world.query("SELECT count(*) FROM core.goods") == [(0,)]


@dataclass(frozen=True)
class Halved(Transformer):
    """Leaves out records without a note; computes ``half`` from ``amount`` and the input ``of``."""

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        kept = frame[frame["note"].notna()]
        return kept.assign(half=kept["amount"] // kept["of"]).drop(columns="of")


def test_a_rule_is_validated_where_its_columns_exist(world: World) -> None:
    columns = (*GOODS.columns, Column("half", "integer", derived=True))
    world.more["transformer"] = Halved()
    world.schema = declared(
        Rule("of_is_small", col("of") < col("amount"), "of is less than amount"),
        Rule("half_is_small", col("half") < 5, "half is below 5"),
        columns=columns,
        inputs=(Column("of", "integer"),),
    )
    world.take("apple,4,a,2", "plum,40,a,2", "fig,1,a,2", "kiwi,40,,2", header="code,amount,note,of")
    assert waiting(world) == {2: ["half_is_small"], 3: ["of_is_small"]}
    assert world.rows() == [("apple", 4, "a", 2)]


def test_rows_may_share_a_value_but_not_all_values_of_a_group(world: World) -> None:
    world.schema = declared(UniqueTogether("amount", "note"))
    report = world.take("apple,1,x", "plum,1,y", "fig,2,x", "kiwi,1,x", "lime,,x", "pear,,x")
    assert report.rules == {"amount__note__unique": 1}
    assert waiting(world) == {4: ["amount__note__unique"]}
    world.take("apple,1,x", "melon,2,x")
    assert [record.rules for record in world.waiting()][-1] == ["amount__note__unique"]
    index = "SELECT indexdef FROM pg_indexes WHERE tablename = 'goods' AND indexdef LIKE '%(amount, note)%'"
    assert len(world.query(index)) == 1
    assert world.violations() == []


def test_each_group_has_an_index_even_if_the_joined_names_are_equal(world: World) -> None:
    columns = tuple(Column(name, "text") for name in ("a_b", "c", "a", "b_c", "a_very_long_name_of_a_column_indeed"))
    columns = (Column("code", "text", required=True), *columns, Column("a_very_long_name_of_a_column_too", "text"))
    groups = (
        UniqueTogether("a_b", "c"),
        UniqueTogether("a", "b_c"),
        UniqueTogether("a_very_long_name_of_a_column_indeed", "a"),
        UniqueTogether("a_very_long_name_of_a_column_too", "a"),
    )
    world.schema = declared(*groups, columns=columns)
    for _ in range(2):
        world.take("x,1,2,3,4,5,6", header=",".join(world.schema.names))
    (number,) = world.query("SELECT count(*) FROM pg_indexes WHERE tablename = 'goods' AND indexname LIKE '%unique'")
    assert number == (len(groups),)


REGIONS = Schema(
    (Column("country", "text", required=True), Column("region", "text", required=True)), key=("country", "region")
)
PLACES = Schema(
    (Column("id", "integer", required=True), Column("country", "text"), Column("region", "text")),
    key=("id",),
    rules=(ForeignKey(("country", "region"), "core.regions"),),
)


@pytest.fixture
def regions(world: World) -> World:
    world = replace(world, name="regions", schema=REGIONS)
    world.take("at,1", "at,2", "be,1", header="country,region")
    return world


def test_several_columns_refer_to_one_row_and_records_wait_until_it_exists(regions: World) -> None:
    places = replace(regions, name="places", schema=PLACES)
    report = places.take("1,at,1", "2,at,9", "3,be,2", "4,,1", "5,at,", header="id,country,region")
    assert report.rules == {"country__region__references": 2}
    assert {record.record_no: record.status for record in places.waiting()} == {2: "parked", 3: "parked"}
    assert [row[0] for row in places.rows()] == [1, 4, 5]
    assert places.source.parents == {"core.regions"}
    assert ingest.releasable_ids(places.source, places.warehouse) == []
    regions.take("at,9", header="country,region")
    (released,) = ingest.releasable_ids(places.source, places.warehouse)
    assert places.replay(released).replayed == 1
    assert [row[0] for row in places.rows()] == [1, 2, 4, 5]
    assert places.violations() == []


def test_rows_refer_to_rows_of_their_own_batch_by_other_names(world: World) -> None:
    columns = (*REGIONS.columns, Column("above", "text"), Column("beside", "text"))
    own = ForeignKey(("above", "beside"), "core.regions", ("country", "region"), missing="reject")
    world = replace(world, name="regions", schema=Schema(columns, key=REGIONS.key, rules=(own,)))
    world.take("at,1,at,2", "at,2,,", "be,1,be,2", header="country,region,above,beside")
    assert waiting(world) == {3: ["above__beside__references"]}
    world.take("be,2,at,1", header="country,region,above,beside")
    assert [row[:2] for row in world.rows()] == [("at", "1"), ("at", "2"), ("be", "2")]


def test_a_record_whose_missing_parent_is_only_reported_is_loaded_and_counted(regions: World) -> None:
    reported = ForeignKey(("country", "region"), "core.regions", missing="report")
    places = replace(regions, name="places", schema=replace(PLACES, rules=(reported,)))
    report = places.take("1,at,9", "2,at,1", header="id,country,region")
    assert (report.rules, report.counts.rejected) == ({"country__region__references": 1}, 0)


def test_an_error_names_columns_that_cannot_be_compared(regions: World) -> None:
    columns = (*PLACES.columns[:2], Column("region", "integer"))
    places = replace(regions, name="places", schema=replace(PLACES, columns=columns))
    with pytest.raises(
        LoadError, match=r"country and region refer to country and region of core.regions, which cannot"
    ):
        places.take("1,at,9", header="id,country,region")


def test_the_audit_checks_every_rule_that_it_can(regions: World) -> None:
    rules = (
        *PLACES.rules,
        UniqueTogether("country", "region"),
        Rule("no_empty_country", col("country") != "", "country has letters"),
        Rule("upper", col("country").str.to_uppercase() != "XX", "country is not xx"),
    )
    places = replace(regions, name="places", schema=replace(PLACES, rules=rules))
    places.take("1,at,1", "2,be,1", header="id,country,region")
    examination = audit_table(places.source, places.url)
    assert examination is not None
    assert examination.disagreements == []
    assert examination.suite.left_out.keys() == {"upper", KEY_UNIQUE}
    assert examination.suite.left_out["upper"] == "Uppercase is not translated into SQL"
    with connected(places.url) as connection:
        for (index,) in places.query("SELECT indexname FROM pg_indexes WHERE indexname LIKE 'places%unique'"):
            connection.execute(sql.SQL("DROP INDEX core.{}").format(sql.Identifier(index)))
        connection.execute("UPDATE core.places SET country = '', region = '7'")
    examination = audit_table(places.source, places.url)
    assert examination is not None
    unmet = {expectation.name for expectation, _ in examination.disagreements}
    assert unmet == {"country__region__references", "country__region__unique", "no_empty_country"}
