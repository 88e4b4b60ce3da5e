"""The sensor of a source that runs when what the publisher has changes.

Here live looking and asking for runs; what is made of a look is `arrivals`'s business. Dagster reads the annotations of
what it calls, which is why they are not postponed here.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from etl_assets.errors import DeliveryError, DeliveryMissingError
from etl_assets.graph.keys import RUNS_PER_TICK, SOURCE_TAG
from etl_assets.graph.partitions import files_of
from etl_assets.graph.resource import open_warehouse
from etl_assets.graph.triggers.arrivals import Arrival, Attempt, Decider, Decision, Memory, told
from etl_assets.model.partitions import Periods
from etl_assets.model.trigger import OnChange
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries
from etl_assets.postgres.ledger.deliveries import Seen
from etl_assets.source import Source

LOOK_TAG: Final = "etl_assets/look"
ATTEMPT_TAG: Final = "etl_assets/attempt"
NEWEST: Final = 3
"""So many of the newest partitions of time are looked at though they are loaded: publishers correct what is recent."""
LOOK_SECONDS: Final = 30.0
"""A tick looks no longer than that, and the next goes on from there: Dagster ends one that takes a minute."""
_WILL_RETRY: Final = "dagster/will_retry"


def change_sensor(source: Source, trigger: OnChange, job: UnresolvedAssetJobDefinition) -> dg.SensorDefinition:
    """The sensor of a source whose trigger is a change.

    Looked at are: the whole of a source without partitions; every file; every named partition; of partitions of time,
    which are past, the newest three and those that are not loaded. A run is asked for once a look finds what is not
    loaded and has settled. One that fails is asked for again, ever later; see `Decider`.

    Args:
        source: The declaration.
        trigger: Its trigger.
        job: Takes a partition of it all the way.
    """

    @dg.sensor(
        name=f"{source.name}_sensor",
        job=job,
        minimum_interval_seconds=int(trigger.every.total_seconds()),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Asks for the partitions of {source.name} that the publisher has changed.",
    )
    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = datetime.now(UTC)
        memory = Memory.read(context.cursor)
        with connected(open_warehouse().url) as connection:
            seen = deliveries.seen(connection, source.name)
        keys = _polled(source, seen, memory, now)
        tick = _Tick(source, Decider(trigger, source.extractor.settle_seconds, now), context.instance, memory)
        last = tick.go_through(_going_on(keys, memory.last), seen)
        still = set(keys)
        memory = Memory(last, {key: arrival for key, arrival in tick.arrivals.items() if key in still})
        message = told(tick.notes.items(), len(keys))
        if tick.requests and any(tick.notes.values()):
            context.log.info(message)
        return dg.SensorResult(
            run_requests=tick.requests,
            dynamic_partitions_requests=tick.new_partitions(),
            skip_reason=None if tick.requests else message,
            cursor=memory.text,
        )

    return look


class _Tick:
    """One round of looks: what is asked for, what is remembered, what is said."""

    def __init__(self, source: Source, decider: Decider, instance: dg.DagsterInstance, memory: Memory) -> None:
        self._source = source
        self._decider = decider
        self._instance = instance
        self._attempts = _attempts(instance, memory.arrivals.values())
        self.arrivals = dict(memory.arrivals)
        self.notes: dict[str, str] = {}
        self.requests: list[dg.RunRequest] = []

    def go_through(self, keys: Sequence[str], seen: Mapping[str, Seen]) -> str | None:
        """Look at partitions until enough is asked for or the time is over.

        Returns:
            The partition looked at last, if others are left.
        """
        until = time.monotonic() + LOOK_SECONDS
        for count, key in enumerate(keys):
            if count and (len(self.requests) >= RUNS_PER_TICK or time.monotonic() > until):
                return keys[count - 1]
            self._take(key, self._poll(key, seen.get(key)))
        return None

    def new_partitions(self) -> Sequence[dg.AddDynamicPartitionsRequest]:
        """The files asked for that are no partitions yet."""
        if not self._source.takes_files:
            return []
        known = set(self._instance.get_dynamic_partitions(self._source.name))
        new = [key for request in self.requests if (key := request.partition_key) is not None and key not in known]
        return [dg.AddDynamicPartitionsRequest(self._source.name, new)] if new else []

    def _poll(self, key: str, seen: Seen | None) -> Decision:
        arrival = self.arrivals.get(key)
        try:
            look = self._source.extractor.poll(self._source.partition(key))
        except DeliveryMissingError as error:
            return Decision(note=str(error))
        except DeliveryError as error:
            return Decision(arrival, note=str(error))
        return self._decider.decide(key, look, seen, arrival, self._attempts.get(arrival.look) if arrival else None)

    def _take(self, key: str, decision: Decision) -> None:
        self.notes[key] = decision.note
        if decision.arrival is None:
            self.arrivals.pop(key, None)
            return
        self.arrivals[key] = arrival = decision.arrival
        if decision.ask:
            self.requests.append(
                dg.RunRequest(
                    run_key=f"{key}@{arrival.look}#{arrival.attempt}",
                    partition_key=key or None,
                    tags={
                        SOURCE_TAG: self._source.name,
                        LOOK_TAG: arrival.look,
                        ATTEMPT_TAG: str(arrival.attempt),
                    },
                )
            )


def _polled(source: Source, seen: Mapping[str, Seen], memory: Memory, now: datetime) -> Sequence[str]:
    """The partitions that are looked at, oldest first."""
    if source.partitions is None:
        return [""]
    if source.takes_files:
        return files_of(source)
    complete = source.partitions.keys(now)
    if not isinstance(source.partitions, Periods):
        return complete
    wanted = {*complete[-NEWEST:], *memory.arrivals}
    return [key for key in complete if key in wanted or key not in seen or not seen[key].complete]


def _going_on(keys: Sequence[str], last: str | None) -> Sequence[str]:
    """Partitions in the order in which they are looked at: on from where the tick before stopped."""
    if last is None or last not in keys:
        return keys
    place = keys.index(last) + 1
    return [*keys[place:], *keys[:place]]


def _attempts(instance: dg.DagsterInstance, arrivals: Iterable[Arrival]) -> Mapping[str, Attempt]:
    """The newest run of each arrival that was tried, whoever asked for it."""
    looks = [arrival.look for arrival in arrivals if arrival.is_tried]
    if not looks:
        return {}
    found: dict[str, Attempt] = {}
    for record in instance.get_run_records(dg.RunsFilter(tags={LOOK_TAG: looks})):  # the newest first
        run = record.dagster_run
        number = int(run.tags.get(ATTEMPT_TAG, "1"))
        earlier = found.get(run.tags[LOOK_TAG])
        if earlier is not None:
            found[run.tags[LOOK_TAG]] = earlier._replace(number=max(earlier.number, number))
            continue
        ended = datetime.fromtimestamp(record.end_time or record.update_timestamp.timestamp(), UTC)
        found[run.tags[LOOK_TAG]] = Attempt(number, _status(run), ended)
    return found


def _status(run: dg.DagsterRun) -> Literal["under way", "succeeded", "failed"]:
    if not run.is_finished or run.tags.get(_WILL_RETRY) == "true":
        return "under way"
    return "succeeded" if run.is_success else "failed"
