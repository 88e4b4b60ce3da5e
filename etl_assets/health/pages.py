"""Writes the health of tables as a folder of pages that need only a browser.

A page shows names, numbers, times and pictures of them, and no values of records. Only this account can read a folder
that is made here; one that is there keeps its rights.

```
status/index.html           every table, worst first
status/tables/flights.html  one table
```
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from etl_assets.explain import stories
from etl_assets.health import pictures
from etl_assets.model.text import escape_control_characters
from etl_assets.postgres.alerts.alerts import clock
from etl_assets.postgres.explain.stories import newest_first
from etl_assets.postgres.health import histories

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from etl_assets.catalog import Catalog
    from etl_assets.explain import DeliveryStory
    from etl_assets.health.judgement import TableHealth
    from etl_assets.postgres.connection import Connection
    from etl_assets.source import Source

FOLDER: Final = "status"
_TABLES: Final = "tables"
_TEMPLATES: Final = Path(__file__).parent / "templates"
_MOST_STORIES: Final = 5
"""So many of the newest deliveries have their stories on a page."""
_FEWEST_ROWS: Final = 5
"""The mean of fewer rows says too much about each."""


@dataclass(frozen=True)
class Places:
    """Where pages are written, and what they link to.

    Attributes:
        folder: Folder of the pages.
        data_docs: Folder of Data Docs.
        ui_url: Of the Dagster UI.
    """

    folder: Path
    data_docs: Path
    ui_url: str

    def docs_of(self, name: str) -> str | None:
        """Return the link from a table's page to its newest audit in Data Docs; None if it was never audited."""
        page = self.data_docs / name / "index.html"
        return quote(os.path.relpath(page, self.folder / _TABLES)) if page.is_file() else None

    @property
    def docs(self) -> str | None:
        """The link from the index to Data Docs; None if there are none."""
        page = self.data_docs / "index.html"
        return quote(os.path.relpath(page, self.folder)) if page.is_file() else None

    def asset(self, name: str) -> str:
        """Return the address of a table's asset in the Dagster UI."""
        return f"{self.ui_url}/assets/core/{quote(name, safe='')}"


@dataclass(frozen=True)
class _ColumnRow:
    """What a page shows of a column: its type, the newest numbers, and their courses."""

    name: str
    type: str
    null_share: float
    distinct: float | None
    nulls: Markup
    means: Markup


def write(connection: Connection, known: Catalog, tables: Sequence[TableHealth], places: Places) -> Path:
    """Write the index and the page of each table; a page that is there is replaced.

    Args:
        connection: To the warehouse; role ``etl_reader`` may read all that is needed.
        known: The declarations.
        tables: The health of the tables, in the order of the index.
        places: Where to write, and what to link to.

    Returns:
        The path of the index.
    """
    templates = _environment()
    at = clock(connection)
    _make_folders(places.folder)
    strips = []
    for table in tables:
        past = histories.deliveries(connection, table.name)
        strips.append((table, pictures.strip(past), past[-1] if past else None))
        values = {"table": table, "past": past, "places": places, "at": at, "pictures": pictures}
        if (source := known.sources.get(table.name)) is not None:
            values |= _details(connection, known, source)
        page = templates.get_template("table.html").render(values)
        _replace(places.folder / _TABLES / f"{table.name}.html", page)
    index = places.folder / "index.html"
    _replace(index, templates.get_template("index.html").render(tables=strips, places=places, at=at))
    return index


def _make_folders(folder: Path) -> None:
    """Make the folders that are missing; if the first one is there, those who may read it may read the other one."""
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True)
    tables = folder / _TABLES
    if not tables.is_dir():
        tables.mkdir()
        tables.chmod(folder.stat().st_mode & 0o777)


def _environment() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    templates.filters["moment"] = lambda at: f"{at:%Y-%m-%d %H:%M}" if at else ""
    templates.filters["number"] = lambda number: f"{number:,.0f}"
    templates.filters["percent"] = lambda share: f"{share:.2%}" if share else "0%"
    templates.filters["plain"] = escape_control_characters
    templates.filters["first_paragraph"] = lambda text: " ".join(text.strip().split("\n\n")[0].split())
    return templates


def _details(connection: Connection, known: Catalog, source: Source) -> dict[str, Any]:
    return {
        "source": source,
        "columns": _columns(connection, source),
        "causes": histories.causes(connection, source.name),
        "changes": histories.changes(connection, source.name),
        "alerts": histories.open_alerts(connection, source.name),
        "downstream": known.downstream(source),
        "stories": _stories(connection, source),
    }


def _stories(connection: Connection, source: Source) -> list[DeliveryStory]:
    ids = [id_ for id_, _ in newest_first(connection, source.name, _MOST_STORIES)]
    return stories(connection, ids, {source.name: source.fingerprint})


def _columns(connection: Connection, source: Source) -> list[_ColumnRow]:
    numbers = histories.columns(connection, source.name)
    rows = []
    for column in source.schema.columns:
        past = numbers.get(column.name)
        if not past:
            continue
        shares = [each.nulls / each.rows if each.rows else None for each in past]
        means = [
            each.mean if each.rows - each.nulls >= _FEWEST_ROWS and not column.sensitive else None for each in past
        ]
        rows.append(
            _ColumnRow(
                column.name,
                column.type.name,
                shares[-1] or 0.0,
                past[-1].distinct,
                pictures.course(f"Share of nulls of {column.name}", shares),
                pictures.course(f"Mean of {column.name}", means),
            )
        )
    return rows


def _replace(path: Path, text: str) -> None:
    """Replace a file atomically, so that no reader sees a part of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
