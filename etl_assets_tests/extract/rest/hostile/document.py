"""Writes ``docs/hostile-servers.md`` from what the scenarios give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from etl_assets_tests.documented import ROOT
from etl_assets_tests.extract.rest.hostile import (
    addresses,
    contents,
    pages,
    refusals,
    transfers,
    unnoticed,
)
from etl_assets_tests.extract.rest.hostile.run import landed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets_tests.extract.rest.hostile.scenario import Scenario

DOCUMENT: Final = ROOT / "docs/hostile-servers.md"
GROUPS: Final[Mapping[str, Sequence[Scenario]]] = {
    "Slow, broken and too large answers": transfers.SCENARIOS,
    "Answers that lead elsewhere": addresses.SCENARIOS,
    "Pages": pages.SCENARIOS,
    "Contents of a page": contents.SCENARIOS,
    "Refusals, limits and logins": refusals.SCENARIOS,
    "What no client can notice": unnoticed.SCENARIOS,
}
NOTICED: Final = tuple(scenario for group in list(GROUPS.values())[:-1] for scenario in group)
UNNOTICED: Final = unnoticed.SCENARIOS
_INTRODUCTION: Final = """\
# Hostile servers

What a [`RestExtractor`](rest-apis.md) does about servers that are slow, broken, wrong or hostile. For each of them:

* **It is right.** Either every record that the server published is in the landed delivery, as often as it was
  published, or the delivery is refused and nothing is landed. A record that cannot be parsed is landed as a malformed
  record and goes to the [quarantine](quarantine.md).
* **It is bounded.** Time is bounded by `deadline`, requests by `attempts` and `max_pages`, bytes by `max_page_bytes`
  and `max_bytes`. A page takes a few times its bytes of memory; of its records, one batch is in memory at a time.
* **It is explained.** An error names what happened, that nothing was written, and what to do. It contains neither
  secrets nor contents of records. The login goes to no other host, scheme or port than that of the declared address,
  and a next page is asked for nowhere else.

`etl_assets_tests/extract/rest/hostile` has a server for each row. `make test` runs them all, polls and previews them,
too, and compares this document with what came of it. To write it again:

```sh
.venv/bin/python -m etl_assets_tests.extract.rest.hostile
```

Where a row does not say otherwise, six records are published, in pages of two or in one page, and `attempts` is 4. A
deadline that ends a fetch is 0.9 seconds, `max_page_bytes` is 1 MB for pages that are too large, and `max_pages` is 5
for those that never end. `requests` counts what the API received, repeated requests too. The last table has what cannot
be noticed, and what helps.
"""


def text() -> str:
    """Return the document."""
    return _INTRODUCTION + "".join(f"\n## {title}\n\n{_table(scenarios)}" for title, scenarios in GROUPS.items())


def _table(scenarios: Sequence[Scenario]) -> str:
    rows = "".join(_row(scenario) for scenario in scenarios)
    return f"| the server … | what happens | requests | bound |\n| --- | --- | --- | --- |\n{rows}"


def _row(scenario: Scenario) -> str:
    run = landed(scenario)
    return f"| {scenario.server} | {run.outcome(scenario.missing)} | {run.requests} | {scenario.bound} |\n"
