"""Logs as JSON: one object a line, with what a run is about, and without the texts of foreign errors."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from dagster._core.errors import DagsterExecutionStepExecutionError
from dagster_shared.error import SerializableErrorInfo

from etl_assets import logs
from etl_assets.errors import SettingsError, ShapeError
from etl_assets.logs import JsonFormatter
from etl_assets.settings import logs_as_json

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECRET = "the contents of a record"


def line(message: object, *arguments: object, error: BaseException | None = None, **more: Any) -> dict[str, Any]:
    """The object that a record becomes."""
    found = (type(error), error, None) if error else None
    record = logging.LogRecord("etl_assets.x", logging.WARNING, "x.py", 1, message, arguments, found)
    record.__dict__.update(more)
    text = JsonFormatter().format(record)
    assert "\n" not in text
    parsed: dict[str, Any] = json.loads(text)
    return parsed


@pytest.fixture
def nothing_in_particular() -> Iterator[None]:
    yield
    logs.about()


def test_a_line_says_when_how_severe_and_what() -> None:
    found = line("%d of %s\nfailed", 2, "goods")
    assert (found["level"], found["logger"], found["message"]) == ("WARNING", "etl_assets.x", "2 of goods\nfailed")
    assert datetime.fromisoformat(found["time"]).utcoffset() is not None
    assert found["process"] == os.getpid()


@pytest.mark.usefixtures("nothing_in_particular")
def test_a_line_says_which_run_it_is_about() -> None:
    logs.about(run="r", source="goods", partition="", attempt=2)
    found = line("x")
    assert {name: found.get(name) for name in ("run", "source", "partition", "attempt")} == {
        "run": "r", "source": "goods", "partition": None, "attempt": 2,
    }  # fmt: skip
    logs.about()
    assert "run" not in line("x")


def test_a_foreign_error_is_named_and_not_quoted() -> None:
    error = psycopg.errors.NotNullViolation(_SECRET)
    found = line("It failed: %s", error, error=error)
    assert (found["error"], found["error_module"], found["sqlstate"]) == ("NotNullViolation", "psycopg.errors", "23502")
    assert found["message"] == "It failed: psycopg.errors.NotNullViolation"
    assert line(ValueError(_SECRET))["message"] == "builtins.ValueError"
    assert _SECRET not in json.dumps(found)


def test_an_error_of_this_package_has_its_text() -> None:
    found = line("x", error=ShapeError("The column is missing."))
    assert (found["error"], found["error_text"]) == ("ShapeError", "The column is missing.")
    assert line("%s", ShapeError("It is missing."))["message"] == "It is missing."


@pytest.mark.parametrize(
    ("class_", "text", "expected"),
    [
        ("ShapeError", "etl_assets.errors.ShapeError: It is missing.\n", {"error_text": "It is missing."}),
        ("ValueError", f"ValueError: {_SECRET}\n", {}),
        ("ShapeError", f"elsewhere.ShapeError: {_SECRET}\n", {}),
    ],
)
def test_of_an_error_that_dagster_stores_the_cause_is_named(class_: str, text: str, expected: dict[str, str]) -> None:
    cause = SerializableErrorInfo(text, [f"  {_SECRET}"], class_)
    outer = SerializableErrorInfo(_SECRET, [_SECRET], DagsterExecutionStepExecutionError.__name__, cause)

    class Event:
        event_type_value = "STEP_FAILURE"
        event_specific_data = type("Data", (), {"error": outer})

    meta = {
        "run_id": "r",
        "job_name": "job",
        "job_tags": {
            "etl_assets/source": "goods",
            "dagster/partition": "2024",
            "dagster/retry_number": "1",
            "dagster/code_location": "feeds",
        },
        "step_key": "core__goods",
        "orig_message": 'Execution of step "core__goods" failed.',
        "dagster_event": Event,
    }
    found = line(f"with everything: {_SECRET}", dagster_meta=meta)
    del found["time"], found["process"]
    assert found == {
        "level": "WARNING", "logger": "etl_assets.x", "message": 'Execution of step "core__goods" failed.',
        "run": "r", "job": "job", "source": "goods", "partition": "2024", "attempt": 2, "location": "feeds",
        "step": "core__goods", "event": "STEP_FAILURE", "error": class_, **expected,
    }  # fmt: skip


def test_a_message_that_does_not_fit_its_arguments_is_written_all_the_same() -> None:
    assert line("%d of it", "two")["message"] == "%d of it"


def test_the_setting_is_text_unless_it_is_json() -> None:
    assert not logs_as_json({})
    assert logs_as_json({"ETL_ASSETS_LOG_FORMAT": " JSON "})
    with pytest.raises(SettingsError, match="ETL_ASSETS_LOG_FORMAT"):
        logs_as_json({"ETL_ASSETS_LOG_FORMAT": "xml"})


def test_what_ends_a_process_is_a_line_without_the_text_of_the_error() -> None:
    code = "from etl_assets import logs; logs.configure(); import warnings; warnings.warn('w');"
    done = subprocess.run(
        [sys.executable, "-c", f"{code} raise KeyError({_SECRET!r})"],
        env={**os.environ, "ETL_ASSETS_LOG_FORMAT": "json"},
        capture_output=True,
        text=True,
        check=False,
    )
    warning, error = [json.loads(text) for text in done.stderr.splitlines()]
    assert warning["logger"] == "py.warnings"
    assert (error["level"], error["error"], done.returncode) == ("CRITICAL", "KeyError", 1)
    assert _SECRET not in done.stderr


def test_handlers_that_a_library_adds_later_are_removed() -> None:
    code = (
        "import logging, sys; from etl_assets import logs; logs.configure(); "
        "dagster = logging.getLogger('dagster'); dagster.addHandler(logging.StreamHandler(sys.stdout)); "
        "child = logging.getLogger('dagster.daemon'); child.warning('first'); child.warning('second')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ETL_ASSETS_LOG_FORMAT": "json"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "first\n"
    assert [json.loads(text)["message"] for text in done.stderr.splitlines()] == ["first", "second"]
