"""Makes random histories: each depends only on its seed."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Final, get_args

from etl_assets_tests.chaos.history import (
    AT_ONCE,
    BATCH_POINTS,
    BIT_FLIPPED,
    CLOCK_STEPPED,
    CONNECTION_CUT,
    CONNECTION_DELAYED,
    CUTS,
    DISK_FULL,
    FAULTS,
    KILLED,
    KILLED_ANY_TIME,
    LANDING_POINTS,
    LOAD_POINTS,
    PAD,
    PARTITIONS,
    POINTS,
    SESSION_ENDED,
    ZOMBIE,
    Declared,
    Fault,
    History,
    Mode,
    Step,
)

if TYPE_CHECKING:
    from etl_assets_tests.chaos.history import Action, Cut

_WEIGHTS: Final = (30, 14, 10, 10, 2, 1, 9, 4, 4, 2, 4, 12)
_PUBLISHED: Final = 0.6
"""The share of runs before which something is published, so that there is something to load."""
_OF_FILES: Final = (DISK_FULL, CLOCK_STEPPED, BIT_FLIPPED)


def random_history(
    seed: int,
    focus: tuple[str, ...] = (),
    cuts: tuple[Cut, ...] = (),
    modes: tuple[Mode, ...] = (),
    *,
    in_dagster: bool = False,
) -> History:
    """Return the history of a seed.

    Args:
        seed: Any number.
        focus: Only these kinds of faults; all by default. Such a history is short, of many batches, and ends with
            another declaration as often as not.
        cuts: Only sources that are cut so; by default most are cut into files.
        modes: Only sources with these write modes; all by default.
        in_dagster: See `History`.
    """
    random = Random(seed)  # noqa: S311 -- no secret
    cut: Cut = random.choice(cuts) if cuts else random.choices(("files", "days", "frames"), (7, 2, 1))[0]
    wide = random.random() < (0.9 if focus == (AT_ONCE,) else 0.12)
    maker = _Maker(random, cut, focus, wide=wide, faulty=0.3 if in_dagster else 0.85)
    declared = Declared() if cut == "frames" else maker.declaration(Declared())
    steps = maker.steps(declared)
    batch_bytes = random.choice([2_000, 4_000] if wide else [64, 100] if focus else [64, 100, 4_096])
    mode: Mode = "upsert"
    if cut != "frames":
        mode = Random(f"mode {seed}").choice(modes or get_args(Mode))  # noqa: S311 -- no secret
    if mode != "upsert":
        declared, steps = replace(declared, ordered=False), tuple(map(_without_order, steps))
    return History(
        seed=seed,
        cut=cut,
        batch_bytes=batch_bytes,
        replaces=random.random() < 0.5,
        declared=declared,
        in_dagster=in_dagster,
        steps=steps,
        mode=mode,
    )


def _without_order(step: Step) -> Step:
    """Return a step whose declaration has no order column, which only `Upsert` can have."""
    declared = step.declared and replace(step.declared, ordered=False)
    return replace(step, declared=declared, beside=tuple(map(_without_order, step.beside)))


class _Maker:
    """Makes the steps of one history."""

    def __init__(self, random: Random, cut: Cut, focus: tuple[str, ...], *, wide: bool, faulty: float) -> None:
        self._random = random
        self._cut = cut
        self._wide = wide
        self._faulty = faulty
        self._focused = bool(focus)
        self._length = (5, 9) if focus else (9, 16)
        kinds = focus or FAULTS
        if cut == "frames":
            kinds = tuple(kind for kind in kinds if kind not in _OF_FILES) or (KILLED,)
        self._kinds = kinds
        self._weights = [_WEIGHTS[FAULTS.index(kind)] for kind in kinds]

    def steps(self, declared: Declared) -> tuple[Step, ...]:
        """Return the steps: some partitions are published and run, then anything happens."""
        keys = PARTITIONS[self._cut]
        steps = [self._publish(key) for key in keys if self._random.random() < 0.8]
        steps += [self._run("run", key) for key in keys if self._random.random() < 0.6]
        for _ in range(self._random.randint(*self._length)):
            step = self._step(declared)
            declared = step.declared or declared
            if step.action == "run" and self._random.random() < _PUBLISHED:
                steps.append(self._publish(step.partition))
            steps.append(step)
            if step.action == "publish" and self._random.random() < 0.7:
                steps.append(self._run("run", step.partition))
        if self._focused and self._cut != "frames" and self._random.random() < 0.5:
            steps.append(Step("declare", declared=self.declaration(declared)))
        return tuple(steps)

    def _step(self, declared: Declared) -> Step:
        key = self._random.choice(PARTITIONS[self._cut])
        if self._cut == "frames":
            return self._random.choice([self._publish(key), self._run("run", key)])
        actions: tuple[Action, ...] = ("publish", "run", "land", "load", "reload", "replay", "correct", "dismiss")
        action = self._random.choices((*actions, "declare"), (4, 5, 1, 1, 5, 1, 3, 1, 3))[0]
        match action:
            case "publish":
                return self._publish(key)
            case "declare":
                return Step("declare", declared=self.declaration(declared))
            case "dismiss":
                return Step("dismiss", which=self._random.randrange(6))
            case "correct":
                step = self._run("correct", key)
                return replace(step, which=self._random.randrange(6), records=(self._record(key),))
            case _:
                return self._run(action, key, declared)

    def declaration(self, before: Declared) -> Declared:
        """Return another declaration; a column that is declared stays declared."""
        random = self._random
        return Declared(
            maximum=random.choice([None, 1, 2]),
            ordered=random.random() < 0.4,
            merged=random.random() < 0.3,
            two_is_null=random.random() < 0.4,
            extra=before.extra or random.random() < 0.3,
        )

    def _publish(self, key: str) -> Step:
        random = self._random
        if self._cut == "frames":
            rows = random.sample(range(8), random.randint(1, 6))
            return Step("publish", key, records=tuple(f"{n},{random.choice([1, 1, 2, 7])}" for n in rows))
        if self._wide:
            records = [self._record(key, f"k{n % 60:02}") for n in range(random.randint(120, 240))]
            random.shuffle(records)
            return Step("publish", key, records=tuple(records))
        number = random.choice([3, 4, 6] if self._focused else [1, 2, 3, 3, 4, 6])
        malformed = [random.choice(["a", f"{self._record(key)},1"])] if random.random() < 0.15 else []
        return Step("publish", key, records=(*(self._record(key) for _ in range(number)), *malformed))

    def _record(self, key: str, code: str = "") -> str:
        random = self._random
        fields = [
            code or random.choice("aabcd" if self._focused else "aaab"),
            random.choice(["1", "1", "2", "7", "bad"] if not code else ["1", "2", "3", "7", "bad"]),
            random.choice("11123"),
            PAD,
            random.choice("ef"),
        ]
        if self._cut == "days":
            other = random.random() < 0.1
            fields.insert(0, random.choice(PARTITIONS["days"]) if other else key)
        return ",".join(fields)

    def _run(self, action: Action, key: str, declared: Declared | None = None) -> Step:
        fault = self._fault(action) if self._random.random() < self._faulty else None
        if fault is None:
            return Step(action, key)
        if fault.kind == AT_ONCE:
            return Step(action, key, beside=tuple(self._beside(action) for _ in range(self._random.choice([1, 2, 2]))))
        if fault.kind == BIT_FLIPPED and action not in {"load", "reload"}:
            action = "reload"
        if fault.kind in {DISK_FULL, CLOCK_STEPPED} and action not in {"run", "land"}:
            action = "run"
        if fault.kind == ZOMBIE and declared is not None and self._random.random() < (0.9 if self._focused else 0.6):
            return Step(action, key, declared=self.declaration(declared), fault=fault)
        return Step(action, key, fault=fault)

    def _beside(self, action: Action) -> Step:
        """Return a run of any partition at the same time; sometimes it is met by a fault itself."""
        key = self._random.choice(PARTITIONS[self._cut])
        actions: tuple[Action, ...] = ("run", "run", "reload", "replay")
        if self._cut == "frames":
            actions = ("run",)
        elif action == "run":
            actions = ("run", *actions)
        fault = self._kill() if self._random.random() < 0.2 else None
        return Step(self._random.choice(actions), key, fault=fault)

    def _kill(self) -> Fault:
        return Fault(KILLED, self._random.choice(LOAD_POINTS), self._random.choice([1, 1, 2, 3]))

    def _fault(self, action: Action) -> Fault:
        random = self._random
        kind = random.choices(self._kinds, self._weights)[0]
        times, share = random.choice([1, 1, 1, 1, 2, 3]), random.random()
        if kind == CONNECTION_CUT:
            return Fault(kind, random.choice(CUTS), times, share)
        if kind in {KILLED_ANY_TIME, CONNECTION_DELAYED, DISK_FULL, CLOCK_STEPPED, BIT_FLIPPED, AT_ONCE}:
            return Fault(kind, share=share)
        points: tuple[str, ...] = LOAD_POINTS if action != "run" else POINTS
        if action == "land":
            points = LANDING_POINTS
        if action in {"replay", "correct"} or kind in {ZOMBIE, SESSION_ENDED}:
            points = BATCH_POINTS
        return Fault(kind, random.choice(points), times, share)
