"""No statement of a run reads the whole table: what a run costs does not depend on the size of its table."""

from __future__ import annotations

import subprocess
import sys
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from etl_assets import Column, Csv, Expectation, FileExtractor, Schema, Static
from etl_assets.audit import scope
from etl_assets.model.expectation_types import ROWS
from etl_assets_tests.graph.conftest import metadata_of

if TYPE_CHECKING:
    import pytest

    from etl_assets import Source
    from etl_assets_tests.graph.conftest import Bench

FILLED = 60_000
A_RANGE = 32 * 160
"""More rows than fit into one range of the index of deliveries, whose last one is read again."""
EXPECTATIONS = (
    Expectation("expect_column_values_to_be_between", name="young", column="age", max_value=150),
    Expectation("expect_column_values_to_be_unique", name="unique", column="id"),
    Expectation("expect_table_row_count_to_be_between", name="many", min_value=1),
    Expectation("expect_column_mean_to_be_between", name="mean", column="age", max_value=50),
    Expectation("expect_column_value_lengths_to_be_between", name="length", column="name", min_value=1),
    Expectation(ROWS, name="rows", unexpected_rows_query="SELECT id FROM {batch} WHERE age < 0"),
)
NAMES = tuple(expectation.name for expectation in EXPECTATIONS)
OLD = Schema((Column("id", "integer", required=True), Column("name", "text"), Column("age", "integer")), key=("id",))
UNIQUE_NAME = Expectation("expect_column_values_to_be_unique", name="unique", column="name")
LIBRARY = Expectation("expect_column_values_to_not_match_regex_list", name="library", column="name", regex_list=["0"])


def fill(bench: Bench) -> None:
    """Add many rows to the table, as if its first batch had brought them."""
    bench.query(
        f"UPDATE etl.batch SET inserted = inserted + {FILLED}, produced = produced + {FILLED} "
        "WHERE id = (SELECT min(id) FROM etl.batch)"
    )
    bench.query(
        "INSERT INTO core.people (id, name, age, _delivery_id, _record_no, _row_hash) SELECT n, 'Old', 30, "
        f"(SELECT min(id) FROM etl.delivery), 1, n FROM generate_series(1000, 999 + {FILLED}) n"
    )
    bench.query("VACUUM ANALYZE core.people")  # also covers the new rows by the index of deliveries


def read(bench: Bench) -> int:
    """Return how many rows of the table were read in sequence; sessions count theirs when they end."""
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    deadline = monotonic() + 10
    while bench.query(others) != [(0,)] and monotonic() < deadline:
        sleep(0.05)
    ((number,),) = bench.query("SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'people'")
    return int(number)


def people(bench: Bench, *lines: str, **changes: Any) -> Source:
    return bench.people(*lines, **{"expectations": EXPECTATIONS, **changes})


def test_no_statement_of_a_run_reads_the_whole_table(bench: Bench) -> None:
    bench.run(people(bench, "1,Ann,30", "2,Bo,41"))
    fill(bench)
    before = read(bench)
    result = bench.run(people(bench, "1,Ann,31", "2,Bo,41", "3,Cy,50"))
    assert result.success
    assert read(bench) <= before + A_RANGE
    assert metadata_of(result, "core", "people")["dagster/row_count"] == FILLED + 3


def test_a_run_of_a_partition_reads_only_the_rows_of_the_partition(bench: Bench) -> None:
    for key, lines in (("a", "1,Ann,30\n2,Bo,41\n"), ("b", "3,Cy,200\n")):
        (bench.folder / f"{key}.csv").write_text(f"id,name,age\n{lines}")
    source = bench.declare(
        expectations=(*EXPECTATIONS, LIBRARY),
        partitions=Static(("a", "b")),
        max_rejected=1.0,
        extractor=FileExtractor(location=str(bench.folder / "{key}.csv"), format=Csv(), settle_seconds=0),
        schema=OLD,
    )
    bench.run(source, "a")
    fill(bench)
    before = read(bench)
    result = bench.run(source, "b")
    assert result.success
    assert read(bench) <= before + A_RANGE
    found = {name: check.passed for name, check in bench.checks(result).items() if name in NAMES}
    assert found == {**dict.fromkeys(NAMES, True), "young": False, "mean": False}
    rows = bench.query("SELECT records FROM etl.check_result WHERE name = 'young' ORDER BY id DESC LIMIT 1")
    assert rows == [(1,)]


def test_a_table_that_is_much_larger_than_a_delivery_gets_a_tree_of_deliveries(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees = (
        "SELECT count(*) FROM pg_indexes WHERE tablename = 'people' AND indexdef LIKE '%btree (_delivery_id)%'"
    ).replace("%", "%%")
    bench.run(people(bench, "1,Ann,30", "2,Bo,41"))
    fill(bench)
    bench.run(people(bench, "1,Ann,31"))
    assert bench.query(trees) == [(0,)]
    monkeypatch.setattr(scope, "_MANY_ROWS", FILLED // 2)
    bench.run(people(bench, "1,Ann,32", expectations=()))
    assert bench.query(trees) == [(0,)]
    for age in (33, 34):
        assert bench.run(people(bench, f"1,Ann,{age}")).success
        assert bench.query(trees) == [(1,)]


def test_a_run_says_what_it_leaves_to_the_audit(bench: Bench) -> None:
    bench.run(people(bench, "1,Ann,30", schema=OLD))
    fill(bench)
    result = bench.run(people(bench, "1,Ann,200", "2,Bo,200", schema=OLD))
    mean, young = bench.checks(result)["mean"], bench.checks(result)["young"]
    assert (mean.passed, young.passed) == (True, False)
    assert young.description == "2 of 2 rows do not meet it."
    assert mean.description == (
        "It is about all rows of core.people, of which the run reads only those that it wrote. The audit checks it."
    )


def test_a_blocking_expectation_about_all_rows_is_not_left_to_the_audit(bench: Bench) -> None:
    mean = Expectation("expect_column_mean_to_be_between", name="mean", column="age", max_value=50, blocking=True)
    bench.run(people(bench, "1,Ann,30", schema=OLD))
    fill(bench)
    bench.query("UPDATE core.people SET age = 199")
    result = bench.run(people(bench, "1,Ann,200", "2,Bo,200", schema=OLD, expectations=(mean,)))
    assert not result.success
    assert not bench.checks(result)["mean"].passed


def test_the_rows_of_the_whole_table_are_read_while_they_are_few(bench: Bench) -> None:
    bench.run(people(bench, "1,Ann,70", "2,Bo,90"))
    check = bench.checks(bench.run(people(bench, "1,Ann,70", "2,Bo,90", "3,Cy,10")))["mean"]
    assert not check.passed
    assert "56.66" in (check.description or "")


def test_repeated_values_are_found_against_the_whole_table_by_an_index(bench: Bench) -> None:
    bench.run(people(bench, "1,Ann,30", expectations=(UNIQUE_NAME,)))
    fill(bench)
    bench.query("CREATE INDEX ON core.people (name)")
    bench.query("UPDATE core.people SET name = 'Old' || id WHERE id > 1000")
    bench.query("VACUUM FULL core.people")
    bench.query("VACUUM ANALYZE core.people")
    before = read(bench)
    result = bench.run(people(bench, "1,Ann,31", "2,Old,41", "3,Cy,50", expectations=(UNIQUE_NAME,)))
    assert bench.checks(result)["unique"].description == "1 of 3 rows do not meet it."
    assert read(bench) <= before + A_RANGE


def test_a_run_imports_great_expectations_only_where_an_expectation_needs_it(bench: Bench) -> None:
    code = (
        "import sys, etl_assets_tests.graph.test_growth as t; from etl_assets.audit.evaluation import evaluate; "
        "from etl_assets.audit.scope import Scope; "
        "scope = Scope('core.people', 'core.people', marked=False); "
        "asked = [each for each in t.EXPECTATIONS if each.name != 'mean']; "
        "asked += [t.LIBRARY] * len(sys.argv[2:]); print(len(evaluate(sys.argv[1], t.OLD, scope, asked))); "
        "print('great_expectations' in sys.modules)"
    )
    bench.run(people(bench, "1,Ann,30", expectations=()))

    def printed(*more: str) -> list[str]:
        arguments = [sys.executable, "-c", code, bench.url, *more]
        return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.split()

    assert printed() == ["5", "False"]
    assert printed("with the library") == ["6", "True"]
