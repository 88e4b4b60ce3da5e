"""``etl-assets quarantine import``: takes what was edited in a sheet of records as corrections."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from etl_assets.cli.environment import declared, environment
from etl_assets.cli.options import NOTE, REVIEWER
from etl_assets.cli.quarantine.edited_sheets import EditedSheet
from etl_assets.cli.quarantine.records import DRY_RUN, materialize
from etl_assets.cli.quarantine.sheet import ID, STATE, RecordSheet, state_of
from etl_assets.cli.terminal import console, count_text, emit, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from etl_assets.cli.environment import Environment
    from etl_assets.ingest.correcting import Corrected, Decider, Wanted
    from etl_assets.ingest.judging import Judge
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.quarantine import Rejected
    from etl_assets.source import Source

_AT_ONCE: Final = 1_000
"""Rows of one transaction."""
_MOST_LISTED: Final = 50


@dataclass(frozen=True)
class RowResult:
    """What became of a row of a sheet.

    Attributes:
        row: Its number in the sheet; the header is the first.
        id: Of its record; None if it names none.
        outcome: ``corrected``, ``unchanged`` or ``refused``.
        text: The columns that were corrected and what a replay would do, or why the row was refused.
        rules: The rules that the corrected record still breaks.
    """

    row: int
    id: int | None
    outcome: str
    text: str = ""
    rules: tuple[str, ...] = ()


@click.command(name="import")
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@NOTE
@REVIEWER
@DRY_RUN
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each row.")
@click.pass_context
def import_(ctx: click.Context, path: Path, note: str | None, reviewer: str, *, dry_run: bool, as_json: bool) -> None:
    """Take the edited cells of FILE, an export with --editable, as corrections.

    A row whose record has changed since the export is refused, and so is a cell that a spreadsheet may have rewritten.
    """
    from etl_assets.ingest.correcting import Decider

    by = None if dry_run else Decider(reviewer, note)
    counted: Counter[str] = Counter()
    listed: list[RowResult] = []
    with environment() as env, env.connection() as connection, EditedSheet.opened(path) as sheet:
        importer = _Importer(env, connection, sheet, by)
        try:
            for result in importer.results():
                counted[result.outcome] += 1
                if as_json:
                    emit(vars(result))
                elif result.outcome != "unchanged" and len(listed) < _MOST_LISTED:
                    listed.append(result)
        finally:  # what was imported before an error stays so
            materialize(env, connection, sorted(importer.touched))
            if not as_json:
                _print(listed, counted, dry_run=dry_run)
    if counted["refused"]:
        ctx.exit(1)


class _Importer:
    """Imports the rows of a sheet, a part of them in each transaction."""

    def __init__(self, env: Environment, connection: Connection, sheet: EditedSheet, by: Decider | None) -> None:
        self._connection = connection
        self._sheet = sheet
        self._by = by
        self._sources = declared(env.settings).sources
        self._judges: dict[str, Judge] = {}
        self._sheets: dict[str, RecordSheet] = {}
        self._seen: set[int] = set()
        self.touched: set[tuple[str, str]] = set()

    def results(self) -> Iterator[RowResult]:
        """Import the rows; yield what became of each."""
        part: list[tuple[int, Mapping[str, str]]] = []
        for numbered in self._sheet.rows():
            part.append(numbered)
            if len(part) == _AT_ONCE:
                yield from self._import(part)
                part = []
        yield from self._import(part)

    def _import(self, part: Sequence[tuple[int, Mapping[str, str]]]) -> list[RowResult]:
        from etl_assets.postgres.ledger import quarantine

        results: list[RowResult] = []
        wanted: dict[str, list[tuple[int, Wanted]]] = {}
        named = [(row, _id_in(cells), cells) for row, cells in part]
        ids = [id_ for _, id_, _ in named if id_ is not None]
        records = {record.id: record for record in quarantine.find(self._connection, ids=ids)} if ids else {}
        for row, id_, cells in named:
            found = self._wanted(row, id_, records.get(id_ or 0), cells)
            if isinstance(found, RowResult):
                results.append(found)
            else:
                wanted.setdefault(found.record.source, []).append((row, found))
        for name, of_source in wanted.items():
            results += self._corrected(self._sources[name], of_source)
        return sorted(results, key=lambda result: result.row)

    def _wanted(
        self, row: int, id_: int | None, record: Rejected | None, cells: Mapping[str, str]
    ) -> RowResult | Wanted:
        """Return the correction that a row asks for, or what became of a row that asks for none."""
        from etl_assets.ingest.correcting import Wanted

        problem = self._problem(id_, record)
        if problem or record is None:
            return RowResult(row, id_, "refused", problem)
        sheet = self._sheet_of(record.source)
        edits = sheet.edits(record, cells)
        if not edits:
            return RowResult(row, id_, "unchanged")
        if cells.get(STATE) != state_of(record):
            return RowResult(row, id_, "refused", "the record has changed since the export; export it again")
        if rewritten := sheet.rewritten(record, cells, as_text=self._sheet.is_text):
            return RowResult(
                row,
                id_,
                "refused",
                f"a spreadsheet may have rewritten {', '.join(rewritten)} by itself; correct it with "
                f"`etl-assets quarantine fix {id_}`, or edit an export in xlsx, whose cells are text",
            )
        return Wanted(record, edits)

    def _problem(self, id_: int | None, record: Rejected | None) -> str:
        """Return why a row has no record that can be corrected; the empty text if it has one."""
        if id_ is None:
            return f"{ID} is no number"
        if id_ in self._seen:
            return "a row before has the same record"
        self._seen.add(id_)
        if record is None:
            return "there is no such record"
        return "" if record.source in self._sources else f"source {record.source} is not declared"

    def _sheet_of(self, name: str) -> RecordSheet:
        if name not in self._sheets:
            self._sheets[name] = sheet = RecordSheet(self._sources[name])
            if unknown := sheet.unknown(self._sheet.header):
                raise click.UsageError(
                    f"{unknown[0]!r} is no column of source {name}. The rows after those that are counted were not "
                    "imported. Leave the header as it was exported."
                )
        return self._sheets[name]

    def _corrected(self, source: Source, wanted: Sequence[tuple[int, Wanted]]) -> Iterable[RowResult]:
        from etl_assets.ingest.correcting import correct
        from etl_assets.ingest.judging import Judge

        if source.name not in self._judges:
            self._judges[source.name] = Judge(source, self._connection)
        asked = [one for _, one in wanted]
        for (row, one), result in zip(
            wanted, correct(self._connection, source, self._judges[source.name], asked, self._by), strict=True
        ):
            if self._by is not None and result.outcome == "corrected":
                self.touched.add((source.name, one.record.partition))
            yield RowResult(row, one.record.id, result.outcome, _text(result, one.changes), _rules(result))


def _id_in(cells: Mapping[str, str]) -> int | None:
    text = cells.get(ID, "").removesuffix(".0")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < len(str(2**63)) else None


def _rules(result: Corrected) -> tuple[str, ...]:
    return result.judgement.rules if result.judgement else ()


def _text(result: Corrected, changes: Mapping[str, str | None]) -> str:
    if result.outcome != "corrected":
        return result.why
    rules = _rules(result)
    verdict = f"still rejected: {', '.join(rules)}" if rules else "a replay would load it"
    if result.judgement is not None and result.judgement.filtered:
        verdict = "the transformer would filter it"
    return f"{', '.join(changes)}; {verdict}"


def _print(listed: Sequence[RowResult], counted: Counter[str], *, dry_run: bool) -> None:
    corrected = f"{count_text(counted['corrected'], 'record')} {'would be corrected' if dry_run else 'corrected'}"
    if listed:
        table(("row", "id", "", "what"), ((str(r.row), str(r.id or ""), r.outcome, r.text) for r in listed))
        console().print()
    if counted["corrected"] + counted["refused"] > len(listed):
        console().print(f"These are the first {len(listed)}; --json prints all.")
    console().print(
        f"{corrected}, {counted['unchanged']:,} unchanged, {count_text(counted['refused'], 'row')} refused"
        f"{'; nothing was changed' if dry_run else ''}."
    )
