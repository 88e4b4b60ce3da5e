"""What a small delivery asks of the warehouse, from its landing to the end of its run: statements and connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psycopg.pq import Trace

from etl_assets import ingest, watch
from etl_assets.graph.assets import checks
from etl_assets.graph.assets.stream import Stream
from etl_assets.graph.runs.run_record import RunRecord
from etl_assets.postgres.connection import connected, in_session
from etl_assets_tests.ingest.world import World

if TYPE_CHECKING:
    from pathlib import Path

MOST: Final = 101
"""With those that begin and end transactions, and four of this test itself."""


def take(world: World, file: str) -> None:
    """Land and load a file as the steps of a run do, and enter its check results and the end of its run."""
    source, warehouse = world.source, world.warehouse
    partition = source.partition(file)
    record = RunRecord(world.url, "run", source.name, partition.key, source.alert_rules, "core", declaration="")
    record.start()
    landed = ingest.land(source, partition, warehouse)
    watch.observe_delivery(source, landed.delivery, warehouse)
    ingest.admit(source, landed.delivery, warehouse)
    stream = Stream(source, partition, "run", force=False, batches=(), on_refusal=refuse)
    stream.load(warehouse)
    results = in_session(world.url, lambda session: checks.loaded_results(source, session, stream.reports))
    record.checks(landed.delivery.id, results)
    record.end(landed.delivery.id)


def refuse(*_: object) -> None:
    raise AssertionError("the delivery was refused")


def test_a_small_delivery_sends_few_statements_on_one_connection(migrated_url: str, tmp_path: Path) -> None:
    world = World(migrated_url, tmp_path, files=True)
    for number in range(10):
        world.publish(*(f"{letter}{'abcdefghij'[number]},{number},x" for letter in "abcdefghij"), file=f"{number}.csv")
    for number in range(9):
        take(world, f"{number}.csv")
    trace = tmp_path / "trace"
    with trace.open("w") as file:
        with connected(migrated_url) as connection:
            connection.pgconn.trace(file.fileno())
            connection.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
        sessions = count_sessions(world)
        take(world, "9.csv")
        assert count_sessions(world) == sessions
        with connected(migrated_url) as same:
            assert same is connection
            same.pgconn.untrace()
    sent = [line for line in trace.read_text().splitlines() if line.split("\t")[2:3] in (["Query"], ["Execute"])]
    assert world.query("SELECT count(*) FROM core.goods") == [(100,)]
    assert 50 < len(sent) <= MOST, "\n".join(sent)


def count_sessions(world: World) -> list[tuple[Any, ...]]:
    """Return how many sessions the database has had; each enters itself when it begins."""
    return world.query("SELECT sessions FROM pg_stat_database WHERE datname = current_database()")
