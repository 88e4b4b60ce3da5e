"""What the processes of Dagster write to standard error."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from dagster._loggers import colored_console_logger

from etl_assets import logs

if TYPE_CHECKING:
    import dagster as dg


def configure_logs() -> None:
    """Write the logs of a process of Dagster as JSON if the setting says so; see `logs.configure`.

    Dagster gives each run whose configuration names no logger the one that writes in colours, whatever the definitions
    say. So the function of that logger is replaced.

    Raises:
        SettingsError: If the setting is neither ``text`` nor ``json``.
    """
    logs.configure()
    if logs.are_json():
        colored_console_logger._logger_fn = _json_console  # noqa: SLF001 -- there is no other way to set it


def _json_console(context: dg.InitLoggerContext) -> logging.Logger:
    logger = logging.Logger(context.logger_config["name"], context.logger_config["log_level"])  # noqa: LOG001 -- of one run
    logger.addHandler(logs.json_handler())
    return logger
