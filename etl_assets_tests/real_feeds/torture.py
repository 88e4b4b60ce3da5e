"""Reads files that were made or collected to break readers, and counts what becomes of them.

``python -m etl_assets_tests.real_feeds.torture`` prints the table; ``--write`` writes it to docs/formats.md. The files
are in the folder ``torture`` of the real feeds.
"""

from __future__ import annotations

import io
import sqlite3
import sys
from collections import Counter
from typing import TYPE_CHECKING, Final

from etl_assets import Csv, Sqlite, Xml
from etl_assets.errors import DeliveryError
from etl_assets_tests.documented import ROOT
from etl_assets_tests.real_feeds.json_verdicts import in_record, verdict
from etl_assets_tests.real_feeds.taking import FEEDS
from etl_assets_tests.real_feeds.workbook_survey import SUFFIXES, rules_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from etl_assets import Format

BEGIN: Final = "<!-- torture: begin -->\n"
END: Final = "<!-- torture: end -->"
DOCUMENT: Final = ROOT / "docs" / "formats.md"
_TORTURE: Final = FEEDS / "torture"
_JSON: Final = {"y": "must be accepted", "n": "must not be accepted", "i": "may be either"}
_ROOTS: Final = {"simple.xml": "/root/element", "simple-ns.xml": "/{namespace}root/{namespace}element"}


def table() -> str:
    """Return the table of all files, as Markdown; an error that is no `DeliveryError` is raised."""
    lines = ["| files | number | read | read, with malformed records | refused |", "| --- | --- | --- | --- | --- |"]
    for title, outcomes in _counts():
        numbers = (outcomes.total(), *(outcomes[outcome] for outcome in ("read", "malformed", "refused")))
        lines.append(f"| {title} | {' | '.join(map(str, numbers))} |")
    return "\n".join(lines) + "\n"


def _counts() -> Iterator[tuple[str, Counter[str]]]:
    for title, folder in (
        ("csv-spectrum", "csv-spectrum/csvs"),
        ("CleverCSV's examples", "CleverCSV/example"),
        ("frictionless, delimited text", "frictionless/data"),
    ):
        yield f"{title}, as `Csv()`", _of_files(_files(folder, ".csv"), lambda _: Csv(unterminated="report"))
    yield from _of_json()
    xml = _files("defusedxml/xmltestdata", ".xml")
    yield "defusedxml, as `Xml`", _of_files(xml, lambda path: Xml(_ROOTS.get(path.name, "/root/element")))
    for title in ("calamine", "xlrd", "frictionless"):
        yield f"{title}, workbooks as `Excel`", _of_workbooks(_files(title, *SUFFIXES))
    yield (
        "pgloader, tables of SQLite files as `Sqlite`",
        _of_databases(_files("pgloader", ".db", ".sqlite", ".sqlite3")),
    )


def _files(folder: str, *suffixes: str) -> list[Path]:
    files = (_TORTURE / folder).rglob("*")
    return sorted(path for path in files if path.is_file() and path.suffix.lower() in suffixes)


def outcome(format_: Format, path: Path) -> str:
    """Return whether a file is ``read``, has ``malformed`` records, or is ``refused``."""
    try:
        batches = list(format_.read(io.BytesIO(path.read_bytes()), ""))
        return "malformed" if sum(batch.malformed.height for batch in batches) else "read"
    except DeliveryError:
        return "refused"


def _of_files(files: list[Path], format_: Callable[[Path], Format]) -> Counter[str]:
    return Counter(outcome(format_(path), path) for path in files)


def _of_json() -> Iterator[tuple[str, Counter[str]]]:
    words = {"accepted": "read", "quarantined": "malformed", "refused": "refused"}
    for letter, title in _JSON.items():
        files = sorted((_TORTURE / "JSONTestSuite" / "test_parsing").glob(f"{letter}_*.json"))
        found = Counter(words[verdict(in_record(path.read_bytes()), "$.records")] for path in files)
        yield f"JSONTestSuite, that {title}, each as a value in a record of `Json`", found


def _of_workbooks(files: list[Path]) -> Counter[str]:
    found: Counter[str] = Counter()
    for path in files:
        try:
            found["malformed" if rules_of(path.read_bytes()) else "read"] += 1
        except DeliveryError:
            found["refused"] += 1
    return found


def _of_databases(files: list[Path]) -> Counter[str]:
    found: Counter[str] = Counter()
    for path in files:
        with sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True) as connection:
            names = connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            )
            found.update(outcome(Sqlite(table=name), path) for (name,) in names.fetchall())
    return found


def documented() -> str:
    """Return the table in the document."""
    return DOCUMENT.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    """Print the table, or write it."""
    found = table()
    if "--write" not in sys.argv:
        sys.stdout.write(found)
        return
    before, _, rest = DOCUMENT.read_text("utf-8").partition(BEGIN)
    DOCUMENT.write_text(before + BEGIN + found + END + rest.partition(END)[2], "utf-8")


if __name__ == "__main__":
    main()
