"""The sensor of a source that runs when the publisher changes something.

This module polls and requests runs; module `arrivals` decides what to do after a poll. The annotations are not
postponed here, because Dagster reads those of the sensor.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

import dagster as dg

from etl_assets.errors import DeliveryError, DeliveryMissingError
from etl_assets.graph.keys import RUNS_PER_TICK, SOURCE_TAG, asset_keys
from etl_assets.graph.partitions import files_of
from etl_assets.graph.resource import open_warehouse
from etl_assets.graph.runs.one_by_one import Failures
from etl_assets.graph.triggers.arrivals import Arrival, Attempt, Decider, Decision, Memory, summary
from etl_assets.model.partition_keys import FileNames
from etl_assets.model.partitions import Periods
from etl_assets.model.trigger import OnChange
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries
from etl_assets.postgres.ledger.deliveries import LastFetch
from etl_assets.source import Source

STATE_TAG: Final = "etl_assets/look"
ATTEMPT_TAG: Final = "etl_assets/attempt"
NEWEST: Final = 3
"""The number of newest partitions of time to poll even if they are loaded: publishers correct recent data."""
POLL_SECONDS: Final = 30.0
"""A tick polls no longer than this, and the next continues from there: Dagster ends a tick that takes a minute."""
_WILL_RETRY: Final = "dagster/will_retry"


def change_sensor(source: Source, trigger: OnChange) -> dg.SensorDefinition:
    """Return the sensor of a source whose trigger is a change.

    The sensor polls a source without partitions as a whole, every file, and every named partition. Of past partitions
    of time it polls the newest three and those that are not loaded. It requests a run once a poll finds a state that is
    not loaded and that is written whole. It requests a failed run again, after longer and longer waits; see `Decider`.

    Args:
        source: The declaration.
        trigger: Its trigger.
    """

    @dg.sensor(
        name=f"{source.name}_sensor",
        asset_selection=dg.AssetSelection.assets(*asset_keys(source.name)),
        minimum_interval_seconds=int(trigger.every.total_seconds()),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Requests the partitions of {source.name} that the publisher has changed.",
    )
    def poll_publisher(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = datetime.now(UTC)
        memory = Memory.read(context.cursor)
        url = open_warehouse().url
        with connected(url) as connection:
            fetched = deliveries.last_fetches(connection, source.name)
        files = files_of(source, url) if source.has_file_partitions else FileNames()
        keys = files.keys or _to_poll(source, fetched, memory, now)
        tick = _Tick(source, Decider(trigger, source.extractor.settle_seconds, now), context.instance, memory)
        last = tick.poll_all(_after(keys, memory.last), fetched)
        present = set(keys)
        memory = Memory(last, {key: arrival for key, arrival in tick.arrivals.items() if key in present})
        with connected(url) as connection:
            tick.failures.report(connection, f"{source.name}_sensor")
        notes = {**tick.notes, **{name: f"is set aside, because it {why}" for name, why in files.set_aside.items()}}
        message = f"{summary(notes.items(), len(keys))}{tick.failures}"
        if tick.requests and any(notes.values()):
            context.log.info(message)
        return dg.SensorResult(
            run_requests=tick.requests,
            dynamic_partitions_requests=tick.new_partitions(),
            skip_reason=None if tick.requests else message,
            cursor=memory.text,
        )

    return poll_publisher


class _Tick:
    """One tick of the sensor: it collects the run requests, the arrivals to remember, and the notes."""

    def __init__(self, source: Source, decider: Decider, instance: dg.DagsterInstance, memory: Memory) -> None:
        self._source = source
        self._decider = decider
        self._instance = instance
        self._attempts = _attempts(instance, memory.arrivals.values())
        self.arrivals = dict(memory.arrivals)
        self.notes: dict[str, str] = {}
        self.failures = Failures()
        self.requests: list[dg.RunRequest] = []

    def poll_all(self, keys: Sequence[str], fetched: Mapping[str, LastFetch]) -> str | None:
        """Poll partitions until enough runs are requested or the time is over.

        Returns:
            The partition that was polled last, if others are left; otherwise None.
        """
        until = time.monotonic() + POLL_SECONDS
        for count, key in enumerate(keys):
            if count and (len(self.requests) >= RUNS_PER_TICK or time.monotonic() > until):
                return keys[count - 1]
            with self.failures.of(key or self._source.name):
                self._apply(key, self._poll(key, fetched.get(key)))
        return None

    def new_partitions(self) -> Sequence[dg.AddDynamicPartitionsRequest]:
        """Return the requests to add the partitions of requested files that are no partitions yet."""
        if not self._source.has_file_partitions:
            return []
        known = set(self._instance.get_dynamic_partitions(self._source.name))
        new = [key for request in self.requests if (key := request.partition_key) is not None and key not in known]
        return [dg.AddDynamicPartitionsRequest(self._source.name, new)] if new else []

    def _poll(self, key: str, fetched: LastFetch | None) -> Decision:
        arrival = self.arrivals.get(key)
        try:
            state = self._validators(key, fetched)
        except DeliveryMissingError as error:
            return Decision(note=str(error))
        except DeliveryError as error:
            return Decision(arrival, note=str(error))
        return self._decider.decide(
            key, state, fetched, arrival, self._attempts.get(arrival.state) if arrival else None
        )

    def _validators(self, key: str, fetched: LastFetch | None) -> Mapping[str, str] | None:
        extractor, partition = self._source.extractor, self._source.partition(key)
        if fetched is not None and fetched.state:
            return extractor.poll_since(partition, fetched.state)
        return extractor.poll(partition)

    def _apply(self, key: str, decision: Decision) -> None:
        self.notes[key] = decision.note
        if decision.arrival is None:
            self.arrivals.pop(key, None)
            return
        self.arrivals[key] = arrival = decision.arrival
        if decision.ask:
            self.requests.append(
                dg.RunRequest(
                    run_key=f"{key}@{arrival.state}#{arrival.attempt}",
                    partition_key=key or None,
                    tags={
                        SOURCE_TAG: self._source.name,
                        STATE_TAG: arrival.state,
                        ATTEMPT_TAG: str(arrival.attempt),
                    },
                )
            )


def _to_poll(source: Source, fetched: Mapping[str, LastFetch], memory: Memory, now: datetime) -> Sequence[str]:
    """Return the partitions to poll, oldest first."""
    if source.partitions is None:
        return [""]
    complete = source.partitions.keys(now)
    if not isinstance(source.partitions, Periods):
        return complete
    always = {*complete[-NEWEST:], *memory.arrivals}
    return [key for key in complete if key in always or key not in fetched or not fetched[key].complete]


def _after(keys: Sequence[str], last: str | None) -> Sequence[str]:
    """Return the partitions in polling order: first those after `last`, with which the previous tick stopped."""
    if last is None or last not in keys:
        return keys
    place = keys.index(last) + 1
    return [*keys[place:], *keys[:place]]


def _attempts(instance: dg.DagsterInstance, arrivals: Iterable[Arrival]) -> Mapping[str, Attempt]:
    """Return the newest run of each arrival that is tried, also of runs that the sensor did not request."""
    digests = [arrival.state for arrival in arrivals if arrival.is_tried]
    if not digests:
        return {}
    attempts: dict[str, Attempt] = {}
    for record in instance.get_run_records(dg.RunsFilter(tags={STATE_TAG: digests})):  # the newest first
        run = record.dagster_run
        number = int(run.tags.get(ATTEMPT_TAG, "1"))
        newer = attempts.get(run.tags[STATE_TAG])
        if newer is not None:
            attempts[run.tags[STATE_TAG]] = newer._replace(number=max(newer.number, number))
            continue
        ended = datetime.fromtimestamp(record.end_time or record.update_timestamp.timestamp(), UTC)
        attempts[run.tags[STATE_TAG]] = Attempt(number, _status(run), ended)
    return attempts


def _status(run: dg.DagsterRun) -> Literal["under way", "succeeded", "failed"]:
    if not run.is_finished or run.tags.get(_WILL_RETRY) == "true":
        return "under way"
    return "succeeded" if run.is_success else "failed"
