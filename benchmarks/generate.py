"""Makes the benchmark's files: the feed with its bad records, and the clean rows alone, in three variants.

Everything follows from the seed, the number of records and the variant. A record is one line. Records are made in
chunks, so that memory does not grow with the file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import numpy as np
import polars as pl

from benchmarks.bad_records import KINDS, spoil
from benchmarks.feed import BAD_SHARE, CATEGORIES, MAX_QUANTITY, SCHEMA, SEED, VARIANTS, Files, files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.feed import Variant

CHUNK: Final = 250_000
"""Records made at once."""
BLOCK: Final = 1_000
"""Neighbours that stay together, in another order, when records are reordered."""

HEADER: Final = (",".join(SCHEMA.names) + "\n").encode()
_FIRST: Final = ("Ana", "Björn", "Chloé", "Dmitri", "Eve", "Farid", "Greta", "Hana", "Ivo", "Jun", "Kofi", "Lucía")
_LAST: Final = ("Abel", "Brown", "Çelik", "Dvořák", "Evans", "Fischer", "García", "Horvat, Jr.", 'O"Neil', "Zhang")
_NOTES: Final = (
    "fragile",
    "sold by the dozen",
    "see the catalogue, page 12",
    "returns: 30 days",
    'called "the classic"',
    "naïve café façade",
    "last of its series; no more will be made after this one has been sold",
)
_NO_NOTE: Final = 0.6
_NO_WEIGHT: Final = 0.05
_SECONDS_A_YEAR: Final = 365 * 24 * 3600
_YEAR_2010: Final = np.datetime64("2010-01-01T00:00:00", "s")


def generate(folder: Path, variant: Variant, records: int, seed: int = SEED) -> Files:
    """Make the files of a variant, unless they are there.

    Args:
        folder: Where they are kept; made if need be.
        variant: Which.
        records: Number of records in the feed.
        seed: Decides every value.
    """
    made = files(folder, variant, records, seed)
    if made.feed.exists() and made.clean.exists():
        return made
    folder.mkdir(parents=True, exist_ok=True)
    begun = Files(*(path.with_suffix(".part") for path in (made.feed, made.clean)))
    with begun.feed.open("wb") as feed, begun.clean.open("wb") as clean:
        for file in (feed, clean):
            file.write(HEADER)
        for lines, bad in _chunks(variant, records, seed):
            feed.write(_joined(lines))
            clean.write(_joined(lines.filter(pl.Series(~bad))))
    for ready, path in ((begun.feed, made.feed), (begun.clean, made.clean)):
        os.replace(ready, path)  # noqa: PTH105 -- the same call, in the order read
    return made


def _chunks(variant: Variant, records: int, seed: int) -> Iterator[tuple[pl.Series, np.ndarray]]:
    """The lines (Binary) of each chunk, and which of them are bad."""
    starts = range(0, records, CHUNK)
    for start in reversed(starts) if variant == "reordered" else starts:
        size = min(CHUNK, records - start)
        lines, bad = _with_bad_records(_lines(start, size, seed, variant), start, seed)
        if variant == "reordered":
            order = _order(_random(seed, start, "order"), size)
            lines, bad = lines.gather(order), bad[order]
        yield lines, bad


def _order(random: np.random.Generator, size: int) -> np.ndarray:
    """Another order of a chunk: blocks of neighbours change places, and so do the neighbours.

    A publisher's dump comes like that. Records thrown about one by one would cost psql half as much again, since it
    takes rows as they come, and flatter who sorts.
    """
    ranks = random.permutation(size // BLOCK + 1)
    return np.lexsort((random.random(size), ranks[np.arange(size) // BLOCK]))


def _random(seed: int, start: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng([seed, start, *purpose.encode()])


def _lines(start: int, size: int, seed: int, variant: Variant) -> pl.Series:
    """Good records as lines, each with its line end."""
    frame = _values(start, size, seed, variant)
    texts = [_as_text(name).fill_null("") for name in SCHEMA.names]
    return frame.select(pl.concat_str([*texts[:-1], texts[-1] + "\n"], separator=",").cast(pl.Binary)).to_series()


def _values(start: int, size: int, seed: int, variant: Variant) -> pl.DataFrame:
    keys = (np.arange(start, start + size) * 10 + _random(seed, start, "keys").integers(1, 11, size)).astype(np.int64)
    changed = variant == "changed"
    random = _random(seed, start, "changed" if changed else "first")
    letters = np.array([f"{a}{b}{c}-" for a in "ABCDEFGH" for b in "KLMNOP" for c in "STUVWXYZ"])
    years = 7 if changed else 0  # so that no record is drawn as it was
    return pl.DataFrame(
        {
            "id": keys,
            "code": _drawn(random, letters, size),
            "code_number": random.integers(0, 10_000, size),
            "first": _drawn(random, np.array(_FIRST), size),
            "last": _drawn(random, np.array(_LAST), size),
            "name_number": random.integers(1, 100_000, size),
            "category": _drawn(random, np.array(CATEGORIES), size),
            "quantity": random.integers(0, MAX_QUANTITY + 1, size),
            "weight": random.integers(1, 10**7, size) / 1000,
            "weighed": random.random(size) >= _NO_WEIGHT,
            "cents": (10 ** random.uniform(1, 9, size)).astype(np.int64),
            "active": random.random(size) < 0.8,
            "listed_on": np.datetime64("2001-01-01") + random.integers(0, 8000, size).astype("timedelta64[D]"),
            "counted_at": _moments(random, size, 0),
            "changed_at": _moments(random, size, years),
            "note": _drawn(random, np.array(_NOTES), size),
            "noted": random.random(size) >= _NO_NOTE,
        }
    )


def _drawn(random: np.random.Generator, choices: np.ndarray, size: int) -> pl.Series:
    return pl.Series(choices.tolist()).gather(random.integers(0, len(choices), size))


def _moments(random: np.random.Generator, size: int, years: int) -> np.ndarray:
    """Whole seconds in the seven years from 2010, moved by some years."""
    seconds = random.integers(0, 7 * _SECONDS_A_YEAR, size) + years * _SECONDS_A_YEAR
    return (_YEAR_2010 + seconds.astype("timedelta64[s]")).astype("datetime64[us]")


def _as_text(name: str) -> pl.Expr:
    """One column as the publisher writes it; null where there is no value."""
    special = {
        "code": pl.concat_str("code", pl.col("code_number").cast(pl.String).str.zfill(4)),
        "name": _quoted(pl.concat_str("first", "last", "name_number", separator=" ")),
        "weight": pl.when("weighed").then(pl.col("weight").cast(pl.String)),
        "price": pl.concat_str(
            (pl.col("cents") // 100).cast(pl.String),
            pl.lit("."),
            (pl.col("cents") % 100).cast(pl.String).str.zfill(2),
        ),
        "counted_at": pl.col("counted_at").dt.strftime("%Y-%m-%dT%H:%M:%S"),
        "changed_at": pl.col("changed_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "note": pl.when("noted").then(_quoted(pl.col("note"))),
    }
    return special.get(name, pl.col(name).cast(pl.String))


def _quoted(text: pl.Expr) -> pl.Expr:
    doubled = text.str.replace_all('"', '""', literal=True)
    return pl.when(text.str.contains('[,"]')).then(pl.concat_str(pl.lit('"'), doubled, pl.lit('"'))).otherwise(text)


def _with_bad_records(lines: pl.Series, start: int, seed: int) -> tuple[pl.Series, np.ndarray]:
    """Spoil the declared share of records, every kind as often as the others."""
    random = _random(seed, start, "bad")
    places = np.sort(random.choice(len(lines), round(len(lines) * BAD_SHARE), replace=False))
    bad = np.zeros(len(lines), dtype=bool)
    bad[places] = True
    spoilt = [
        spoil(line, KINDS[number % len(KINDS)]) for number, line in enumerate(lines.gather(places).to_list(), start)
    ]
    all_lines = pl.concat([lines, pl.Series(spoilt, dtype=pl.Binary)])
    order = np.arange(len(lines))
    order[places] = len(lines) + np.arange(len(places))
    return all_lines.gather(order), bad


def _joined(lines: pl.Series) -> bytes:
    """The bytes of all lines, one after the other."""
    return b"".join(lines)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("records", type=int)
def main(folder: Path, records: int) -> None:
    """Make the files of every variant, unless they are there."""
    for variant in VARIANTS:
        generate(folder, variant, records)


if __name__ == "__main__":
    main()
