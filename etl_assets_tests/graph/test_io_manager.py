"""The IO manager writes any DataFrame to Postgres and reads tables as DataFrames."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from dagster._core.execution.execute_in_process_result import ExecuteInProcessResult

from etl_assets import doctor
from etl_assets.graph.assets.io_manager import PostgresIOManager
from etl_assets.landing import LandingStore, Warehouse
from etl_assets_tests.graph.conftest import Bench, error_of, metadata_of

_DAYS = dg.DailyPartitionsDefinition(start_date="2024-01-01", end_date="2024-01-05")


def _asset(frame: Any, partitions: dg.PartitionsDefinition[str] | None = None, **metadata: Any) -> dg.AssetsDefinition:
    """Return an asset ``marts/things`` that returns a frame; with partitions, the frame of its partition."""

    @dg.asset(key=["marts", "things"], metadata=metadata, partitions_def=partitions)
    def things(context: dg.AssetExecutionContext):  # type: ignore[no-untyped-def] # noqa: ANN202
        return frame[context.partition_key] if partitions else frame

    return things


def _materialize(
    bench: Bench, *assets: dg.AssetsDefinition, partition: str | None = None, only: str | None = None
) -> ExecuteInProcessResult:
    return dg.materialize(
        list(assets),
        instance=bench.instance,
        resources={"io_manager": PostgresIOManager()},
        partition_key=partition,
        selection=only,
        raise_on_error=False,
    )


def _read(bench: Bench, things: dg.AssetsDefinition, **given: Any) -> Any:
    """Return the frame that an asset downstream of ``marts/things`` receives."""
    received: list[Any] = []
    type_ = given.pop("type", pd.DataFrame)
    partition = given.pop("partition", None)
    partitions = given.pop("partitions", None)

    def downstream(things):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
        received.append(things)

    downstream.__annotations__["things"] = type_
    reader = dg.asset(
        ins={"things": dg.AssetIn(key=["marts", "things"], **given)}, name="downstream", partitions_def=partitions
    )(downstream)
    result = _materialize(bench, things, reader, partition=partition, only="downstream")
    assert result.success, error_of(result)
    return received[0]


_EVERYTHING: Mapping[str, Any] = {
    "id": [1, 2],
    "text": ["a", None],
    "empty": ["", 'x,\n"y"'],
    "number": [1.5, None],
    "whole": pd.array([7, None], dtype="Int64"),
    "flag": pd.array([True, None], dtype="boolean"),
    "day": [date(2024, 1, 1), None],
    "moment": [datetime(2024, 1, 1, 12, 30, 0, 123456), None],  # noqa: DTZ001 -- a local time without a zone
    "instant": [datetime(2024, 7, 1, 12, tzinfo=UTC), None],
    "clock": [time(23, 59, 59, 999999), None],
    "money": [Decimal("12.30"), None],
}


def test_a_frame_is_read_back_as_it_was_written(bench: Bench) -> None:
    things = _asset(pd.DataFrame(_EVERYTHING), key=["id"])
    result = _materialize(bench, things)
    assert result.success, error_of(result)
    back = _read(bench, things).sort_values("id").reset_index(drop=True)
    assert list(back.columns) == list(_EVERYTHING)
    assert back["text"].isna().tolist() == [False, True]
    assert back["empty"].tolist() == ["", 'x,\n"y"']
    assert back["number"].iloc[0] == 1.5
    assert back["whole"].dtype == pd.ArrowDtype(pa.int64())
    assert back["whole"].iloc[0] == 7
    assert bool(back["flag"].iloc[0]) is True
    assert back["day"].iloc[0] == date(2024, 1, 1)
    assert back["moment"].iloc[0] == pd.Timestamp("2024-01-01 12:30:00.123456")
    assert back["instant"].iloc[0] == pd.Timestamp("2024-07-01 12:00Z")
    assert back["clock"].iloc[0] == time(23, 59, 59, 999999)
    assert back["money"].iloc[0] == Decimal("12.30")
    assert back.iloc[1].drop(["id", "empty"]).isna().all()


def test_an_input_annotated_as_polars_is_polars(bench: Bench) -> None:
    things = _asset(pl.DataFrame({"id": [1]}), key=["id"])
    _materialize(bench, things)
    back = _read(bench, things, type=pl.DataFrame)
    assert isinstance(back, pl.DataFrame)
    assert back.to_dicts() == [{"id": 1}]


def test_an_input_receives_the_columns_that_it_names(bench: Bench) -> None:
    things = _asset(pd.DataFrame({"id": [1], "a": [2], "b": [3]}), key=["id"])
    _materialize(bench, things)
    assert list(_read(bench, things, metadata={"columns": ["b", "id"]}).columns) == ["b", "id"]


def test_a_single_column_without_values_keeps_its_rows(bench: Bench) -> None:
    things = _asset(pd.DataFrame({"id": [1, 2], "a": ["x", None]}), key=["id"])
    _materialize(bench, things)
    assert len(_read(bench, things, metadata={"columns": ["a"]})) == 2


def test_an_empty_table_is_read_as_an_empty_frame_of_the_same_columns(bench: Bench) -> None:
    things = _asset(pd.DataFrame({"id": pd.array([], dtype="int64"), "a": pd.array([], dtype="float64")}), key=["id"])
    _materialize(bench, things)
    back = _read(bench, things)
    assert (list(back.columns), len(back)) == (["id", "a"], 0)


def test_an_identical_frame_is_recognised_and_not_written_again(bench: Bench) -> None:
    things = _asset(pd.DataFrame({"id": [1, 2]}), key=["id"])
    assert metadata_of(_materialize(bench, things), "marts", "things")["status"] == "loaded"
    again = metadata_of(_materialize(bench, things), "marts", "things")
    assert again["status"] == "unchanged"
    assert bench.query("SELECT source, count(*) FROM etl.delivery GROUP BY 1") == [("marts.things", 1)]


def test_upsert_keeps_rows_that_the_frame_no_longer_has(bench: Bench) -> None:
    _materialize(bench, _asset(pd.DataFrame({"id": [1, 2], "a": [1, 1]}), key=["id"]))
    _materialize(bench, _asset(pd.DataFrame({"id": [2, 3], "a": [2, 2]}), key=["id"]))
    assert bench.query("SELECT id, a FROM marts.things ORDER BY id") == [(1, 1), (2, 2), (3, 2)]


def test_replace_deletes_rows_of_the_partition_that_the_frame_no_longer_has(bench: Bench) -> None:
    frames = {"2024-01-01": pd.DataFrame({"id": [1, 2, 3]}), "2024-01-02": pd.DataFrame({"id": [10]})}
    for day in frames:
        _materialize(bench, _asset(frames, _DAYS, key=["id"], write="replace"), partition=day)
    frames["2024-01-01"] = pd.DataFrame({"id": [2, 4]})
    result = _materialize(bench, _asset(frames, _DAYS, key=["id"], write="replace"), partition="2024-01-01")
    assert bench.query("SELECT id FROM marts.things ORDER BY id") == [(2,), (4,), (10,)]
    counts = {
        row.data["count"]: row.data["written by this run"]
        for row in metadata_of(result, "marts", "things")["counts"].records
    }
    assert (counts["inserted"], counts["unchanged"], counts["deleted"]) == (1, 1, 2)


@pytest.mark.parametrize("write", ["upsert", "replace"])
@pytest.mark.parametrize("first", ["2024-01-01", "2024-01-02"])
def test_a_frame_with_a_key_of_another_partition_is_refused_whichever_comes_first(
    bench: Bench, write: str, first: str
) -> None:
    frames = {day: pd.DataFrame({"id": [1], "day": [day]}) for day in ("2024-01-01", "2024-01-02")}
    (second,) = frames.keys() - {first}
    assert _materialize(bench, _asset(frames, _DAYS, key=["id"], write=write), partition=first).success
    result = _materialize(bench, _asset(frames, _DAYS, key=["id"], write=write), partition=second)
    assert f"partition '{first}' has too. Nothing was written" in error_of(result)
    assert bench.query("SELECT day FROM marts.things") == [(first,)]


def test_replacing_by_an_empty_frame_empties_the_partition(bench: Bench) -> None:
    frame = pd.DataFrame({"id": [1, 2]})
    _materialize(bench, _asset(frame, key=["id"], write="replace"))
    assert _materialize(bench, _asset(frame.head(0), key=["id"], write="replace")).success
    assert bench.query("SELECT count(*) FROM marts.things") == [(0,)]


@pytest.mark.parametrize(("write", "ids"), [("append", [1, 1, 2, 3]), ("replace", [2, 3])])
def test_frames_without_a_key_are_appended_or_replace_those_of_their_partition(
    bench: Bench, write: str, ids: list[int]
) -> None:
    frames = {"2024-01-01": pd.DataFrame({"id": [1, 1]}), "2024-01-02": pd.DataFrame({"id": [2]})}
    for day in frames:
        assert _materialize(bench, _asset(frames, _DAYS, write=write), partition=day).success
    frames["2024-01-01"] = pd.DataFrame({"id": [3]})
    things = _asset(frames, _DAYS, write=write)
    assert _materialize(bench, things, partition="2024-01-01").success
    assert sorted(_read(bench, things)["id"]) == ids
    assert list(_read(bench, things, partitions=_DAYS, partition="2024-01-02")["id"]) == [2]


def test_appended_frames_with_a_key_keep_the_first_row_of_each(bench: Bench) -> None:
    for value in ("a", "b"):
        frame = pd.DataFrame({"id": [1, ord(value)], "value": [value, value]})
        assert _materialize(bench, _asset(frame, key=["id"], write="append")).success
    assert bench.query("SELECT id, value FROM marts.things ORDER BY id") == [(1, "a"), (97, "a"), (98, "b")]


@pytest.mark.parametrize("keyed", [True, False])
def test_a_frame_may_be_cut_into_child_tables_that_are_dropped_when_they_are_old(bench: Bench, *, keyed: bool) -> None:
    today = datetime.now(UTC).date()
    frame = pd.DataFrame({"day": pd.to_datetime([today - timedelta(days=9), today]), "amount": [1, 2]})
    by: dict[str, Any] = {"column": "day", "every": "day"}
    how: dict[str, Any] = {"key": ["day"]} if keyed else {"write": "append"}
    assert _materialize(bench, _asset(frame, partition_by=by, **how)).success
    assert bench.query("SELECT count(*) FROM pg_inherits WHERE inhparent = 'marts.things'::regclass") == [(2,)]
    things = _asset(frame.assign(amount=[3, 4]), partition_by=by | {"keep": "7 days"}, **how)
    result = _materialize(bench, things)
    assert result.success
    assert sorted(_read(bench, things)["amount"]) == ([4] if keyed else [2, 4])
    metadata = metadata_of(result, "marts", "things")
    assert metadata["keeps rows from"] == str(today - timedelta(days=7))
    assert metadata["rows dropped for their age"] == 1
    assert doctor.examine(Warehouse(bench.url, LandingStore(str(bench.folder / "landing")))) == []


def test_a_frame_may_be_a_snapshot_that_refuses_to_delete_many_rows(bench: Bench) -> None:
    write = {"snapshot": {"max_deleted": 0.5}}
    assert _materialize(bench, _asset(pd.DataFrame({"id": [1, 2, 3]}), key=["id"], write=write)).success
    result = _materialize(bench, _asset(pd.DataFrame({"id": [1]}), key=["id"], write=write))
    assert "the keys of 2 of 3 rows" in error_of(result)
    assert "raise max_deleted of the Snapshot in metadata 'write' of the asset" in error_of(result)
    assert _materialize(bench, _asset(pd.DataFrame({"id": [1, 2]}), key=["id"], write=write)).success
    assert bench.query("SELECT id FROM marts.things ORDER BY id") == [(1,), (2,)]


def test_a_frame_may_mark_rows_and_a_reader_receives_the_others_unless_it_asks_for_the_marks(bench: Bench) -> None:
    write = {"snapshot": {"max_deleted": 0.5, "mark": True}}
    for ids in ([1, 2], [1]):
        things = _asset(pd.DataFrame({"id": ids}), key=["id"], write=write)
        assert _materialize(bench, things).success
    assert bench.query("SELECT id, _deleted_at IS NULL FROM marts.things ORDER BY id") == [(1, True), (2, False)]
    assert bench.query("SELECT id FROM marts.things_current") == [(1,)]
    assert _read(bench, things).to_dict("list") == {"id": [1]}
    marked = _read(bench, things, metadata={"columns": ["id", "_deleted_at"]})
    assert sorted(marked["id"]) == [1, 2]


def test_another_partition_may_bring_the_key_of_a_marked_row(bench: Bench) -> None:
    frames = {"2024-01-01": pd.DataFrame({"id": [1, 2]}), "2024-01-02": pd.DataFrame({"id": [3]})}
    moved = {"2024-01-01": pd.DataFrame({"id": [1]}), "2024-01-02": pd.DataFrame({"id": [2, 3]})}
    write = {"snapshot": {"max_deleted": 1.0, "mark": True}}
    for days in (frames, moved):
        things = _asset(days, _DAYS, key=["id"], write=write)
        for day in days:
            assert _materialize(bench, things, partition=day).success
    assert bench.query("SELECT id FROM marts.things_current ORDER BY id") == [(1,), (2,), (3,)]


def test_a_reader_receives_the_rows_of_its_own_partitions(bench: Bench) -> None:
    frames = {f"2024-01-0{day}": pd.DataFrame({"id": [day, day + 10]}) for day in (1, 2, 3)}
    things = _asset(frames, _DAYS, key=["id"])
    for day in frames:
        assert _materialize(bench, things, partition=day).success
    day = _read(bench, things, partitions=_DAYS, partition="2024-01-02")
    assert sorted(day["id"]) == [2, 12]
    assert sorted(_read(bench, things)["id"]) == [1, 2, 3, 11, 12, 13]
    newest = _read(bench, things, partition_mapping=dg.LastPartitionMapping())
    assert list(newest["id"]) == []


def test_an_asset_reads_the_table_of_a_source(bench: Bench) -> None:
    bench.run(bench.people("1,Ada,36"))
    received: list[pd.DataFrame] = []

    @dg.asset(ins={"people": dg.AssetIn(key=["core", "people"])})
    def oldest(people: Any) -> None:
        received.append(people)

    result = dg.materialize(
        [dg.AssetSpec(["core", "people"]), oldest],
        instance=bench.instance,
        resources={"io_manager": PostgresIOManager()},
    )
    assert result.success
    assert received[0].to_dict("records") == [{"id": 1, "name": "Ada", "age": 36}]


@pytest.mark.parametrize(
    ("frame", "metadata", "message"),
    [
        (pd.DataFrame({"id": [1]}), {}, "metadata 'key' is missing"),
        (pd.DataFrame({"id": [1]}), {"key": "id"}, "metadata 'key' is missing"),
        (pd.DataFrame({"id": [1]}), {"key": ["id"], "write": "truncate"}, "Write 'append' or 'upsert' or 'replace'"),
        (pd.DataFrame({"id": [1]}), {"key": ["id"], "write": {"snapshot": {"most": 1}}}, "most is not known"),
        (pd.DataFrame({"id": [1]}), {"key": ["id"], "partition_by": "id"}, "Write {'column': 'day'"),
        (pd.DataFrame({"id": [1]}), {"key": ["id"], "partition_by": {"column": "id"}}, "type date or timestamp"),
        (
            pd.DataFrame({"at": [pd.Timestamp(2024, 1, 1), None]}),
            {"write": "append", "partition_by": {"column": "at"}},
            "1 of 2 rows without a value in column 'at'",
        ),
        (pd.DataFrame({"id": [1]}), {"key": ["nr"]}, "names unknown column 'nr'"),
        (pd.DataFrame({"id": [1.0, None]}), {"key": ["id"]}, "1 of 2 rows without a value in key column 'id'"),
        (pd.DataFrame({"Id": [1]}), {"key": ["Id"]}, "cannot be a name in the database"),
        (pd.DataFrame({"id": [1], "a": [[1]]}), {"key": ["id"]}, "column 'a' is of type List"),
        (pd.DataFrame({"id": [1, 2], "a": ["x", 1]}), {"key": ["id"]}, "Let each column hold values of one type"),
        (pd.DataFrame({"id": [1], "_row_hash": [1]}), {"key": ["id"]}, "is kept for bookkeeping"),
        ({"id": 1}, {"key": ["id"]}, "is a dict, which cannot be written to a table"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused_with_what_to_do(
    bench: Bench, frame: Any, metadata: dict[str, Any], message: str
) -> None:
    result = _materialize(bench, _asset(frame, **metadata))
    assert not result.success
    assert message in error_of(result)
    assert bench.query("SELECT to_regclass('marts.things')") == [(None,)]
    assert bench.query("SELECT count(*) FROM etl.delivery") == [(0,)]


def test_a_frame_that_the_database_cannot_store_is_refused_as_a_whole(bench: Bench) -> None:
    result = _materialize(bench, _asset(pd.DataFrame({"id": ["a", "b\0c"]}), key=["id"]))
    assert not result.success
    assert bench.query("SELECT count(*) FROM marts.things") == [(0,)]
    assert "b\\0c" not in error_of(result).replace("\0", "\\0").split("TooManyRejectedError")[-1]


def test_named_index_levels_are_columns(bench: Bench) -> None:
    frame = pd.DataFrame({"id": [1, 2], "a": [3, 4]}).set_index("id")
    assert _materialize(bench, _asset(frame, key=["id"])).success
    assert bench.query("SELECT id, a FROM marts.things ORDER BY id") == [(1, 3), (2, 4)]


def test_an_asset_with_a_single_name_has_a_table_in_schema_public(bench: Bench) -> None:
    @dg.asset(metadata={"key": ["id"]})
    def people() -> pd.DataFrame:
        return pd.DataFrame({"id": [1]})

    bench.run(bench.people("1,Ada,36"))
    assert _materialize(bench, people).success
    assert bench.query("SELECT id FROM public.people") == [(1,)]
    assert bench.query("SELECT DISTINCT source FROM etl.delivery ORDER BY 1") == [("people",), ("public.people",)]


def test_reading_a_missing_table_fails_with_its_name(bench: Bench) -> None:
    things = _asset(pd.DataFrame({"id": [1]}), key=["id"])

    @dg.asset(ins={"things": dg.AssetIn(key=["marts", "things"])})
    def downstream(things: Any) -> None:
        del things

    result = _materialize(bench, things, downstream, only="downstream")
    assert "There is no table marts.things" in error_of(result)


def test_nothing_is_ever_pickled(bench: Bench) -> None:
    bench.run(bench.people("1,Ada,36"))
    things = _asset(pd.DataFrame({"id": [1]}), key=["id"])
    _materialize(bench, things)
    _read(bench, things)
    storage = Path(bench.instance.storage_directory())
    assert [path for path in storage.rglob("*") if path.is_file()] == []


def test_columns_added_later_are_added_to_the_table(bench: Bench) -> None:
    _materialize(bench, _asset(pd.DataFrame({"id": [1]}), key=["id"]))
    assert _materialize(bench, _asset(pd.DataFrame({"id": [2], "a": ["x"]}), key=["id"])).success
    assert bench.query("SELECT id, a FROM marts.things ORDER BY id") == [(1, None), (2, "x")]
