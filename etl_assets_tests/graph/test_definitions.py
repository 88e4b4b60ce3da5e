"""Dagster loads the definitions quickly, without a database, and reports a wrong declaration with its own error."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from etl_assets import Column, Cron, OnChange, References, Schema, Static
from etl_assets.graph.build import definitions
from etl_assets.graph.jobs import source_job
from etl_assets.graph.triggers.lineage import parents

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets import Source
    from etl_assets_tests.graph.conftest import Bench


def _python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ETL_ASSETS_", "DAGSTER_"))}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def _folder(tmp_path: Path, **files: str) -> Path:
    for name, content in files.items():
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(content))
    return tmp_path


_ANOTHER = """
    from etl_assets import Column, Csv, FileExtractor, Schema, Source
    SOURCE = Source(
        name="another", description="Another.", owner="{owner}",
        extractor=FileExtractor(location="another.csv", format=Csv()),
        schema=Schema(columns=(Column("id", "integer", required=True),), key=("id",)),
    )
"""


def test_definitions_load_without_a_database_and_without_slow_imports(tmp_path: Path) -> None:
    process = _python(
        """
        import socket, sys
        def refuse(*_): raise AssertionError("a connection was opened")
        socket.socket.connect = refuse
        from etl_assets.definitions import defs
        names = {key.to_user_string() for key in defs.resolve_all_asset_keys()}
        assert {"core/flights", "landing/fx_rates", "quarantine/airlines", "marts/carrier_delays_by_day"} <= names
        slow = {"great_expectations", "dlt", "alembic", "sqlalchemy.dialects.postgresql"} & set(sys.modules)
        print(sorted(slow & {"great_expectations", "dlt"}))
        """,
        ETL_ASSETS_HOME=str(tmp_path),
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []


def test_sources_and_assets_of_other_folders_are_loaded_beside_the_bundled_ones(tmp_path: Path) -> None:
    mine = """
        import dagster as dg
        @dg.asset
        def by_hand() -> None: ...
        @dg.asset_check(asset=by_hand)
        def is_well() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=True)
    """
    process = _python(
        """
        from etl_assets.definitions import defs
        graph = defs.resolve_asset_graph()
        print(sorted(key.to_user_string() for key in graph.get_all_asset_keys()
                     if key.path[-1] in {"another", "by_hand"}))
        print([key.name for key in graph.asset_check_keys if key.name == "is_well"])
        """,
        ETL_ASSETS_SOURCES=str(_folder(tmp_path, another=_ANOTHER.format(owner="team:x"), mine=mine)),
    )
    assert process.returncode == 0, process.stderr
    first, second = process.stdout.splitlines()
    assert first == "['by_hand', 'core/another', 'landing/another', 'quarantine/another']"
    assert second == "['is_well']"


def test_sensors_and_other_sources_are_there_although_every_own_file_is_broken(tmp_path: Path) -> None:
    folder = _folder(
        tmp_path, another=_ANOTHER.format(owner="nobody"), syntax="SOURCE = Source(", end="raise SystemExit"
    )
    process = _python(
        """
        from etl_assets.definitions import LOCATION, defs
        repository = defs.get_repository_def()
        sensors = {"alerts", "watch_runs", "release_parked", "automation", "declarations"}
        assert sensors <= {sensor.name for sensor in repository.sensor_defs}
        assert "core/flights" in {key.to_user_string() for key in repository.assets_defs_by_key}
        for name, file in sorted(LOCATION.broken.items()):
            print(name, file.problem)
        """,
        ETL_ASSETS_SOURCES=str(folder),
    )
    assert process.returncode == 0, process.stderr
    another, end, syntax = process.stdout.splitlines()
    assert "DeclarationError: source 'another': owner 'nobody' is not valid. Write an e-mail address" in another
    assert end.startswith("end Line 1: SystemExit")
    assert syntax == "syntax Line 1: SyntaxError: '(' was never closed."


def _asset(built: dg.Definitions, *key: str) -> dg.AssetSpec:
    return built.resolve_assets_def(list(key)).get_asset_spec(dg.AssetKey(list(key)))


def test_the_assets_of_a_source_have_owner_group_tags_rules_and_columns(bench: Bench) -> None:
    source = bench.declare(group="domain", tags={"domain": "people"}, freshness=timedelta(days=2))
    built = definitions({"people": source})
    core = _asset(built, "core", "people")
    assert core.owners == ["team:people"]
    assert core.group_name == "domain"
    assert _asset(definitions({"people": bench.declare()}), "core", "people").group_name == "sources"
    assert core.tags["domain"] == "people"
    assert core.kinds == {"postgres", "csv"}
    assert core.freshness_policy is not None
    assert "| `age__maximum` | age is at most 150 |" in (core.description or "")
    assert core.metadata["dagster/table_name"] == "core.people"
    assert core.tags["etl_assets/source"] == "people"
    (links, *_) = (core.description or "").splitlines()
    assert "[Data Docs](http://127.0.0.1:3000/data_docs/people/index.html)" in links
    columns = core.metadata["dagster/column_schema"].columns
    assert [(column.name, column.type, column.constraints.nullable) for column in columns] == [
        ("id", "bigint", False),
        ("name", "text", False),
        ("age", "bigint", True),
    ]
    assert {dep.asset_key.to_user_string() for dep in core.deps} == {"landing/people"}
    assert {dep.asset_key.to_user_string() for dep in _asset(built, "quarantine", "people").deps} == {"core/people"}
    assert built.resolve_assets_def(["core", "people"]).op.pool == "people"


def test_every_asset_and_every_check_of_a_source_has_the_partitions_of_the_source(bench: Bench) -> None:
    built = definitions({"people": bench.declare(partitions=Static(names=("a", "b")))})
    assets = [built.resolve_assets_def([layer, "people"]) for layer in ("landing", "core", "quarantine")]
    assert {asset.partitions_def for asset in assets} == {dg.StaticPartitionsDefinition(["a", "b"])}
    specs = [spec for asset in assets for spec in asset.check_specs]
    assert {spec.partitions_def for spec in specs} == {dg.StaticPartitionsDefinition(["a", "b"])}
    assert source_job(built, "people").partitions_def == dg.StaticPartitionsDefinition(["a", "b"])


def test_blocking_checks_are_those_that_must_stop_a_run(bench: Bench) -> None:
    built = definitions({"people": bench.declare()})
    specs = [s for layer in ("landing", "core") for s in built.resolve_assets_def([layer, "people"]).check_specs]
    assert {spec.name for spec in specs if spec.blocking} == {"shape", "rejected_share", "conservation"}


def _referring(bench: Bench, name: str, *tables: str) -> Source:
    columns = (
        Column("id", "integer", required=True),
        *(Column(f"to_{index}", "integer", references=References(table)) for index, table in enumerate(tables)),
    )
    return bench.declare(name=name, schema=Schema(columns=columns, key=("id",)))


def test_a_table_depends_on_the_tables_that_it_refers_to(bench: Bench) -> None:
    sources = {
        "a": _referring(bench, "a", "core.b.id", "core.a.id", "elsewhere.c.id"),
        "b": _referring(bench, "b"),
    }
    assert parents(sources) == {"a": ("b",), "b": ()}
    deps = _asset(definitions(sources), "core", "a").deps
    assert {dep.asset_key.to_user_string() for dep in deps} == {"landing/a", "core/b"}


@pytest.mark.parametrize("length", [2, 3])
def test_tables_that_refer_to_each_other_in_a_cycle_can_be_loaded(bench: Bench, length: int) -> None:
    names = "abc"[:length]
    sources = {
        name: _referring(bench, name, f"core.{names[(place + 1) % length]}.id") for place, name in enumerate(names)
    }
    definitions(sources).resolve_asset_graph()
    assert sum(len(above) for above in parents(sources).values()) == length - 1


def test_a_table_by_month_may_refer_to_a_table_by_day(bench: Bench) -> None:
    from datetime import date

    from etl_assets import Csv, Daily, FileExtractor, Monthly

    def partitioned(name: str, partitions: Daily | Monthly, *tables: str) -> Source:
        extractor = FileExtractor(location=str(bench.folder / f"{name}.csv"), format=Csv(), settle_seconds=0)
        schema = _referring(bench, name, *tables).schema
        return bench.declare(name=name, extractor=extractor, partitions=partitions, schema=schema)

    (bench.folder / "days.csv").write_text("id\n1\n")
    (bench.folder / "months.csv").write_text("id,to_0\n7,1\n")
    built = definitions(
        {
            "days": partitioned("days", Daily(start=date(2024, 3, 5))),
            "months": partitioned("months", Monthly(start=date(2020, 1, 1)), "core.days.id"),
        }
    )
    assert bench.run_job(built, "days", "2024-03-05").success
    assert bench.run_job(built, "months", "2020-01-01").success


def test_a_source_adds_no_job_whatever_its_trigger(bench: Bench) -> None:
    triggers = {"clock": Cron("0 5 * * *"), "change": OnChange(every=timedelta(minutes=5)), "hand": None}
    sources = {name: bench.declare(name=name, trigger=trigger) for name, trigger in triggers.items()}
    jobs = definitions({}).get_repository_def().job_names
    assert sorted({*jobs, "__ASSET_JOB"}) == sorted(definitions(sources).get_repository_def().job_names)
