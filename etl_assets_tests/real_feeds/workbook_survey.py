"""What becomes of many workbooks: how many are read, and why the others are refused."""

from __future__ import annotations

import io
import re
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.excel.format import Excel

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SUFFIXES: Final = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods", ".xslx")
_NAMES: Final = tuple(f"column {number}" for number in range(256))
_SHEETS: Final = re.compile(r"it has (.*?)\. Nothing")


class Survey(NamedTuple):
    """Counts of workbooks.

    Attributes:
        read: By type: those of which the first sheet with cells was read.
        refused: By the reason: those that were refused.
        rules: How many of the records that were read break each rule.
    """

    read: Counter[str]
    refused: Counter[str]
    rules: Counter[str]


def survey(paths: Iterable[Path]) -> Survey:
    """Read the first visible sheet of each workbook, with declared names."""
    found = Survey(Counter(), Counter(), Counter())
    for path in paths:
        try:
            rules = rules_of(path.read_bytes())
        except DeliveryError as error:
            found.refused[reason(str(error))] += 1
        else:
            found.read[path.suffix] += 1
            found.rules.update(rules)
    return found


def rules_of(data: bytes) -> Counter[str]:
    """Read the only sheet with cells, or the first one; return how many records break each rule."""
    try:
        return _rules_of(data, None)
    except DeliveryError as error:
        if "several sheets have cells" not in str(error):
            raise
        (listed,) = _SHEETS.findall(str(error))
        first = next(name for name in re.findall(r"'(.*?)'(?: \(.*?\))?(?:,|$)", listed) if f"'{name}' (" not in listed)
        return _rules_of(data, first)


def _rules_of(data: bytes, sheet: str | None) -> Counter[str]:
    format_ = Excel(sheet=sheet, header=_NAMES, seconds=60)
    batches = format_.read(io.BytesIO(data), "")
    return Counter(rule for batch in batches for rules in batch.malformed["rules"] for rule in rules)


def reason(text: str) -> str:
    """Return why a workbook was refused, without names of parts and errors."""
    problem = text.removeprefix("The workbook cannot be read: ").partition(". Nothing")[0]
    return re.sub(r"\(.*?\)|part \S+", "", problem).strip()
