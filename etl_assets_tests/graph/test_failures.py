"""What Dagster shows of a failed step: the message, and no stack trace before it or after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
import pytest
from dagster._core.errors import DagsterUserCodeProcessError

from etl_assets import errors
from etl_assets.errors import BusyError, TransientLoadError
from etl_assets.graph.runs.failures import message_first
from etl_assets.graph.runs.retries import RETRIES, retrying
from etl_assets.logs import _of_serialized
from etl_assets.transform.transformer import Transformer

if TYPE_CHECKING:
    import pandas as pd
    from dagster._core.execution.execute_in_process_result import ExecuteInProcessResult
    from dagster_shared.error import SerializableErrorInfo

    from etl_assets_tests.graph.conftest import Bench

_SECRET = "1,Ada,36"


def failure(result: ExecuteInProcessResult) -> SerializableErrorInfo:
    """Return the error of the first step that failed."""
    (event, *_) = result.get_step_failure_events()
    error = event.step_failure_data.error
    assert error is not None
    return error


def debug_lines(bench: Bench, result: ExecuteInProcessResult) -> list[str]:
    """Return what the event log has of where steps failed."""
    entries = [record.event_log_entry for record in bench.instance.get_records_for_run(result.run_id).records]
    return [entry.user_message for entry in entries if "Where it failed" in entry.user_message]


@pytest.mark.parametrize(
    ("lines", "changes", "name"),
    [
        (("1,Ada,36",), {"header": "id,title"}, "ShapeError"),
        (("1,Ada,36", "x,Grace,40"), {}, "TooManyRejectedError"),
    ],
)
def test_a_failed_step_begins_with_our_message_and_has_no_stack_trace(
    bench: Bench, lines: tuple[str, ...], changes: dict[str, Any], name: str
) -> None:
    result = bench.run(bench.people(*lines, **changes))
    error = failure(result)
    assert error.to_string().startswith(f"{errors.__name__}.{name}: ")
    assert error.stack == []
    assert error.cause is None
    assert error.context is None
    assert "Nothing" in error.message or "nothing" in error.message or "stop" in error.message


class Careless(Transformer):
    """Raises an error whose text has a record."""

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Raise."""
        raise ValueError(f"cannot reshape {_SECRET} of {len(frame)}")


def test_where_a_step_failed_is_logged_at_level_debug_without_the_texts_of_causes(bench: Bench) -> None:
    result = bench.run(bench.people(_SECRET, transformer=Careless()))
    assert failure(result).message.startswith(f"{errors.__name__}.TransformError: ")
    (logged,) = debug_lines(bench, result)
    assert "in transform\n" in logged
    assert "ValueError\n" in logged
    assert _SECRET not in logged
    records = bench.instance.get_records_for_run(result.run_id).records
    assert all(_SECRET not in str(record.event_log_entry) for record in records)


def test_an_error_that_was_retried_too_often_is_shown_like_any_other() -> None:
    log = dg.build_op_context().log
    with pytest.raises(dg.RetryRequested), message_first(log, 0), retrying(0):
        raise BusyError("Another run loads it.")
    with pytest.raises(DagsterUserCodeProcessError) as shown, message_first(log, RETRIES), retrying(RETRIES):
        raise TransientLoadError("The database is away.")
    (info,) = shown.value.user_code_process_error_infos
    assert info.message == f"{errors.__name__}.TransientLoadError: The database is away.\n"


def test_an_error_of_other_code_is_not_changed() -> None:
    with pytest.raises(ValueError, match="a mistake"), message_first(dg.build_op_context().log):
        raise ValueError("a mistake")


def test_the_error_of_a_dataframe_begins_with_our_message(bench: Bench) -> None:
    @dg.asset(key_prefix="marts", metadata={"key": ["id"]}, io_manager_key="io_manager")
    def things() -> pl.DataFrame:
        return pl.DataFrame({"id": [1, None]})

    from etl_assets.graph.assets.io_manager import PostgresIOManager

    result = dg.materialize(
        [things], resources={"io_manager": PostgresIOManager()}, instance=bench.instance, raise_on_error=False
    )
    assert failure(result).to_string().startswith(f"{errors.__name__}.DeliveryError: ")


def test_the_log_and_the_run_history_have_the_text_of_the_message(bench: Bench) -> None:
    result = bench.run(bench.people("1,Ada,36", header="id,title"))
    ((name, text),) = bench.query("SELECT error_class, error FROM etl.run")
    assert name == "ShapeError"
    assert _of_serialized(failure(result)) == {"error": "ShapeError", "error_text": text}
