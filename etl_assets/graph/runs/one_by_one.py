"""Handles the runs or sources of a tick one by one: one that fails does not stop the others, and is reported."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg

from etl_assets import alerts
from etl_assets.errors import EnvironmentFaultError, EtlAssetsError, SettingsError, TransientLoadError
from etl_assets.model.text import storable
from etl_assets.postgres.faults import fault_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.postgres.connection import Connection

_PACKAGE: Final = Path(__file__).parents[2]
_OF_ALL: Final = (SettingsError, TransientLoadError, EnvironmentFaultError)
_KINDS_OF_ALL: Final = ("transient", "environment")
"""Faults of the database that do not depend on what it is asked, as errors and as kinds."""


@dataclass(frozen=True)
class Failures:
    """What failed at a tick of a sensor, or at the start of a command.

    Attributes:
        errors: The error of each run or source that failed, by its id or name, without record contents.
    """

    errors: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def of(self, item: str) -> Iterator[None]:
        """Remember the error that a block raises, and do not raise it, unless all others would fail too.

        Raises:
            SettingsError: If no database answers.
            LoadError, psycopg.Error: If the database fails for a time, or cannot continue.
        """
        try:
            yield
        except Exception as error:
            if is_of_all(error):
                raise
            self.errors[item] = description(error)

    def report(self, connection: Connection, sensor: str) -> None:
        """Open and resolve the alerts about what fails at the ticks of a sensor."""
        alerts.update_for_tick(connection, sensor, self.errors)

    def __str__(self) -> str:
        """The failures as sentences to show; the empty text if nothing failed."""
        return "".join(f" {item} failed, and is tried again: {text}." for item, text in self.errors.items())


def is_of_all(error: Exception) -> bool:
    """Whether an error does not depend on what was asked, so that everything else would fail too."""
    return isinstance(error, _OF_ALL) or (isinstance(error, psycopg.Error) and fault_of(error).kind in _KINDS_OF_ALL)


def description(error: Exception) -> str:
    """Return the class of an error and its text, or its place if the text may contain data."""
    text = f": {error}" if isinstance(error, EtlAssetsError) else f" at {_place(error)}"
    return storable(f"{type(error).__name__}{text}".removesuffix("."))


def _place(error: Exception) -> str:
    """Return the deepest line of this package that an error came through, as ``name.py:12``."""
    frames = traceback.extract_tb(error.__traceback__)
    frame = next(frame for frame in reversed(frames) if Path(frame.filename).is_relative_to(_PACKAGE))
    return f"{Path(frame.filename).name}:{frame.lineno}"
