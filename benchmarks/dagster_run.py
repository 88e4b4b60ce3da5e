"""What a run through Dagster took and did, as `benchmarks.dagster_runs` writes it and `benchmarks.lab` reads it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """A run of a partition.

    Attributes:
        seconds: From the request to the end.
        client: Processor seconds of the process that runs it.
        server: Processor seconds of the database server.
        events: Number of events in Dagster's log.
        statements: Number of statements that Dagster's storage sent.
        status: How the load ended, as the command line shows it.
        read: Number of records that were read.
        rejected: Number of records that were rejected.
        error: Why the run failed; the empty text if it did not.
    """

    seconds: float
    client: float
    server: float
    events: int
    statements: int
    status: str
    read: int
    rejected: int
    error: str

    @property
    def counts(self) -> dict[str, float]:
        """What was counted in Dagster, by its name in a table."""
        return {"events": self.events, "statements": self.statements}
