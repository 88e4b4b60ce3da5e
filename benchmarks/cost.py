"""What a scenario of `benchmarks.costs` is, and what its measurements come to: medians, ratios and limits.

Nothing is measured here. A scenario yields what each of its cases took, round by round; cases take turns, so that the
ratio of a case to its base is the median of pairs of the same round.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from benchmarks.outcome import Grid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from benchmarks.lab import Lab

Size = Literal["quick", "usual", "full"]
"""``quick`` shows that a scenario works; ``usual`` is what ``make bench`` measures; ``full`` takes its time."""
HEADS: Final = (
    "scenario",
    "case",
    "s",
    "client CPU s",
    "server CPU s",
    "CPU s for each",
    "ratio",
    "of each pair",
    "besides",
    "limits",
)


@dataclass(frozen=True)
class Cost:
    """What something took, once.

    Attributes:
        seconds: From its start to its end.
        client: Processor seconds of our process, or of dlt's.
        server: Processor seconds of every process of the database server in that time.
        counts: What else was counted, by its name in the table, e.g. ``events``.
    """

    seconds: float
    client: float
    server: float
    counts: Mapping[str, float] = field(default_factory=dict)

    @property
    def cpu(self) -> float:
        """Processor seconds of client and server."""
        return self.client + self.server


@dataclass(frozen=True)
class Case:
    """One thing that a scenario measures, once in each round.

    Attributes:
        title: For people.
        unit: What the processor seconds are divided by, in the singular.
        units: How many of them there are.
        base: Title of the case to which this one is compared; the empty text if there is none.
        by: What is compared.
        limits: Names of measures, and the largest values that are aimed at: of `Cost`, of its ``counts``, ``each`` for
            the seconds of a unit, or ``ratio``.
        least: The ratio that is aimed at is at least this; None where nothing is.
    """

    title: str
    unit: str = "run"
    units: float = 1
    base: str = ""
    by: Literal["cpu", "seconds"] = "cpu"
    limits: tuple[tuple[str, float], ...] = ()
    least: float | None = None


Measurements: TypeAlias = "Iterator[tuple[Case, Cost]]"


@dataclass(frozen=True)
class Scenario:
    """What a module of `benchmarks.costs` measures.

    Attributes:
        title: For people.
        about: What is done, in a sentence or two, for the results file.
        measure: Measures every case in each of some rounds.
        usual: Whether `make bench` measures it; it then takes no more than two minutes or so.
    """

    title: str
    about: str
    measure: Callable[[Lab, Size], Measurements]
    usual: bool = True


def cost_grid(rows: Iterable[tuple[str, ...]]) -> Grid:
    """Return the one table of the rows of every scenario."""
    return Grid("Seconds, and processor seconds of client and server (medians)", HEADS, tuple(rows))


def rows_of(scenario: Scenario, measured: Iterable[tuple[Case, Cost]], size: Size) -> list[tuple[str, ...]]:
    """Return a row for each case of a scenario; at a small size, limits mean nothing and are left out."""
    costs: dict[Case, list[Cost]] = {}
    for case, cost in measured:
        shown = replace(case, limits=(), least=None) if size == "quick" else case
        costs.setdefault(shown, []).append(cost)
    by_title = {case.title: taken for case, taken in costs.items()}
    return [(scenario.title, *_cells(case, taken, by_title.get(case.base, ()))) for case, taken in costs.items()]


def ratios(case: Case, taken: Sequence[Cost], base: Sequence[Cost]) -> list[float]:
    """Return what a case took over what its base took, in each round."""
    pairs = zip(taken, base, strict=True) if base else ()
    return [getattr(cost, case.by) / getattr(other, case.by) for cost, other in pairs if getattr(other, case.by)]


def _cells(case: Case, taken: Sequence[Cost], base: Sequence[Cost]) -> tuple[str, ...]:
    compared = ratios(case, taken, base)
    names = dict.fromkeys(name for cost in taken for name in cost.counts)
    counts = {name: median(cost.counts.get(name, 0) for cost in taken) for name in names}
    each = median(cost.cpu for cost in taken) / case.units
    values = {
        **counts,
        "seconds": median(cost.seconds for cost in taken),
        "client": median(cost.client for cost in taken),
        "server": median(cost.server for cost in taken),
        "each": median(cost.seconds for cost in taken) / case.units,
    }
    if compared:
        values["ratio"] = median(compared)
    return (
        case.title,
        *(f"{values[name]:.2f}" for name in ("seconds", "client", "server")),
        f"{_short(each)} a {case.unit}",
        f"{values['ratio']:.2f}" if compared else "",
        " ".join(f"{ratio:.2f}" for ratio in compared),
        ", ".join(f"{value:,.0f} {name}" for name, value in counts.items()),
        "; ".join(_verdicts(case, values)),
    )


def _short(value: float) -> str:
    """Three digits of a number, or all those before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _verdicts(case: Case, values: Mapping[str, float]) -> Iterator[str]:
    for name, limit in case.limits:
        if name in values:
            yield f"{name} {limit:g}: {'within' if values[name] <= limit else '**above**'}"
    if case.least is not None and "ratio" in values:
        yield f"ratio at least {case.least:g}: {'reached' if values['ratio'] >= case.least else '**below**'}"
