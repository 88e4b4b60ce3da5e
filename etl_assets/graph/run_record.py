"""The line of a run in ``etl.run``, and its check results in ``etl.check_result``, for those who browse in SQL.

One line spans landing, core and quarantine of a source partition. Dagster's own event log is what steers.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg

from etl_assets.errors import SettingsError
from etl_assets.postgres import history
from etl_assets.postgres.connection import connected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from etl_assets.model.batch import Counts
    from etl_assets.postgres.history import CheckRow


@dataclass(frozen=True)
class RunRecord:
    """One run of one source partition.

    Attributes:
        url: Of the warehouse.
        run_id: Dagster's.
        source: Its name.
        partition: Key of the partition.
    """

    url: str = field(repr=False)
    run_id: str
    source: str
    partition: str

    def start(self) -> None:
        """Enter the run, or enter that it goes on."""
        with connected(self.url) as connection:
            history.run_started(connection, self.run_id, self.source, self.partition)

    def end(
        self, delivery_id: int | None = None, counts: Counts | None = None, seconds: Mapping[str, float] | None = None
    ) -> None:
        """Enter that it succeeded."""
        with connected(self.url) as connection:
            history.run_ended(
                connection,
                self.run_id,
                self.source,
                self.partition,
                delivery_id=delivery_id,
                counts=counts,
                seconds=seconds,
            )

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Enter that the run failed if the block raises; the error goes on."""
        try:
            yield
        except Exception as error:
            with suppress(SettingsError, psycopg.Error), connected(self.url) as connection:
                history.run_ended(connection, self.run_id, self.source, self.partition, error=error)
            raise

    def checks(self, delivery_id: int | None, results: Iterable[CheckRow]) -> None:
        """Enter check results."""
        with connected(self.url) as connection:
            history.checks(connection, self.run_id, self.source, self.partition, delivery_id, results)
