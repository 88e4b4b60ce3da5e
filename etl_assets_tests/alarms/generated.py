"""Feeds from a seed, each with one thing in it: a trend, a season, a level shift; how they are made is their truth."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from etl_assets.model.profile import RANKS, ColumnProfile
from etl_assets.schema import Column, Schema
from etl_assets_tests.alarms.feed import Feed, Sent, Truth

if TYPE_CHECKING:
    from collections.abc import Callable

    Made = tuple[Feed, ...]
    Change = Callable[[int, dict[str, float]], dict[str, float]]

MEANS: Final = {"price": 20.0, "weight": 75.0, "quantity": 400.0, "discount": 3.0}
_SCHEMA: Final = Schema(
    columns=(Column("id", "integer", required=True), *(Column(name, "float") for name in MEANS)), key=("id",)
)
_FIRST: Final = date(2023, 1, 2)
_ROWS: Final = 5_000
_NOISE: Final = 0.02
LENGTH: Final = 120
AT: Final = 80
"""Where what happens in a feed happens."""


def all_kinds(seeds: range) -> list[Feed]:
    """Return every kind of feed, for each seed."""
    return [feed for seed in seeds for feed in _of_seed(seed)]


def _of_seed(seed: int) -> list[Feed]:  # noqa: C901 -- one function for each kind
    def steady(place: int, means: dict[str, float]) -> dict[str, float]:  # noqa: ARG001 -- a change like others
        return means

    def swap(place: int, means: dict[str, float]) -> dict[str, float]:
        return means if place != AT else {**means, "price": means["weight"], "weight": means["price"]}

    def swap_after_shift(place: int, means: dict[str, float]) -> dict[str, float]:
        shifted = shift(place, means)
        return shifted if place != AT + 3 else {**shifted, "price": shifted["weight"], "weight": shifted["price"]}

    def shift(place: int, means: dict[str, float]) -> dict[str, float]:
        return {**means, "price": means["price"] * (1 if place < AT else 1.6)}

    def shift_and_back(place: int, means: dict[str, float]) -> dict[str, float]:
        return {**means, "price": means["price"] * (1.6 if AT <= place < AT + 4 else 1)}

    def unit(place: int, means: dict[str, float]) -> dict[str, float]:
        return {**means, "weight": means["weight"] * (1 if place < AT else 1000)}

    def trend(place: int, means: dict[str, float]) -> dict[str, float]:
        return {**means, "quantity": means["quantity"] * 1.02**place}

    def drift(place: int, means: dict[str, float]) -> dict[str, float]:
        return {**means, "discount": means["discount"] * (1 + 0.003 * place)}

    def season(place: int, means: dict[str, float]) -> dict[str, float]:
        return {**means, "quantity": means["quantity"] * (0.4 if place % 7 > 4 else 1)}

    def year(place: int, means: dict[str, float]) -> dict[str, float]:
        return {**means, "quantity": means["quantity"] * (1 + 0.6 * math.sin(place * math.pi / 6))}

    at, after = _name(AT), _name(AT + 3)
    back = _name(AT + 4)
    return [
        _feed("steady", seed, steady),
        _feed("trend", seed, trend, growth=1.02),
        _feed("weekly season", seed, season, weekend=0.3),
        _feed("yearly season, monthly deliveries", seed, year, days=30),
        _feed("slow drift", seed, drift),
        _feed("level shift", seed, shift, Truth(at, "level shift", "price is 1.6 times as high", columns=("price",))),
        _feed(
            "level shift and back", seed, shift_and_back, Truth(at, "level shift", "for four days", back, ("price",))
        ),
        _feed("unit change", seed, unit, Truth(at, "unit change", "kilograms became grams", columns=("weight",))),
        _feed("swap", seed, swap, Truth(at, "swap", "price and weight", _name(AT + 1), ("price", "weight"))),
        _feed(
            "swap after a level shift",
            seed,
            swap_after_shift,
            Truth(at, "level shift", "price is 1.6 times as high", columns=("price",)),
            Truth(after, "swap", "price and weight", back, ("price", "weight")),
        ),
        _feed(
            "gap", seed, steady, Truth(at, "gap", "hardly any records for two days", _name(AT + 2)), gap=(AT, AT + 2)
        ),
    ]


def _feed(
    kind: str,
    seed: int,
    change: Change,
    *truths: Truth,
    growth: float = 1.0,
    weekend: float = 1.0,
    days: int = 1,
    gap: tuple[int, int] = (0, 0),
) -> Feed:
    chance = random.Random(f"{kind} {seed}")  # noqa: S311 -- no secrets
    sent = []
    for place in range(LENGTH):
        day = _FIRST + timedelta(days=place)
        if days > 1:
            day = date(2010 + place // 12, place % 12 + 1, 1)
        records = _ROWS * growth**place * (weekend if days == 1 and place % 7 > 4 else 1) * (1 + chance.gauss(0, 0.05))
        if gap[0] <= place < gap[1]:
            records *= 0.03
        means = change(place, {name: mean * (1 + chance.gauss(0, _NOISE)) for name, mean in MEANS.items()})
        spreads = change(place, {name: mean * 0.25 * (1 + chance.gauss(0, _NOISE)) for name, mean in MEANS.items()})
        profiles = {name: _profile(name, int(records), means[name], spreads[name]) for name in MEANS}
        sent.append(Sent(_name(place), int(records), profiles, day))
    return Feed(kind, _SCHEMA, sent, truths)


def _profile(name: str, rows: int, mean: float, spread: float) -> ColumnProfile:
    quantiles = {rank: mean + 4 * spread * (rank - 0.5) for rank in RANKS}
    profile = ColumnProfile(name, rows, int(rows * 0.02), 300.0, mean=mean, deviation=spread, quantiles=quantiles)
    return replace(profile, distinct=min(300.0, float(rows)))


def _name(place: int) -> str:
    return f"day {place + 1}"
