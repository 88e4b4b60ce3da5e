"""Histories of one source: what its publisher, people and runs do, and which faults meet the runs.

`random_histories` makes histories, `trial` carries them out, and `oracle` computes what they must end in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Cut = Literal["files", "days", "frames"]
"""How the source is cut: a partition for each file, disjoint days, or the partitions of a DataFrame asset."""
Mode = Literal[
    "upsert", "snapshot", "marked", "append", "replace", "history", "history of snapshots", "ordered history"
]
"""The write mode of a source; a DataFrame asset has another one, by `History.replaces`."""
Action = Literal["publish", "run", "land", "load", "reload", "replay", "correct", "dismiss", "declare"]

PARTITIONS: Final[dict[Cut, tuple[str, ...]]] = {
    "files": ("p.csv", "q.csv", "r.csv"),
    "days": ("2024-01-01", "2024-01-02", "2024-01-03"),
    "frames": ("a", "b"),
}
"""The keys of the partitions, oldest first; each key is also the rank of its partition."""

PAD: Final = "x" * 25
"""Makes a record about forty bytes long, so that one or two records are a batch of the smallest size."""

LANDING_POINTS: Final = ("bytes frozen", "manifest stored", "delivery recorded")
BATCH_POINTS: Final = (
    "before the fence",
    "after the fence",
    "after the lookups",
    "in COPY",
    "after the rows",
    "after the entry",
    "in COMMIT",
    "after COMMIT",
)
LOAD_POINTS: Final = (
    "load begun",
    *BATCH_POINTS,
    "before completing",
    "after completing",
    "before concluding",
)
POINTS: Final = (*LANDING_POINTS, *LOAD_POINTS)
"""Where a run can be stopped: each is reached before or after one call in the run."""
CUTS: Final = ("at some byte", "before COMMIT", "after COMMIT")

KILLED: Final = "SIGKILL at a named point"
KILLED_ANY_TIME: Final = "SIGKILL at a random time"
ZOMBIE: Final = "SIGSTOP, takeover, SIGCONT"
SESSION_ENDED: Final = "session ended by the server"
SERVER_CRASH: Final = "immediate stop and restart of the server"
SUPERVISOR_KILLED: Final = "SIGKILL of the server's supervisor"
CONNECTION_CUT: Final = "connection cut"
CONNECTION_DELAYED: Final = "connection delayed"
DISK_FULL: Final = "no room in the landing store"
CLOCK_STEPPED: Final = "clock stepped"
BIT_FLIPPED: Final = "digit flipped in the landing store"
AT_ONCE: Final = "runs at once"
FAULTS: Final = (
    KILLED,
    KILLED_ANY_TIME,
    ZOMBIE,
    SESSION_ENDED,
    SERVER_CRASH,
    SUPERVISOR_KILLED,
    CONNECTION_CUT,
    CONNECTION_DELAYED,
    DISK_FULL,
    CLOCK_STEPPED,
    BIT_FLIPPED,
    AT_ONCE,
)


@dataclass(frozen=True)
class Declared:
    """What changes in the declaration of the source.

    Attributes:
        maximum: The greatest amount that is valid; None for any.
        ordered: Whether the version decides which record of a key is newer.
        merged: Whether the transformer is declared, which makes one key of two and leaves records out.
        two_is_null: Whether the publisher means a missing amount by 2.
        extra: Whether the last published column is declared. A history never takes it back.
    """

    maximum: int | None = None
    ordered: bool = False
    merged: bool = False
    two_is_null: bool = False
    extra: bool = False


@dataclass(frozen=True)
class Fault:
    """A fault that meets one run.

    Attributes:
        kind: One of `FAULTS`.
        point: One of `POINTS`, or of `CUTS` for a connection; empty if the fault comes at a random time.
        times: How many times the point is reached before the fault comes, from 1.
        share: A number from 0 to 1 that chooses the time, the byte or the size.
    """

    kind: str
    point: str = ""
    times: int = 1
    share: float = 0.5


@dataclass(frozen=True)
class Step:
    """One step of a history.

    Attributes:
        action: What is done.
        partition: The key of the partition that is published, landed or loaded.
        which: Chooses among the records that wait in the quarantine.
        records: The records that are published, or the one that a person enters as a correction.
        declared: The declaration from now on; for a zombie, the one of the run that takes over.
        fault: The fault that meets the run; None if it is left alone.
        beside: Runs that are started at the same time.
    """

    action: Action
    partition: str = ""
    which: int = 0
    records: tuple[str, ...] = ()
    declared: Declared | None = None
    fault: Fault | None = None
    beside: tuple[Step, ...] = ()


@dataclass(frozen=True)
class History:
    """A source and what happens to it.

    Attributes:
        seed: What the history was made from.
        cut: How the source is cut.
        batch_bytes: Size of a batch.
        replaces: For a DataFrame asset: whether a frame replaces the rows of its partition.
        declared: The first declaration.
        in_dagster: Whether replays that no fault meets go through Dagster's job.
        steps: In order.
        mode: The write mode of the source.
    """

    seed: int
    cut: Cut
    batch_bytes: int
    replaces: bool
    declared: Declared
    in_dagster: bool
    steps: tuple[Step, ...]
    mode: Mode = "upsert"
