"""Corrects many records of a source in the same way: in bounded memory, a part of them in each transaction."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import click

from etl_assets.cli.masking import Masking
from etl_assets.cli.quarantine.judged import not_looked_up
from etl_assets.cli.quarantine.records import in_quotes, requirement
from etl_assets.cli.terminal import console, count_text, progress, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from etl_assets.cli.environment import Environment
    from etl_assets.ingest.correcting import Corrected, Decider
    from etl_assets.ingest.edits import Edit
    from etl_assets.ingest.judging import Judge
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.quarantine import Filters, Rejected
    from etl_assets.source import Source

_MOST_SHOWN: Final = 10


class Bulk:
    """Corrects records, and counts what becomes of them.

    Args:
        source: The declaration.
        edits: Make the values.
        by: Who decides; None to change nothing.
        overwrite: Whether to replace corrections that there are of the same columns.
        reveal: Whether to show the values of sensitive columns.

    Attributes:
        valid: The ids of the corrected records that a replay would take.
        touched: The partitions of the corrected records.
    """

    def __init__(
        self, source: Source, edits: Sequence[Edit], by: Decider | None, *, overwrite: bool, reveal: bool
    ) -> None:
        self._source = source
        self._edits = edits
        self._by = by
        self._overwrite = overwrite
        self._masking = Masking(source, reveal)
        self._corrected = self._unchanged = self._filtered = 0
        self._refused: Counter[str] = Counter()
        self._rules: Counter[str] = Counter()
        self._examples: list[tuple[str, str, str, str, str]] = []
        self._judge: Judge | None = None
        self._aliases = {
            name: {column.name, *column.published_names}
            for column in source.schema.published
            for name in (column.name, *column.published_names)
        }
        self.valid: list[int] = []
        self.touched: set[str] = set()

    def correct(self, env: Environment, connection: Connection, filters: Filters) -> None:
        """Correct the waiting records that are selected; those of a transaction stay corrected if a later one fails.

        Args:
            env: The settings and databases of the command.
            connection: Through which corrections are stored.
            filters: Which records.
        """
        from etl_assets.ingest.correcting import chunks
        from etl_assets.ingest.judging import Judge
        from etl_assets.postgres.ledger import quarantine

        self._judge = Judge(self._source, connection)
        total = len(quarantine.places(connection, **filters))
        try:
            with env.connection() as reading, progress() as bar:
                task = bar.add_task(self._source.name, total=total)
                for records in chunks(quarantine.stream(reading, **filters)):
                    self._correct_part(connection, self._judge, records)
                    bar.advance(task, len(records))
        except BaseException:
            if self._by is not None and self._corrected:
                stay = count_text(self._corrected, "record is", "records are")
                click.echo(f"{stay} corrected, and stay so. Repeat the command to go on.", err=True)
            raise

    def _correct_part(self, connection: Connection, judge: Judge, records: Sequence[Rejected]) -> None:
        from etl_assets.ingest.correcting import Wanted, correct

        wanted = [Wanted(record, changes) for record in records if (changes := self._changes(record)) is not None]
        for result in correct(connection, self._source, judge, wanted, self._by):
            self._count(result)

    def _changes(self, record: Rejected) -> dict[str, str | None] | None:
        """Return the values that the edits give to a record; None, after counting why, if they give none."""
        from etl_assets.ingest.edits import edited

        if record.fields is None:
            self._refused["they could not be parsed, so that none of their values is known"] += 1
            return None
        try:
            changes = edited(self._edits, record.fields, self._source.schema)
        except ValueError as problem:
            self._refused[str(problem)] += 1
            return None
        other = None if self._overwrite else self._corrected_otherwise(record, changes)
        if other is not None:
            self._refused[f"{other} is corrected otherwise already; --overwrite replaces it"] += 1
            return None
        return changes

    def _corrected_otherwise(self, record: Rejected, changes: Mapping[str, str | None]) -> str | None:
        """Return a column of some changes that a record has another correction of."""
        former = record.correction or {}
        for column, value in changes.items():
            if any(former[name] != value for name in self._aliases[column] if name in former):
                return column
        return None

    def _count(self, result: Corrected) -> None:
        if result.outcome == "refused":
            self._refused[result.why] += 1
        elif result.outcome == "unchanged":
            self._unchanged += 1
        else:
            self._corrected += 1
            self.touched.add(result.record.partition)
            self._count_judgement(result)
            if len(self._examples) < _MOST_SHOWN:
                self._examples += self._shown(result)

    def _count_judgement(self, result: Corrected) -> None:
        if result.judgement is None:
            return
        self._rules.update(result.judgement.rules)
        self._filtered += result.judgement.filtered
        if not result.judgement.rules:
            self.valid.append(result.record.id)

    def _shown(self, result: Corrected) -> Iterable[tuple[str, str, str, str, str]]:
        """Yield id, column, former and new value of each change, masked, and what a replay would do."""
        before = self._masking.fields(result.record.fields) or {}
        after = self._masking.fields(result.correction) or {}
        rules = result.judgement.rules if result.judgement else ()
        for name, value in after.items():
            verdict = f"still rejected: {', '.join(rules)}" if rules else "would be loaded"
            yield str(result.record.id), name, in_quotes(before.get(name)), in_quotes(value), verdict

    def print(self) -> None:
        """Print what became of the records; of what only would be done, the first with their values."""
        out = console()
        if self._by is None:
            out.print(f"{count_text(self._corrected, 'record')} would be corrected; nothing was changed.")
            if self._examples:
                table(("id", "field", "as published", "corrected", "then"), self._examples[:_MOST_SHOWN])
                out.print()
        else:
            out.print(f"{count_text(self._corrected, 'record')} corrected.")
        filtered = f" ({self._filtered:,} of them would be filtered by the transformer)" if self._filtered else ""
        out.print(
            f"A replay would take {len(self.valid):,}{filtered}; {self._corrected - len(self.valid):,} are still "
            f"rejected; {self._unchanged:,} had these values already."
        )
        if self._rules:
            self._print_counts(("rule", "records", "requires that"), self._rules, with_words=True)
        if self._refused:
            out.print(f"{count_text(self._refused.total(), 'record was', 'records were')} left as before:")
            self._print_counts(("because", "records"), self._refused)
        if self._judge is not None:
            not_looked_up(self._judge)

    def _print_counts(self, columns: Sequence[str], counts: Counter[str], *, with_words: bool = False) -> None:
        rows: list[tuple[Any, ...]] = [
            (name, number, requirement(self._source, name)) if with_words else (name, number)
            for name, number in counts.most_common()
        ]
        table(columns, rows)
