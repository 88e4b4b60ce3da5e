"""Write Data Docs: the results of audits as a folder of pages that need only a browser.

Great Expectations renders the expectations and their results. Our own frame and style are in ``pages``, because the
library's pages are unreadable without style sheets and scripts from six other sites. A page shows counts, and the keys
of a few rows unless a key column is sensitive; it shows no other values of records. Only this account can read the
folder.

```
data_docs/index.html                    every table with its last audits
data_docs/flights/index.html            the newest audit of one table
data_docs/flights/20260301T041500Z.html one of the last ten audits
data_docs/flights/20260301T041500Z.json the entry of that audit in the index
```
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from etl_assets.audit import library
from etl_assets.model.expectation_types import ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.audit.examination import TableAudit
    from etl_assets.model.check_result import CheckResult
    from etl_assets.model.expectation import Expectation

FOLDER: Final = "data_docs"
KEPT: Final = 10
"""Number of audits of a table that are kept."""
_PAGES: Final = Path(__file__).parent / "pages"
_OVERVIEW: Final = 1
"""Number of leading sections of the library that our own frame replaces."""


@dataclass(frozen=True)
class _Entry:
    """The entry of one audit in the index; stored as JSON."""

    page: str
    at: str
    run_id: str
    rows: int
    asked: int
    met: int
    waiting: int = 0
    missing: int = 0


@dataclass(frozen=True)
class Beside:
    """What the rows of a table do not show: what belongs in it and is not there.

    Attributes:
        waiting: How many records wait in the quarantine.
        missing: The partitions that should be loaded and are not.
    """

    waiting: int = 0
    missing: tuple[str, ...] = ()


def index_of(home: Path) -> Path:
    """Return the path of the start page, under the home of a warehouse."""
    return home / FOLDER / "index.html"


def page_of(home: Path, source: str) -> Path:
    """Return the path of the page with the newest audit of a source's table."""
    return home / FOLDER / source / "index.html"


def publish(home: Path, examination: TableAudit, run_id: str, beside: Beside = Beside()) -> Path:
    """Write the page of an audit and the index, and delete the audits beyond the newest ``KEPT``.

    Args:
        home: Home of the warehouse; the folder of the pages is made in it.
        examination: The results of the audit.
        run_id: Id of the Dagster run of the audit.
        beside: What belongs in the table and is not there.

    Returns:
        The page of the newest audit of the table.
    """
    newest = page_of(home, examination.source)
    index_of(home).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    newest.parent.mkdir(mode=0o700, exist_ok=True)
    name = f"{examination.at:%Y%m%dT%H%M%SZ}"
    met = sum(result.passed for result in examination.answers)
    entry = _Entry(
        page=f"{name}.html",
        at=f"{examination.at:%Y-%m-%d %H:%M:%S} UTC",
        run_id=run_id,
        rows=examination.rows,
        asked=len(examination.answers),
        met=met,
        waiting=beside.waiting,
        missing=len(beside.missing),
    )
    entries = [entry, *(before for before in _entries(newest.parent) if before.page != entry.page)]
    page = _page(examination, entry, entries[:KEPT], beside)
    _write(newest.with_name(entry.page), page)
    _write(newest.with_name(f"{name}.json"), json.dumps(asdict(entry)))
    _write(newest, page)
    for stale in entries[KEPT:]:
        old = newest.with_name(stale.page)
        old.with_suffix(".json").unlink(missing_ok=True)
        old.unlink(missing_ok=True)
    _write(index_of(home), _index(home / FOLDER))
    return newest


def _write(path: Path, text: str) -> None:
    """Replace a file atomically, so that no reader sees a part of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _entries(folder: Path) -> list[_Entry]:
    """Read the entries of one table, newest first."""
    return [_Entry(**json.loads(path.read_text("utf-8"))) for path in sorted(folder.glob("*Z.json"), reverse=True)]


def _view() -> Any:
    """Make the library's view, which finds our pages besides its own templates."""
    return library.load_submodule("render.view").DefaultJinjaPageView(custom_views_directory=str(_PAGES))


def _index(folder: Path) -> str:
    tables = [
        (path.name, entries) for path in sorted(folder.iterdir()) if path.is_dir() and (entries := _entries(path))
    ]
    page: str = _view().env.get_template("index.html").render(tables=tables)
    return page


def _page(examination: TableAudit, entry: _Entry, entries: Sequence[_Entry], beside: Beside) -> str:
    renderer = library.load_submodule("render.renderer.page_renderer").ValidationResultsPageRenderer()
    document = renderer.render(_results(examination, entry)).to_json_dict()
    document["sections"] = document["sections"][_OVERVIEW:]
    values = {"examination": examination, "entry": entry, "entries": entries, "beside": beside}
    page: str = _view().env.get_template("table.html").render(document, **values)
    return page


def _results(examination: TableAudit, entry: _Entry) -> Any:
    """Convert the results to the library's own result of a suite."""
    module = library.load_submodule("core.expectation_validation_result")
    pairs = zip(examination.suite.expectations, examination.answers, strict=True)
    return module.ExpectationSuiteValidationResult(
        success=entry.met == entry.asked,
        suite_name=examination.table,
        results=[_result(module, expectation, result) for expectation, result in pairs],
        statistics={
            "evaluated_expectations": entry.asked,
            "successful_expectations": entry.met,
            "unsuccessful_expectations": entry.asked - entry.met,
            "success_percent": 100 * entry.met / max(entry.asked, 1),
        },
        meta={
            "great_expectations_version": library.load().__version__,
            "run_id": {"run_name": entry.run_id, "run_time": examination.at.isoformat()},
            "active_batch_definition": {},
        },
    )


def _result(module: Any, expectation: Expectation, result: CheckResult) -> Any:
    configuration = library.load_submodule("expectations.expectation_configuration").ExpectationConfiguration
    details: dict[str, Any] = {
        "observed_value": f"{result.failed_records} rows" if expectation.type == ROWS else result.observed
    }
    rows, failed = result.records, result.failed_records
    if rows:
        details |= {"element_count": rows, "unexpected_count": failed, "unexpected_percent": 100 * failed / rows}
        details["partial_unexpected_list"] = []
    return module.ExpectationValidationResult(
        success=result.passed,
        expectation_config=configuration(
            type=expectation.type, kwargs=dict(expectation.arguments), description=escape(expectation.description)
        ),
        result=details,
        exception_info={"raised_exception": False, "exception_message": None, "exception_traceback": None},
    )
