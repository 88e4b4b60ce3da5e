"""A warehouse in which tests create causes of alerts, send notifications, and read the alerts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from etl_assets import alerts
from etl_assets.alerts.message import Places
from etl_assets.model.check_result import CheckResult
from etl_assets.model.counts import Counts
from etl_assets.model.drift import DriftEvent
from etl_assets.model.run import RunEnd
from etl_assets.postgres.alerts.alerts import clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.alerts import Dispatch
    from etl_assets.model.alert import AlertRule
    from etl_assets.model.drift import Change, DriftStatus
    from etl_assets.postgres.connection import Connection

PLACES = Places("http://dagster.test", "http://status.test")


@dataclass
class Office:
    """A warehouse, and the feed ``people`` in it.

    Attributes:
        url: Of the warehouse.
        connection: To it.
        channels: Apprise URLs of the channels, by name; a deployment reads them from the environment.
    """

    url: str
    connection: Connection
    channels: dict[str, str] = field(default_factory=dict)

    def run(self, *rules: AlertRule, status: Any = "succeeded", partition: str = "", **more: Any) -> None:
        """End a run."""
        end = RunEnd(more.pop("run_id", "run-1"), "people", partition, status, **more)
        with self.connection.transaction():
            alerts.update_for_run(self.connection, rules, end)

    def fail(self, *rules: AlertRule, partition: str = "", **more: Any) -> None:
        """End a run with a failure."""
        error = {"error_class": "ShapeError", "error": "A column is missing. Nothing was written."}
        self.run(*rules, status="failed", partition=partition, **(error | more))

    def read(self, *rules: AlertRule, records: int, rejected: int = 0, seconds: float = 1.0) -> None:
        """End a run that succeeded and read some records."""
        counts = Counts(read=records, rejected=rejected, accepted=records - rejected)
        self.run(*rules, counts=counts, seconds=seconds)

    def check(
        self, *rules: AlertRule, delivery: int | None = None, partition: str = "", **results: bool | CheckResult
    ) -> None:
        """Enter check results; those that are given as True or False do not block."""
        rows = [
            result
            if isinstance(result, CheckResult)
            else CheckResult(name, result, blocking=False, description="A description.")
            for name, result in results.items()
        ]
        with self.connection.transaction():
            alerts.update_for_checks(self.connection, rules, "run-1", "people", partition, delivery, rows)

    def drift(
        self,
        rules: Sequence[AlertRule],
        opened: Sequence[Change] = (),
        closed: Sequence[tuple[Change, DriftStatus]] = (),
        partition: str = "",
    ) -> None:
        """Open and close drift events."""
        delivery = self.delivery() if opened else 0
        with self.connection.transaction():
            alerts.update_for_drift(
                self.connection,
                rules,
                "people",
                partition,
                [_event(change, "open", delivery, number) for number, change in enumerate(opened, 1)],
                [_event(change, status, delivery) for change, status in closed],
            )

    def delivery(self, records: int = 10, at: datetime | None = None, *, status: str = "complete") -> int:
        """Enter a delivery, and return its id."""
        row = self.connection.execute(
            "INSERT INTO etl.delivery (source, partition, rank, sha256, size, records, manifest, status, fetched_at) "
            "VALUES ('people', '', '', 'x', 1, %s, '{}', %s, coalesce(%s, clock_timestamp())) RETURNING id",
            (records, status, at),
        ).fetchone()
        assert row is not None
        return int(row[0])

    def reject(self, number: int, at: datetime, status: str = "open") -> None:
        """Put records into the quarantine."""
        self.connection.execute(
            "INSERT INTO etl.rejected (delivery_id, record_no, generation, source, partition, location, raw, rules, "
            "status, fingerprint, run_id, rejected_at) SELECT %s, n, 1, 'people', '', ':1', 'x', '{a__type}', %s, '', "
            "'run-1', %s FROM generate_series(1, %s) n",
            (self.delivery(status="landed"), status, at, number),
        )

    def earlier_runs(self, number: int, seconds: float, read: int) -> None:
        """Enter earlier runs that succeeded."""
        self.connection.execute(
            "INSERT INTO etl.run (run_id, source, partition, delivery_id, status, started_at, ended_at, read) "
            "SELECT gen_random_uuid()::text, 'people', '', %s, 'succeeded', clock_timestamp() - interval '1 day', "
            "clock_timestamp() - interval '1 day' + %s * interval '1 second', %s FROM generate_series(1, %s) n",
            (self.delivery(), seconds, read, number),
        )

    def list_files(self, *rules: AlertRule, **set_aside: str) -> None:
        """List files, of whose names some are set aside."""
        with self.connection.transaction():
            alerts.update_for_file_names(self.connection, rules, "people", set_aside)

    def time(self, *rules: AlertRule, at: datetime | None = None) -> None:
        """Evaluate the rules that depend only on time."""
        alerts.update_for_time(self.connection, "people", rules, at or self.now)

    def send(self, later: timedelta = timedelta(), **more: Any) -> Dispatch:
        """Send the outbox, now or later."""
        return alerts.send(self.connection, self.channels, PLACES, self.now + later, **more)

    @property
    def now(self) -> datetime:
        return clock(self.connection).astimezone(UTC)

    def alerts(self) -> list[tuple[str, str, str]]:
        """Return kind, subject and status of each alert, oldest first."""
        return self.query("SELECT rule, subject, status FROM etl.alert ORDER BY id")

    def messages(self) -> list[tuple[str, str, str]]:
        """Return event, channel and status of each notification, oldest first."""
        return self.query("SELECT event, channel, status FROM etl.notification ORDER BY id")

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.connection.execute(statement.encode(), values).fetchall()


def _event(change: Change, status: DriftStatus, delivery: int, number: int = 1) -> DriftEvent:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return DriftEvent(
        number, "people", change, status, delivery, delivery, at, reviewer="Ann" if status != "open" else ""
    )
