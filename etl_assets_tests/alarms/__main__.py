"""Writes docs/alarm-quality.md: the alerts of every real and of generated feeds, held against their truth."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from etl_assets_tests.alarms import generated, real
from etl_assets_tests.alarms.judging import Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from etl_assets_tests.alarms.feed import Feed

DOCUMENT: Final = Path(__file__).parents[2] / "docs/alarm-quality.md"
SEEDS: Final = 20
_HEAD: Final = """# Quality of alarms

Are the alerts of the [monitors](drift-and-monitors.md#monitors) worth having? Here each feed is compared delivery by
delivery, by the code of the monitors, and each alert is held against what is true of the feed. Written by
`python -m etl_assets_tests.alarms`; the real feeds are in the folder that `ETL_ASSETS_REAL_FEEDS` names.

* **found** are the changes with an alert at the delivery that brought them; of swapped columns, one that names the two.
* **right** is an alert that opened with a true change, or while it lasted.
* **left open** are alerts that were open at the end though their cause was gone, or though there was none.

| feed | deliveries | true changes | found | alerts | right | precision | left open |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""
_TAIL: Final = """
## How the truth was found

The truth of a generated feed is how it was made; each kind is made {seeds} times, with {length} deliveries, by
`etl_assets_tests/alarms/generated.py`. That of a real feed is in `etl_assets_tests/alarms/truths.py`, with the reason
for each change: somebody looked at the alerts and at the feed, and asked whether its owner would want to know. So a
true change that neither showed is not counted as missing.

Of the weather, precipitation, visibility and gusts are not watched: they are nearly always the same; rain is no fault.
With all columns watched, there are {weather} alerts, most of them about these. Declare
`Monitors(columns={{"precip": None}})` for such columns.

## Every alert about a real feed

| feed | opened | resolved | alert | right |
| --- | --- | --- | --- | --- |
"""


def main() -> None:
    """Write the document."""
    if "ETL_ASSETS_REAL_FEEDS" not in os.environ:
        raise SystemExit("ETL_ASSETS_REAL_FEEDS names no folder of real feeds; nothing was written.")
    feeds = real.all_feeds()
    rows, total = _rows(feeds)
    of_generated, generated_total = _rows(generated.all_kinds(range(SEEDS)))
    head = f"{_HEAD}{rows}{_row('**real feeds**', total)}{of_generated}{_row('**generated feeds**', generated_total)}"
    head += _row("**all**", total + generated_total)
    tail = _TAIL.format(seeds=SEEDS, length=generated.LENGTH, weather=len(real.weather_by_day().alerts()))
    DOCUMENT.write_text(f"{head}{tail}{''.join(map(_alerts, feeds))}", encoding="utf-8")


def _rows(feeds: Iterable[Feed]) -> tuple[str, Verdict]:
    """Return a row for each name of a feed, and the sum of all."""
    verdicts: dict[str, Verdict] = {}
    for feed in feeds:
        verdict = judge(feed, feed.alerts())
        verdicts[feed.name] = verdicts[feed.name] + verdict if feed.name in verdicts else verdict
    nothing = Verdict(0, 0, 0, 0, 0, 0)
    return "".join(_row(name, verdict) for name, verdict in verdicts.items()), sum(verdicts.values(), nothing)


def _row(name: str, verdict: Verdict) -> str:
    numbers = (verdict.deliveries, verdict.truths, verdict.found, verdict.alerts, verdict.right)
    counts = " | ".join(f"{number:,}" for number in numbers)
    return f"| {name} | {counts} | {verdict.precision:.2f} | {verdict.left_open} |\n"


def _alerts(feed: Feed) -> str:
    return "".join(
        f"| {feed.name} | {alert.opened} | {alert.resolved or 'open'} | {alert.subject} | "
        f"{'yes' if judge(feed, [alert]).right else 'no'} |\n"
        for alert in feed.alerts()
    )


if __name__ == "__main__":
    main()
