"""Logs as JSON, one object a line, if ``ETL_ASSETS_LOG_FORMAT`` is ``json``; and what the current run is about.

It knows Dagster's records by the attributes that Dagster gives them, and imports nothing of it.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TextIO

from etl_assets import errors
from etl_assets.errors import EtlAssetsError
from etl_assets.settings import logs_as_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

_FOREIGN: Final = ("dagster", "dagster-webserver", "dagit", "uvicorn")
"""Loggers to which libraries give handlers of their own."""
_TAGS: Final = {
    "etl_assets/source": "source",
    "dagster/partition": "partition",
    "dagster/code_location": "location",
}
_LAYERS: Final = ("landing", "core", "quarantine")
"""What the steps of a source are named by, before its name."""
_RETRY_TAG: Final = "dagster/retry_number"
_about: dict[str, str | int] = {}
"""The run, source, partition, attempt and step that this process is at; empty outside a run."""


def about(**values: str | int) -> None:
    """Set what the following lines of this process are about; without values, nothing in particular.

    Args:
        values: ``run``, ``source``, ``partition``, ``attempt``, ``step``; empty ones are left out.
    """
    _about.clear()
    _about.update({name: value for name, value in values.items() if value != ""})


def configure(level: int = logging.WARNING) -> None:
    """Write all logs of this process to standard error: as JSON if the setting says so, else as they are.

    It may be called any number of times. Handlers that Dagster's commands gave to its loggers are replaced.

    Raises:
        SettingsError: If the setting is neither ``text`` nor ``json``.
    """
    if not logs_as_json():
        return
    if not are_json():
        root = logging.getLogger()
        root.handlers = [json_handler()]
        root.setLevel(level)
    _take_over()
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught


def are_json() -> bool:
    """Return whether the logs of this process are written as JSON."""
    return any(isinstance(handler.formatter, JsonFormatter) for handler in logging.getLogger().handlers)


def configure_command(*, verbose: bool) -> None:
    """Write the logs of a command that serves to standard error, in the form that the setting says.

    Args:
        verbose: Whether to write what is no warning.
    """
    level = logging.INFO if verbose else logging.WARNING
    configure(level)
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s")


def json_handler() -> logging.Handler:
    """Return a handler that writes JSON to standard error."""
    handler = _JsonHandler()
    handler.setFormatter(JsonFormatter())
    return handler


class _JsonHandler(logging.StreamHandler[TextIO]):
    """Writes to standard error, whatever handlers the loggers of libraries are given later."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; Dagster's daemon sets up its logs after it has created its storage."""
        _take_over()
        super().emit(record)


def _take_over() -> None:
    """Remove the handlers that libraries gave to their loggers."""
    for name in _FOREIGN:
        logger = logging.getLogger(name)
        if logger.handlers or not logger.propagate:
            logger.handlers, logger.propagate = [], True


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON, without the texts of errors that are not of this package.

    Such texts may contain record contents or secrets. Their class, module and SQLSTATE are written.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        meta = getattr(record, "dagster_meta", None) or {}
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": meta.get("orig_message") or _message(record),
            "process": record.process,
            **_about,
            **_of_dagster(meta),
            **_of_error(record.exc_info[1] if record.exc_info else None),
        }
        return json.dumps(line, default=str)


def _message(record: logging.LogRecord) -> str:
    """Return the text of a record, in which foreign errors are named and not quoted."""
    arguments = record.args
    if isinstance(arguments, tuple):
        arguments = tuple(_named(argument) for argument in arguments)
    try:
        return str(record.msg) % arguments if arguments else str(_named(record.msg))
    except (TypeError, ValueError):
        return str(record.msg)


def _named(value: object) -> object:
    """Return a value; of a foreign error, its class."""
    if isinstance(value, BaseException) and not isinstance(value, EtlAssetsError):
        return f"{type(value).__module__}.{type(value).__qualname__}"
    return value


def _of_dagster(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Dagster's metadata of a record say, except what they leave empty."""
    tags: Mapping[str, str] = meta.get("job_tags") or {}
    found: dict[str, Any] = {
        "run": meta.get("run_id"),
        "job": meta.get("job_name"),
        "step": meta.get("step_key"),
        **{name: tags.get(tag) for tag, name in _TAGS.items() if name not in _about},
    }
    layer, _, source = (meta.get("step_key") or "").partition("__")
    if layer in _LAYERS:
        found["source"] = source
    if meta.get("run_id"):
        found["attempt"] = 1 + int(tags.get(_RETRY_TAG, "0"))
    if (event := meta.get("dagster_event")) is not None:
        found["event"] = event.event_type_value
        found |= _of_serialized(getattr(event.event_specific_data, "error", None))
    return {name: value for name, value in found.items() if value}


def _of_serialized(error: Any) -> dict[str, Any]:
    """Return the class of an error that Dagster stores, and its text if it is one of this package."""
    if error is None:
        return {}
    while error.cause is not None:
        error = error.cause
    text: str = error.message
    ours = text.startswith(f"{errors.__name__}.{error.cls_name}: ")
    return {"error": error.cls_name or "", "error_text": text.strip().partition(": ")[2] if ours else ""}


def _of_error(error: BaseException | None) -> dict[str, Any]:
    """Return class, module and SQLSTATE of an error, and its text if it is one of this package."""
    if error is None:
        return {}
    found: dict[str, Any] = {"error": type(error).__name__, "error_module": type(error).__module__}
    if sqlstate := getattr(error, "sqlstate", None) or getattr(error, "pgcode", None):
        found["sqlstate"] = sqlstate
    if isinstance(error, EtlAssetsError):
        found["error_text"] = str(error)
    return found


def _log_uncaught(class_: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Log an error that ends the process, in place of a traceback that has its text."""
    if issubclass(class_, KeyboardInterrupt):
        return
    logging.getLogger("etl_assets").critical("The process ends with an error.", exc_info=(class_, error, traceback))
