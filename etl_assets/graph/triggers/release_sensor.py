"""The sensor that replays parked records when what they refer to has arrived.

Dagster reads the annotations of what it calls, which is why they are not postponed here.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

import dagster as dg

from etl_assets import ingest
from etl_assets.graph.keys import REPLAY, SOURCE_TAG
from etl_assets.graph.resource import open_warehouse
from etl_assets.graph.run_config import replay_config
from etl_assets.landing import Warehouse
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import quarantine
from etl_assets.postgres.runs.asset_metadata import newest_batch
from etl_assets.source import Source

RELEASE_SECONDS: Final = 60


def release_sensor(sources: Mapping[str, Source]) -> dg.SensorDefinition:
    """The sensor that replays parked records when what they refer to has arrived.

    A source is looked at again only when records were parked, or tables that they wait for were written, since it was
    last found to have nothing to release. A replay that fails is asked for again after an hour.

    Args:
        sources: All that are known, by name.
    """
    parking = {name: source for name, source in sources.items() if parked_on(source)}

    @dg.sensor(
        name="release_parked",
        job_name=REPLAY,
        minimum_interval_seconds=RELEASE_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Replays parked records whose parents have arrived.",
    )
    def release(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        seen: dict[str, str] = json.loads(context.cursor or "{}")
        requests: list[dg.RunRequest] = []
        warehouse = open_warehouse()
        at = datetime.now(UTC)
        for name, source in parking.items():
            state = _state(source, sources, warehouse, at)
            if seen.get(name) == state:
                continue
            ids = ingest.releasable(source, warehouse)
            if not ids:
                seen[name] = state
                continue
            requests.append(
                dg.RunRequest(
                    run_key=f"{name} {sha256(repr(ids).encode()).hexdigest()} {at:%Y-%m-%dT%H}",
                    run_config=replay_config(name, released=True),
                    tags={SOURCE_TAG: name},
                )
            )
        if not requests:
            context.update_cursor(json.dumps(seen))
            return dg.SkipReason("No parked record's parents have arrived.")
        return dg.SensorResult(run_requests=requests, cursor=json.dumps(seen))

    return release


def parked_on(source: Source) -> frozenset[str]:
    """The tables whose rows records of a source may wait for."""
    return frozenset(lookup.table for lookup in source.schema.lookups if lookup.missing == "park")


def _state(source: Source, sources: Mapping[str, Source], warehouse: Warehouse, at: datetime) -> str:
    """A text that stays the same as long as nothing can have been released."""
    names = {known.table: name for name, known in sources.items()}
    tables = parked_on(source)
    strangers = at.isoformat() if tables - names.keys() else ""
    with connected(warehouse.url) as connection:
        parked = quarantine.waiting(connection, source.name)["parked"]
        newest = newest_batch(connection, [names[table] for table in tables if table in names])
    return f"{parked} {newest} {strangers}" if parked else "none"
