"""The sensor that replays parked records when their parents have arrived.

The annotations are not postponed here, because Dagster reads those of the sensor.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

import dagster as dg

from etl_assets import ingest
from etl_assets.graph.keys import REPLAY, SOURCE_TAG
from etl_assets.graph.resource import open_warehouse
from etl_assets.graph.run_config import replay_config
from etl_assets.graph.runs.one_by_one import Failures
from etl_assets.landing import Warehouse
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import quarantine
from etl_assets.postgres.runs.asset_metadata import newest_batch
from etl_assets.source import Source

RELEASE: Final = "release_parked"
RELEASE_SECONDS: Final = 60


def release_sensor(sources: Mapping[str, Source]) -> dg.SensorDefinition:
    """Return the sensor that replays parked records when their parents have arrived.

    After a tick finds nothing to release for a source, later ticks skip the source until records are parked or a parent
    table is written. The sensor requests a failed replay again after an hour.

    Args:
        sources: All known sources, by name.
    """
    parking = {name: source for name, source in sources.items() if parked_on(source)}

    @dg.sensor(
        name=RELEASE,
        job_name=REPLAY,
        minimum_interval_seconds=RELEASE_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Replays parked records whose parents have arrived.",
    )
    def release(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        handled: dict[str, str] = json.loads(context.cursor or "{}")
        requests: list[dg.RunRequest] = []
        warehouse = open_warehouse()
        at = datetime.now(UTC)
        failures = Failures()
        for name, source in parking.items():
            with failures.of(name):
                state = _state(source, sources, warehouse, at)
                if handled.get(name) != state and (ids := ingest.releasable_ids(source, warehouse)):
                    requests.append(_request(name, ids, at))
                else:
                    handled[name] = state
        with connected(warehouse.url) as connection:
            failures.report(connection, RELEASE)
        if not requests:
            context.update_cursor(json.dumps(handled))
            return dg.SkipReason(f"No parent of a parked record has arrived.{failures}")
        return dg.SensorResult(run_requests=requests, cursor=json.dumps(handled))

    return release


def _request(name: str, ids: Sequence[int], at: datetime) -> dg.RunRequest:
    """Return the request to replay records of a source; the same records are requested once an hour."""
    return dg.RunRequest(
        run_key=f"{name} {sha256(repr(ids).encode()).hexdigest()} {at:%Y-%m-%dT%H}",
        run_config=replay_config(name, released=True),
        tags={SOURCE_TAG: name},
    )


def parked_on(source: Source) -> frozenset[str]:
    """Return the parent tables for whose rows records of a source may be parked."""
    return frozenset(lookup.table for lookup in source.schema.lookups if lookup.missing == "park")


def _state(source: Source, sources: Mapping[str, Source], warehouse: Warehouse, at: datetime) -> str:
    """Return a text that stays the same as long as no further parked record can be released.

    If a parent table belongs to no known source, the text differs at every tick.
    """
    names = {known.table: name for name, known in sources.items()}
    tables = parked_on(source)
    unknown_tables = at.isoformat() if tables - names.keys() else ""
    with connected(warehouse.url) as connection:
        parked = quarantine.count_waiting(connection, source.name)["parked"]
        if not parked:
            return "none"
        newest = newest_batch(connection, [names[table] for table in tables if table in names])
    return f"{parked} {newest} {unknown_tables}"
