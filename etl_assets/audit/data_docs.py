"""Data Docs: what the auditor found, as a folder of pages that need nothing but a browser.

Great Expectations renders the expectations and their results; the frame around them and the look are in ``pages``,
since the library's own pages are unreadable without the style sheets and scripts of six other sites. A page says
counts, and keys of a few rows unless a key is sensitive; no other value of a record.

```
data_docs/index.html                    every table, newest examination
data_docs/flights/index.html            the newest examination of one table
data_docs/flights/20260301T041500Z.html one of the last ten, and what the index says of it beside it, as JSON
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

    from etl_assets.audit.examination import Examination
    from etl_assets.model.check_result import CheckResult
    from etl_assets.model.expectation import Expectation

FOLDER: Final = "data_docs"
KEPT: Final = 10
"""So many examinations of a table are kept."""
_PAGES: Final = Path(__file__).parent / "pages"
_OVERVIEW: Final = 1
"""The library's own first section, which the frame replaces."""


@dataclass(frozen=True)
class _Entry:
    """What the index says of one examination."""

    page: str
    at: str
    run_id: str
    rows: int
    asked: int
    met: int


def index_of(home: Path) -> Path:
    """The page with which to begin, under the home of a warehouse."""
    return home / FOLDER / "index.html"


def page_of(home: Path, source: str) -> Path:
    """The page of the newest examination of a source's table."""
    return home / FOLDER / source / "index.html"


def publish(home: Path, examination: Examination, run_id: str) -> Path:
    """Write the page of an examination and the index, and drop the oldest beyond those that are kept.

    Args:
        home: Of the warehouse; the folder of the pages is made in it.
        examination: What was found.
        run_id: Dagster's, of the run that asked.

    Returns:
        The page of the newest examination of the table.
    """
    newest = page_of(home, examination.source)
    newest.parent.mkdir(parents=True, exist_ok=True)
    name = f"{examination.at:%Y%m%dT%H%M%SZ}"
    met = sum(said.passed for said in examination.answers)
    entry = _Entry(
        page=f"{name}.html",
        at=f"{examination.at:%Y-%m-%d %H:%M:%S} UTC",
        run_id=run_id,
        rows=examination.rows,
        asked=len(examination.answers),
        met=met,
    )
    entries = [entry, *(before for before in _entries(newest.parent) if before.page != entry.page)]
    page = _page(examination, entry, entries[:KEPT])
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
    """Put a file in its place whole, whoever reads it meanwhile."""
    made = path.with_name(f".{path.name}.{os.getpid()}")
    made.write_text(text, encoding="utf-8")
    made.replace(path)


def _entries(folder: Path) -> list[_Entry]:
    """The examinations of one table, newest first."""
    return [_Entry(**json.loads(path.read_text("utf-8"))) for path in sorted(folder.glob("*Z.json"), reverse=True)]


def _view() -> Any:
    """The library's view, which finds our pages beside its own parts of pages."""
    return library.part("render.view").DefaultJinjaPageView(custom_views_directory=str(_PAGES))


def _index(folder: Path) -> str:
    tables = [
        (path.name, entries) for path in sorted(folder.iterdir()) if path.is_dir() and (entries := _entries(path))
    ]
    page: str = _view().env.get_template("index.html").render(tables=tables)
    return page


def _page(examination: Examination, entry: _Entry, entries: Sequence[_Entry]) -> str:
    renderer = library.part("render.renderer.page_renderer").ValidationResultsPageRenderer()
    document = renderer.render(_results(examination, entry)).to_json_dict()
    document["sections"] = document["sections"][_OVERVIEW:]
    page: str = (
        _view().env.get_template("table.html").render(document, examination=examination, entry=entry, entries=entries)
    )
    return page


def _results(examination: Examination, entry: _Entry) -> Any:
    """What was found, as the library's own result."""
    made = library.part("core.expectation_validation_result")
    pairs = zip(examination.suite.expectations, examination.answers, strict=True)
    return made.ExpectationSuiteValidationResult(
        success=entry.met == entry.asked,
        suite_name=examination.table,
        results=[_result(made, expectation, said) for expectation, said in pairs],
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


def _result(made: Any, expectation: Expectation, said: CheckResult) -> Any:
    configuration = library.part("expectations.expectation_configuration").ExpectationConfiguration
    found: dict[str, Any] = {
        "observed_value": f"{said.failed_records} rows" if expectation.type == ROWS else said.observed
    }
    if said.records:
        share = 100 * said.failed_records / said.records
        found |= {"element_count": said.records, "unexpected_count": said.failed_records, "unexpected_percent": share}
        found["partial_unexpected_list"] = []
    return made.ExpectationValidationResult(
        success=said.passed,
        expectation_config=configuration(
            type=expectation.type, kwargs=dict(expectation.arguments), description=escape(expectation.description)
        ),
        result=found,
        exception_info={"raised_exception": False, "exception_message": None, "exception_traceback": None},
    )
