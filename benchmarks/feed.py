"""The benchmark's feed as it is declared: its schema, its `Source`, its files.

What the files hold is ``generate``'s business; what psql makes of them is ``reference``'s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal, get_args

from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.csv import Csv
from etl_assets.load.writers import Append, History, Snapshot, Upsert
from etl_assets.schema import Column, Schema
from etl_assets.source import Source

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets.load.writers import Writer

NAME: Final = "bench_feed"
KEY: Final = "id"
CATEGORIES: Final = ("audio", "books", "clothes", "garden", "kitchen", "sports", "tools", "toys")
MAX_QUANTITY: Final = 10_000
BAD_SHARE: Final = 0.01
"""Share of the records that break the schema."""
SEED: Final = 20130101
VERSION: Final = 1
"""Part of the files' names: one more whenever the same arguments make other bytes than before."""

Variant = Literal["first", "reordered", "changed"]
"""``first``; the same lines in another order; the same keys with every other value drawn anew."""
VARIANTS: Final[tuple[Variant, ...]] = get_args(Variant)

SCHEMA: Final = Schema(
    columns=(
        Column("id", "integer", required=True, minimum=1),
        Column("code", "text", required=True, pattern="[A-Z]{3}-[0-9]{4}"),
        Column("name", "text", required=True, length=60),
        Column("category", "text", required=True, allowed=CATEGORIES),
        Column("quantity", "integer", required=True, minimum=0, maximum=MAX_QUANTITY),
        Column("weight", "float", minimum=0.0),
        Column("price", "decimal", required=True, minimum=Decimal(0), precision=12, scale=2),
        Column("active", "boolean", required=True),
        Column("listed_on", "date", required=True, minimum=date(2000, 1, 1), maximum=date(2049, 12, 31)),
        Column("counted_at", "timestamp", required=True),
        Column("changed_at", "timestamp", required=True, formats=("%Y-%m-%dT%H:%M:%S%z",)),
        Column("note", "text"),
    ),
    key=(KEY,),
)


MODES: Final[dict[str, Writer]] = {
    "upsert": Upsert(),
    "append": Append(),
    "snapshot": Snapshot(max_deleted=1.0),
    "history": History(),
    "ordered history": History(),
}
"""The write modes that are measured, by name; in an ordered history, ``changed_at`` orders the versions."""


@dataclass(frozen=True)
class Files:
    """The files of one variant.

    Attributes:
        feed: What the publisher would send: a header, then every record, bad ones among them.
        clean: The same without the bad records, in the same order.
    """

    feed: Path
    clean: Path


def files(folder: Path, variant: Variant, records: int, seed: int = SEED) -> Files:
    """Where the files of a variant are, or would be."""
    stem = f"v{VERSION}-{seed}-{records}-{variant}"
    return Files(folder / f"{stem}.feed.csv", folder / f"{stem}.clean.csv")


def source(location: Path, mode: str = "upsert") -> Source:
    """The feed as a source.

    Args:
        location: The file to take as the delivery.
        mode: One of `MODES`.

    Returns:
        A source that consents to the bad records the generator puts in, and to few more.
    """
    return Source(
        name=NAME,
        description="Generated records of mixed types, one in a hundred of them bad.",
        owner="team:benchmarks",
        extractor=FileExtractor(location=str(location), format=Csv()),
        schema=replace(
            SCHEMA,
            key=SCHEMA.key if MODES[mode].needs_key else (),
            order_by="changed_at" if mode == "ordered history" else None,
        ),
        write=MODES[mode],
        max_rejected=2 * BAD_SHARE,
    )
