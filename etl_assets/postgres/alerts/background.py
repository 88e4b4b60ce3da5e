"""What messages say besides their alerts: owner and downstream of a source, and counts of runs.

A sender may be a process without declarations. Therefore processes that have them keep here what messages need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from psycopg.rows import dict_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.postgres.alerts.alerts import Alert
    from etl_assets.postgres.connection import Connection

COUNTED: Final = ("read", "accepted", "rejected", "filtered", "inserted", "updated", "deleted")
"""The counts of a run that a message shows."""


class DeclaredSource(NamedTuple):
    """What is kept of a declaration.

    Attributes:
        owner: Who is responsible for the source.
        downstream: Keys of the assets downstream, as ``core/flights``.
    """

    owner: str
    downstream: tuple[str, ...]


def keep(connection: Connection, sources: Mapping[str, DeclaredSource]) -> None:
    """Keep what messages need of declarations; what is unchanged is not written again."""
    if not sources:
        return
    rows = connection.execute("SELECT source, owner, downstream FROM etl.declared_source").fetchall()
    kept = {name: DeclaredSource(owner, tuple(downstream)) for name, owner, downstream in rows}
    changed = {name: source for name, source in sources.items() if kept.get(name) != source}
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO etl.declared_source (source, owner, downstream) VALUES (%s, %s, %s) "
            "ON CONFLICT (source) DO UPDATE SET owner = EXCLUDED.owner, downstream = EXCLUDED.downstream",
            [(name, source.owner, list(source.downstream)) for name, source in sorted(changed.items())],
        )


def of_source(connection: Connection, source: str) -> DeclaredSource:
    """Return what is kept of a source; nothing, if nothing is."""
    row = connection.execute(
        "SELECT owner, downstream FROM etl.declared_source WHERE source = %s", (source,)
    ).fetchone()  # fmt: skip
    return DeclaredSource(row[0], tuple(row[1])) if row is not None else DeclaredSource("", ())


def counts_of(connection: Connection, alerts: Sequence[Alert]) -> dict[str, int]:
    """Return the sums of the counts of the runs that alerts are about; nothing, if they are about no run."""
    sums = ", ".join(f"sum({name})::bigint AS {name}" for name in COUNTED)
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            f"SELECT count(*) AS runs, {sums} FROM etl.run r JOIN (SELECT DISTINCT * FROM "
            "unnest(%s::text[], %s::text[], %s::text[]) AS a (run_id, source, partition)) a "
            "ON (r.run_id, r.source, r.partition) = (a.run_id, a.source, a.partition)",
            (
                [alert.run_id for alert in alerts],
                [alert.source for alert in alerts],
                [alert.partition for alert in alerts],
            ),
        ).fetchone()
    return {name: row[name] for name in COUNTED} if row is not None and row["runs"] else {}
