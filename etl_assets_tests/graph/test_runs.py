"""A source in Dagster: landing, core, quarantine, their checks, and what a failed run leaves."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from dagster._serdes import serialize_value

from etl_assets import Column, Csv, FileExtractor, Monthly, Schema, Transformer
from etl_assets.errors import DeclarationError
from etl_assets.graph.build import definitions
from etl_assets.graph.runs import retries
from etl_assets_tests.graph.conftest import error_of, materialized, metadata_of

if TYPE_CHECKING:
    import pandas as pd

    from etl_assets import Source
    from etl_assets_tests.graph.conftest import Bench

_GOOD = ("1,Ada,36", "2,Alan,41")
_BAD = "x,Secret Name,200"


def test_a_run_takes_a_source_from_the_publisher_to_the_table(bench: Bench) -> None:
    result = bench.run(bench.people(*_GOOD))
    assert result.success
    assert materialized(result) == ["landing/people", "core/people", "quarantine/people"]
    assert bench.query("SELECT id, name, age FROM core.people ORDER BY id") == [(1, "Ada", 36), (2, "Alan", 41)]


def test_force_reloads_a_complete_delivery(bench: Bench) -> None:
    source = bench.people(*_GOOD)
    bench.run(source)
    bench.query("UPDATE core.people SET name = 'changed by hand', _row_hash = 0 WHERE id = 1")
    assert metadata_of(bench.run(source, force=True), "core", "people")["status"] == "loaded"
    assert bench.query("SELECT name FROM core.people WHERE id = 1") == [("Ada",)]
    assert bench.query("SELECT generation FROM etl.delivery") == [(2,)]


def test_a_run_enters_its_status_counts_and_seconds_in_the_history(bench: Bench) -> None:
    result = bench.run(bench.people(*_GOOD, _BAD, max_rejected=0.5))
    assert bench.query(
        "SELECT run_id, source, partition, status, read, rejected, inserted, ended_at IS NULL, error FROM etl.run"
    ) == [(result.run_id, "people", "", "succeeded", 3, 1, 2, False, None)]
    spent = bench.query("SELECT seconds FROM etl.run")[0][0]
    assert {"read", "prepare", "database", "wait"} <= spent.keys()


def test_the_quarantine_shows_the_waiting_records(bench: Bench) -> None:
    metadata = metadata_of(bench.run(bench.people(*_GOOD, _BAD, max_rejected=0.5)), "quarantine", "people")
    assert (metadata["open"], metadata["parked"]) == (1, 0)
    assert {(row.data["rule"], row.data["records"]) for row in metadata["reasons"].records} == {
        ("id__type", 1),
        ("age__maximum", 1),
    }


def test_the_quarantine_of_a_clean_run_is_materialized_too(bench: Bench) -> None:
    metadata = metadata_of(bench.run(bench.people(*_GOOD)), "quarantine", "people")
    assert (metadata["open"], metadata["parked"]) == (0, 0)


def test_a_missing_column_fails_the_check_shape_and_nothing_is_written(bench: Bench) -> None:
    result = bench.run(bench.people("Ada,36", header="name,age"))
    assert not result.success
    assert "lacks required columns: id" in error_of(result)
    shape = bench.checks(result)["shape"]
    assert not shape.passed
    assert "lacks required columns: id" in (shape.description or "")
    assert materialized(result) == []
    assert bench.query("SELECT to_regclass('core.people')") == [(None,)]
    assert bench.query("SELECT status, error_class FROM etl.run") == [("failed", "ShapeError")]


def test_an_unmapped_column_is_shown_and_logged(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    result = bench.run(bench.people("1,Ada,36,blue", header="id,name,age,colour"))
    assert result.success
    assert metadata_of(result, "landing", "people")["unmapped columns"] == "'colour'"
    assert "'colour' was added" in capfd.readouterr().err


def test_a_refused_delivery_is_not_materialized_and_its_checks_show_why(bench: Bench) -> None:
    result = bench.run(bench.people(*_GOOD, _BAD))
    assert not result.success
    assert "max_rejected=0.0 consents to 0" in error_of(result)
    assert materialized(result) == ["landing/people"]
    assert bench.instance.get_latest_materialization_event(dg.AssetKey(["core", "people"])) is None
    found = bench.checks(result)
    assert not found["rejected_share"].passed
    assert found["rejected_share"].severity == dg.AssetCheckSeverity.ERROR
    assert {name for name, check in found.items() if not check.passed} == {
        "rejected_share",
        "values__id",
        "values__age",
    }
    assert bench.query("SELECT count(*) FROM core.people") == [(0,)]
    assert bench.query("SELECT status, error_class FROM etl.run") == [("failed", "TooManyRejectedError")]
    assert not _stored(bench, "Secret Name")


def test_a_refused_delivery_is_loaded_once_consent_is_given(bench: Bench) -> None:
    bench.run(bench.people(*_GOOD, _BAD))
    result = bench.run(bench.declare(max_rejected=0.5))
    assert result.success
    assert bench.query("SELECT count(*) FROM core.people") == [(2,)]


def test_check_results_belong_to_their_partition(bench: Bench) -> None:
    source = _monthly(bench)
    (bench.folder / "2024-01.csv").write_text("id,name,age\n1,Ada,36\n")
    (bench.folder / "2024-02.csv").write_text("id,name,age\n2,Alan,41\nx,Secret,200\n")
    good, bad = bench.run(source, "2024-01-01"), bench.run(source, "2024-02-01")
    assert good.success
    assert not bad.success
    assert bench.checks(good)["rejected_share"].partition == "2024-01-01"
    assert bench.checks(bad)["rejected_share"].partition == "2024-02-01"
    assert bench.instance.get_materialized_partitions(dg.AssetKey(["core", "people"])) == {"2024-01-01"}
    assert bench.query("SELECT partition, status FROM etl.run ORDER BY 1") == [
        ("2024-01-01", "succeeded"),
        ("2024-02-01", "failed"),
    ]


def test_a_rejected_record_deleted_by_hand_fails_the_check_conservation(bench: Bench) -> None:
    source = bench.people(*_GOOD, "x,Bad,1", max_rejected=1.0)
    bench.run(source)
    bench.query("DELETE FROM etl.rejected")
    everything = {"ops": {"landing__people": {"config": {"full": True}}}}
    result = bench.run_job(definitions({"people": source}), "people", config=everything)
    assert not result.success
    assert not bench.checks(result)["conservation"].passed
    assert "has 0 records in the quarantine, and 1 rejected according to the ledger" in error_of(result)
    assert bench.query("SELECT status, error_class FROM etl.run ORDER BY id DESC LIMIT 1") == [("failed", "LoadError")]


def test_core_without_a_landing_fails_with_what_to_do(bench: Bench) -> None:
    built = definitions({"people": bench.people(*_GOOD)})
    job = built.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=bench.instance, asset_selection=[dg.AssetKey(["core", "people"])], raise_on_error=False
    )
    assert "Materialize landing/people first" in error_of(result)


def test_a_run_of_the_landing_alone_enters_its_end(bench: Bench) -> None:
    built = definitions({"people": bench.people(*_GOOD)})
    job = built.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(instance=bench.instance, asset_selection=[dg.AssetKey(["landing", "people"])])
    assert result.success
    assert bench.query("SELECT status, delivery_id FROM etl.run") == [("succeeded", 1)]


def test_a_run_waits_for_another_that_has_locked_its_partition(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_WAIT", 0.5)
    source = bench.people(*_GOOD)
    lock = ExitStack()
    lock.enter_context(bench.locked("people"))
    retry = retries._retry

    def unlock_and_retry(error: Exception, tries: int) -> dg.RetryRequested:
        lock.close()
        return retry(error, tries)

    monkeypatch.setattr(retries, "_retry", unlock_and_retry)
    result = bench.run(source)
    assert result.success
    retried = [event for event in result.all_events if event.is_step_up_for_retry]
    assert retried
    assert "Another run is loading people" in retried[0].step_retry_data.error.to_string()
    assert bench.query("SELECT status, error FROM etl.run") == [("succeeded", None)]


def test_a_database_error_leaves_no_record_contents_in_history_and_events(bench: Bench) -> None:
    assert bench.run(bench.people("1,Ada,36")).success
    bench.query(
        "CREATE FUNCTION core.refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'not %%', NEW.name USING DETAIL = NEW.name, HINT = NEW.name; END $$"
    )
    bench.query("CREATE TRIGGER refuse BEFORE INSERT ON core.people FOR EACH ROW EXECUTE FUNCTION core.refuse()")
    result = bench.run(bench.people("1,Ada,36", "2,Ignatius,40"))
    assert not result.success
    ((error,),) = bench.query("SELECT error FROM etl.run WHERE status = 'failed'")
    assert "The server's log has the statement" in error
    records = bench.instance.get_records_for_run(result.run_id).records
    stored = [serialize_value(record.event_log_entry) for record in records]
    assert any("RaiseException (P0001)" in event for event in stored)
    assert not [text for text in (error, *stored) if "Ignatius" in text]


def test_an_error_in_a_sources_own_python_leaves_no_record_contents_in_the_history(bench: Bench) -> None:
    result = bench.run(bench.people(*_GOOD, transformer=_Stumbling()))
    assert not result.success
    ((status, name, text),) = bench.query("SELECT status, error_class, error FROM etl.run")
    assert (status, name) == ("failed", "TransformError")
    assert "raised ValueError in batch 1, at test_runs.py:" in text
    assert "Ada" not in text


def test_without_a_database_the_run_says_what_to_do(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    source = bench.people(*_GOOD)
    monkeypatch.delenv("ETL_ASSETS_DATABASE_URL")
    assert "Start Dagster with `etl-assets dev`" in error_of(bench.run(source))


def test_an_old_database_is_refused_with_the_command_that_migrates_it(
    bench: Bench, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = bench.people(*_GOOD)
    monkeypatch.setenv("ETL_ASSETS_DATABASE_URL", postgres_url)
    assert "Run: etl-assets migrate" in error_of(bench.run(source))


def test_an_input_is_validated_but_not_stored(bench: Bench) -> None:
    schema = Schema(
        columns=(Column("id", "integer", required=True), Column("adult", "boolean", required=True, derived=True)),
        key=("id",),
        ignored=("name",),
        inputs=(Column("age", "integer", required=True, maximum=150),),
    )
    source = bench.people(*_GOOD, "3,Methuselah,969", schema=schema, transformer=_OfAge(), max_rejected=0.5)
    result = bench.run(source)
    assert bench.query("SELECT id, adult FROM core.people ORDER BY id") == [(1, True), (2, True)]
    assert not bench.checks(result)["values__age"].passed
    columns = bench.query("SELECT column_name FROM information_schema.columns WHERE table_name = 'people'")
    assert ("age",) not in columns


def test_inputs_without_a_transformer_are_refused(bench: Bench) -> None:
    schema = Schema(columns=(Column("id", "integer", required=True),), key=("id",), inputs=(Column("age", "integer"),))
    with pytest.raises(DeclarationError, match="transformer is missing"):
        bench.declare(schema=schema)


@pytest.mark.parametrize(
    "wrong",
    [
        Column("age", "integer", derived=True),
        Column("age", "integer", unique=True),
        Column("age", "integer", references="core.ages.age"),
        Column("id", "integer", published_as="age"),
        Column("age", "integer", published_as="id"),
    ],
)
def test_an_input_with_a_rule_over_the_table_or_a_name_used_twice_is_refused(bench: Bench, wrong: Column) -> None:
    schema = Schema(columns=(Column("id", "integer", required=True),), key=("id",), inputs=(wrong,))
    with pytest.raises(DeclarationError):
        bench.declare(schema=schema, transformer=_OfAge())


@dataclass(frozen=True)
class _Stumbling(Transformer):
    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        raise ValueError(f"cannot make sense of {frame['name'].tolist()}")


@dataclass(frozen=True)
class _OfAge(Transformer):
    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(adult=frame["age"] >= 18).drop(columns="age")


def _monthly(bench: Bench) -> Source:
    return bench.declare(
        extractor=FileExtractor(location=str(bench.folder / "{start:%Y-%m}.csv"), format=Csv(), settle_seconds=0),
        partitions=Monthly(start=date(2024, 1, 1)),
    )


def _stored(bench: Bench, text: str) -> bool:
    """Return whether a text is anywhere in Dagster's event logs or in the history."""
    events = [bench.instance.all_logs(result.run_id) for result in bench.results]
    history = bench.query("SELECT r::text FROM etl.run r UNION ALL SELECT c::text FROM etl.check_result c")
    return text in repr(events) or text in repr(history)


def test_a_relaunch_can_name_the_batches_to_reload(bench: Bench) -> None:
    source = bench.people(*_GOOD)
    bench.run(source)
    built = definitions({source.name: source})
    (number,) = bench.query("SELECT number FROM etl.batch")[0]
    reload = bench.run_job(built, "people", config={"ops": {"core__people": {"config": {"batches": [number]}}}})
    assert reload.success
    assert metadata_of(reload, "core", "people")["status"] == "loaded"
    wrong = bench.run_job(built, "people", config={"ops": {"core__people": {"config": {"batches": [99]}}}})
    assert "has no batch 99" in error_of(wrong)
