"""What the processes of a trial do: land, load, replay and finish, as runs of the source do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

import polars as pl

from etl_assets import doctor, ingest, watch
from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.csv import Csv
from etl_assets.graph.assets import frames
from etl_assets.graph.assets.stream import Stream
from etl_assets.landing import LandingStore, Warehouse
from etl_assets.load.writers import Append, Replace, Snapshot, Upsert
from etl_assets.load.writers import History as Versions
from etl_assets.model.partitions import Daily, Files, Partition
from etl_assets.postgres.connection import connected
from etl_assets.postgres.runs import results
from etl_assets.schema import Column, Schema
from etl_assets.source import Source
from etl_assets.transform import Transformer
from etl_assets_tests.chaos.processes import Flags

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from etl_assets.load.writers import Writer
    from etl_assets_tests.chaos.history import Declared, History, Mode


def day_of(name: str) -> date:
    """Return the day of a partition; q.csv and r.csv are of the same."""
    return {"p.csv": date(2024, 1, 1), "q.csv": date(2024, 1, 2), "r.csv": date(2024, 1, 2)}.get(name) or (
        date.fromisoformat(name)
    )


WRITERS: Final[dict[Mode, Writer]] = {
    "upsert": Upsert(),
    "snapshot": Snapshot(max_deleted=1.0, swap_from=1),
    "marked": Snapshot(max_deleted=1.0, mark=True),
    "append": Append(),
    "replace": Replace(),
    "history": Versions(dated=day_of),
    "history of snapshots": Versions(snapshot=Snapshot(max_deleted=1.0), dated=day_of),
    "ordered history": Versions(),
}
NAME: Final = "goods"
RUN: Final = "run"
_PASSES: Final = 3


@dataclass(frozen=True)
class Merged(Transformer):
    """Makes one key of two, and leaves records out."""

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["version"] < 3].replace({"code": {"b": "a"}})


@dataclass(frozen=True)
class Dated(Transformer):
    """Adds the day of January that the version is.

    Attributes:
        merged: Whether it does what `Merged` does as well.
    """

    merged: bool

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.assign(at=[date(2024, 1, version) for version in frame["version"]])
        return Merged().transform(frame) if self.merged else frame


@dataclass(frozen=True)
class Runs:
    """The runs of one trial's source.

    Attributes:
        history: Says how the source is cut.
        folder: Has what is published, in ``feed``, and the landing store, in ``landing``.
        url: Of the warehouse.
    """

    history: History
    folder: Path
    url: str

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.url, LandingStore(str(self.folder / "landing")))

    def source(self, declared: Declared) -> Source:
        """Return the source under a declaration."""
        days = self.history.cut == "days"
        amount = Column("amount", "integer", maximum=declared.maximum, null=("2",) if declared.two_is_null else ())
        columns = [
            Column("code", "text", required=True),
            amount,
            Column("version", "integer", required=True),
            Column("pad", "text"),
        ]
        if days:
            columns.insert(0, Column("day", "date", required=True))
        if declared.extra:
            columns.append(Column("extra", "text"))
        order = "version" if declared.ordered else None
        transformer: Transformer | None = Merged() if declared.merged else None
        if self.history.mode == "ordered history":
            columns.append(Column("at", "date", required=True, derived=True))
            order, transformer = "at", Dated(declared.merged)
        return Source(
            name=NAME,
            description="Goods in stock.",
            owner="team:tests",
            extractor=FileExtractor(
                location=str(self.folder / "feed" / ("{start:%Y-%m-%d}.csv" if days else "*.csv")),
                format=Csv(batch_bytes=self.history.batch_bytes),
                settle_seconds=0.0,
            ),
            schema=Schema(tuple(columns), key=self._key, order_by=order),
            partitions=Daily(date(2024, 1, 1), column="day") if days else Files(),
            transformer=transformer,
            write=WRITERS[self.history.mode],
            max_rejected=1.0,
            runs_at_once=4,
            fillfactor=45 if self.history.seed % 4 == 3 else None,  # for half of the trials that replace rows
        )

    @property
    def _key(self) -> tuple[str, ...]:
        if not WRITERS[self.history.mode].needs_key:
            return ()
        return ("day", "code") if self.history.cut == "days" else ("code",)

    def land(self, declared: Declared, key: str, flags: Flags | None = None) -> None:
        """Land what is published for a partition, and check its columns."""
        source = self.source(declared)
        delivery = ingest.land(source, source.partition(key), self.warehouse).delivery
        if flags is not None:
            flags.set(Flags.LANDED)
        watch.observe_delivery(source, delivery, self.warehouse)
        ingest.admit(source, delivery, self.warehouse)

    def load(self, declared: Declared, key: str, *, force: bool = False) -> None:
        """Load what was landed for a partition, and reload what is stale."""
        source = self.source(declared)
        stream = Stream(source, source.partition(key), RUN, force=force, batches=(), on_refusal=lambda *_: None)
        stream.load(self.warehouse)

    def replay(self, declared: Declared, ids: Sequence[int] | None, flags: Flags) -> None:
        """Replay records of the quarantine; all that wait if no ids are given."""
        ingest.replay(self.source(declared), self.warehouse, RUN, ids)
        flags.set(Flags.REPLAYED)

    def write_frame(self, key: str, records: Sequence[bytes], flags: Flags | None = None) -> None:
        """Write the frame that an asset has computed for a partition."""
        frames.write_frame(frame_of(key, records), self.frame_target(key), self.warehouse, RUN)
        if flags is not None:
            flags.set(Flags.LANDED)

    def frame_target(self, key: str) -> frames.FrameTarget:
        """Return where the frames of a partition are written."""
        write = Snapshot(max_deleted=1.0) if self.history.replaces else Upsert()
        table = f"core.{NAME}"
        return frames.FrameTarget("asset goods", table, table, Partition(key, key), ("part", "id"), write)

    def sha256_of_frame(self, key: str, records: Sequence[bytes]) -> str:
        """Return the SHA-256 under which a frame is delivered."""
        return frames._manifest(frame_of(key, records), self.frame_target(key)).sha256

    def finish(self, declared: Declared, current: Mapping[str, Sequence[bytes]]) -> None:
        """Run every partition until nothing is stale, as a person does after faults.

        Args:
            declared: The last declaration.
            current: The partitions for which something is published, with its records.
        """
        if self.history.cut == "frames":
            for key, records in current.items():
                self.write_frame(key, records)
            return
        for _ in range(_PASSES):
            for key in current:
                self.land(declared, key)
                self.load(declared, key)
            source = self.source(declared)
            with connected(self.url) as connection:
                if results.complete_partitions(connection, source.name, source.fingerprint) == set(current):
                    return
        raise AssertionError(f"{_PASSES} passes are not enough")

    def examine(self) -> list[str]:
        """Return the violations that the doctor finds."""
        return [f"{each.invariant}: {each.subject} {each.problem}" for each in doctor.examine(self.warehouse)]


def frame_of(key: str, records: Sequence[bytes]) -> pl.DataFrame:
    """Return the frame of a partition."""
    rows = [tuple(map(int, record.decode().split(","))) for record in records]
    schema = {"part": pl.String, "id": pl.Int64, "amount": pl.Int64}
    return pl.DataFrame([(key, *row) for row in rows], schema=schema, orient="row")
