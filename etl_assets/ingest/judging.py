"""Judges records of the quarantine by the current declaration, as a replay would, and writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from etl_assets.ingest.batch import quarantined_batch
from etl_assets.load import Target
from etl_assets.load.lookups import Lookups
from etl_assets.model.batch import REJECTED_RECORD_NO, REJECTED_RULES
from etl_assets.postgres.ledger import deliveries
from etl_assets.postgres.tables.ddl import exists
from etl_assets.postgres.tables.rights import unreadable
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from etl_assets.model.batch import Batch
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.quarantine import Rejected
    from etl_assets.source import Source


@dataclass(frozen=True)
class Judgement:
    """What a replay of a record would do, as things are now.

    Attributes:
        rules: The rules that the record breaks; if there are none, a replay takes it.
        filtered: Whether the transformer leaves it out, so that it gives no row.
    """

    rules: tuple[str, ...] = ()
    filtered: bool = False


class Judge:
    """Judges records of one source.

    Args:
        source: The declaration.
        connection: To the warehouse.

    Attributes:
        not_read: The tables that this user may not read; whether rows that records refer to exist, and whether unique
            values are taken, was not looked up in them.
    """

    def __init__(self, source: Source, connection: Connection) -> None:
        self._source = source
        self._connection = connection
        self._lookups = Lookups(Target(source.table, source.row_schema, source.fingerprint))
        asked = [lookup.table for lookup in source.row_schema.lookups]
        asked += [source.table] if source.row_schema.claims else []
        self.not_read = unreadable(connection, list(dict.fromkeys(asked)))

    def judge(self, records: Iterable[Rejected]) -> dict[int, Judgement]:
        """Return the judgement of each record, by id; records as they are to be read, corrected or as they came.

        Records of one delivery are judged together, as those of a page of a replay.
        """
        judged: dict[int, Judgement] = {}
        by_delivery = sorted(records, key=attrgetter("delivery_id", "record_no"))
        for delivery_id, group in groupby(by_delivery, key=attrgetter("delivery_id")):
            of_delivery = list(group)
            delivery = deliveries.by_id(self._connection, delivery_id)
            if delivery is None:
                continue
            batch = quarantined_batch(self._source, delivery, of_delivery, 0)
            judged.update(self._judgements(of_delivery, batch))
        return judged

    def _judgements(self, records: Sequence[Rejected], batch: Batch) -> Iterator[tuple[int, Judgement]]:
        broken: dict[int, list[str]] = {}
        for number, rules in batch.rejected.select(REJECTED_RECORD_NO, REJECTED_RULES).iter_rows():
            broken.setdefault(number, []).extend(rules)
        for number, rule in self._looked_up(batch):
            broken.setdefault(number, []).append(rule)
        with_rows = set(batch.rows[RECORD_NO].to_list())
        for record in records:
            rules = tuple(broken.get(record.record_no, ()))
            yield record.id, Judgement(rules, filtered=not rules and record.record_no not in with_rows)

    def _looked_up(self, batch: Batch) -> Iterator[tuple[int, str]]:
        """Yield the number and the rule of records whose parent is missing, or whose unique value is taken."""
        if self.not_read or batch.rows.is_empty():
            return
        for lookup, numbers in self._lookups.missing_parents(self._connection, batch.rows):
            if lookup.missing != "report":
                yield from ((number, lookup.rule) for number in numbers)
        if self._source.row_schema.claims and exists(self._connection, self._source.table):
            for claim, numbers in self._lookups.taken_values(self._connection, batch.rows):
                yield from ((number, claim.rule) for number in numbers)
