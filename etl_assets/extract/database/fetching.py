"""Fetches and polls: connects, takes a snapshot, reads the catalogue and the rows, and freezes them."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from etl_assets.errors import DeliveryError
from etl_assets.extract.base import Fetched
from etl_assets.extract.database import errors
from etl_assets.extract.database.address import address_of
from etl_assets.extract.database.ahead import Ahead, SilentError
from etl_assets.extract.database.catalogue import differences, to_state
from etl_assets.extract.database.connecting import connect
from etl_assets.extract.database.freezing import ParquetFile
from etl_assets.extract.database.newest import Newest
from etl_assets.extract.database.reading import UnfitError
from etl_assets.extract.database.statement import Selection
from etl_assets.extract.progress import Progress
from etl_assets.model.delivery import CATALOGUE
from etl_assets.model.text import escape_control_characters, names_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from etl_assets.extract.database.address import Address
    from etl_assets.extract.database.catalogue import CatalogueColumn
    from etl_assets.extract.database.dialects.base import Session
    from etl_assets.extract.database.extractor import DatabaseExtractor
    from etl_assets.extract.database.reading import Kind, Reading
    from etl_assets.extract.incremental import Cursor
    from etl_assets.model.partitions import Partition

_WHERE: Final = "extractor DatabaseExtractor"
_DECLARED: Final = "_declared"


@contextmanager
def fetch(extractor: DatabaseExtractor, partition: Partition, state: Mapping[str, Any]) -> Iterator[Fetched]:
    """Fetch the rows of a partition, or what has changed in it since an earlier fetch.

    Args:
        extractor: The declaration.
        partition: What to fetch.
        state: Of the earlier fetch; an empty one to fetch everything.
    """
    began = datetime.now(UTC)
    with tempfile.TemporaryFile(prefix="etl-assets-") as file:
        with _asked(extractor, partition, state) as question:
            fetched = question.freeze(cast("BinaryIO", file), min(began, question.session.now()))
        file.seek(0)
        yield fetched


def poll(extractor: DatabaseExtractor, partition: Partition, state: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the validators of what has changed in a partition since an earlier fetch."""
    with _asked(extractor, partition, state) as question:
        return question.validators(question.since)


@contextmanager
def _asked(extractor: DatabaseExtractor, partition: Partition, state: Mapping[str, Any]) -> Iterator[_Question]:
    """Connect, and look up what the catalogue says of a declaration."""
    address = address_of(extractor.url, _WHERE)
    with connect(address, extractor.access) as session:
        yield _question(extractor, partition, state, address, session)


def _question(
    extractor: DatabaseExtractor, partition: Partition, state: Mapping[str, Any], address: Address, session: Session
) -> _Question:
    selection = Selection(session.dialect, extractor, partition)
    columns = session.columns(selection.table, "" if selection.table else selection.query)
    if not columns:
        raise errors.missing(address, f"table {escape_control_characters(extractor.table)}")
    usable = state if state.get(_DECLARED) == _digest(extractor) else {}
    never_null = {column.name for column in columns if column.nullable is False and session.dialect.has_types}
    chosen = _chosen(columns, extractor, address)
    return _Question(extractor, usable, address, session, selection, chosen, never_null)


@dataclass
class _Question:
    """What is asked of a database in one snapshot.

    Attributes:
        extractor: The declaration.
        state: Of an earlier fetch of the same declaration.
        address: Of the database.
        session: The connection, in the snapshot.
        selection: What is read.
        columns: What the catalogue says of the columns that are read.
        never_null: The names of all columns that have a value in each row.
    """

    extractor: DatabaseExtractor
    state: Mapping[str, Any]
    address: Address
    session: Session
    selection: Selection
    columns: Sequence[CatalogueColumn]
    never_null: Collection[str]
    _as_text: set[Kind] = field(default_factory=set)

    @property
    def since(self) -> Cursor | None:
        """The value of the incremental column from which everything is fetched; None for everything."""
        by = self.extractor.incremental
        return None if by is None else by.since(self.state)

    def freeze(self, file: BinaryIO, asked_at: datetime) -> Fetched:
        """Write the rows to a file, and return it with what is known of them."""
        progress = Progress(self._shown)
        while True:
            try:
                newest = self._write(file, progress)
                break
            except UnfitError as misfit:  # the whole snapshot is read again, with that kind of values as text
                self._as_text.add(misfit.kind)
                file.seek(0)
                file.truncate()
                progress.records = progress.size = 0
        state = {_DECLARED: _digest(self.extractor), CATALOGUE: to_state(self.columns)}
        validators: Mapping[str, str] = {}
        by = self.extractor.incremental
        if by is not None and newest is not None and self.extractor.most_rows is None:
            values = () if newest.value is None else (newest.value,)
            state |= by.state(by.advanced(by.cursor(self.state), values, asked_at))
            validators = self.validators(by.since(state))
        statistics = {**progress.statistics, "records": float(progress.records), "bytes": float(progress.size)}
        name = f"{(self.selection.table or ('query',))[-1]}.parquet"
        notes = [*self.session.notes, *(self._notes(newest) if self.extractor.most_rows is None else ())]
        return Fetched(file, escape_control_characters(name), self._shown, dict(validators), state, notes, statistics)

    def validators(self, since: Cursor | None) -> Mapping[str, str]:
        """Return the newest value of the incremental column, and how many rows a fetch would bring."""
        newest, rows = self.session.row(self.selection.newest(self._conditions(since)))
        return {"newest": "" if newest is None else str(newest), "rows": str(rows)}

    def _write(self, file: BinaryIO, progress: Progress) -> Newest | None:
        """Write the rows, and return what was seen of the incremental column."""
        readings = [self.session.dialect.reading(column, self._as_text) for column in self.columns]
        newest, place = self._newest(readings)
        deadline = time.monotonic() + self.extractor.access.deadline - progress.seconds
        statement = self.selection.rows(readings, self._conditions(self.since))
        rows = self.session.batches(statement, readings)
        batches = Ahead(rows, self.extractor.access.timeout, self.session.close)
        try:
            with batches, ParquetFile(file, readings, self.extractor.access.max_bytes) as parquet:
                for batch in self._first(batches):
                    if newest is not None:
                        newest.see(batch.column(place))
                    parquet.add(batch)
                    progress.advance(records=batch.num_rows, size=file.tell() - progress.size)
                    if time.monotonic() > deadline:
                        raise errors.too_slow(self.address)
                progress.advance(size=parquet.finish() - progress.size)
        except SilentError:
            raise errors.too_slow(self.address) from None
        finally:
            self.session.is_stuck = batches.is_stuck
        return newest

    def _first(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the batches, or of a preview as many rows as it has; the connection may have ended then."""
        left = self.extractor.most_rows
        for batch in batches:
            if left is None:
                yield batch
                continue
            yield batch.slice(0, left)
            left -= batch.num_rows
            if left <= 0:
                return

    def _newest(self, readings: Sequence[Reading]) -> tuple[Newest | None, int]:
        by = self.extractor.incremental
        if by is None:
            return None, 0
        place = [reading.column.name for reading in readings].index(by.by)
        return Newest(by, readings[place]), place

    def _conditions(self, since: Cursor | None) -> list[str]:
        by = self.extractor.incremental
        return self.selection.conditions(since, nullable=by is not None and by.by not in self.never_null)

    def _notes(self, newest: Newest | None) -> Iterator[str]:
        if before := self.state.get(CATALOGUE):
            yield from map(escape_control_characters, differences(before, self.columns, self._what))
        by = self.extractor.incremental
        if by is not None and newest is not None and newest.without:
            yield (
                f"{newest.without:,} rows have no value in {by.by!r} that can be compared; they are fetched each time."
            )
        column = self.extractor.partition_column
        if column and column not in self.never_null:
            statement = self.selection.without_partition()
            without = int(self.session.row(statement)[0])
            if without:
                yield f"{without:,} rows have no value in {column!r}, so that no partition has them."
        if self._as_text:
            yield (
                "Some values are outside of their types, such as infinity; all columns of these types were read as "
                "text, and such values end in the quarantine."
            )

    @property
    def _what(self) -> str:
        return self.extractor.table or "the query"

    @property
    def _shown(self) -> str:
        return escape_control_characters(f"{self.address.url} {self._what}")


def _chosen(
    columns: Sequence[CatalogueColumn], extractor: DatabaseExtractor, address: Address
) -> Sequence[CatalogueColumn]:
    """Return the columns that are declared, or all.

    Raises:
        DeliveryError: If one is missing, or two have one name.
    """
    by_name = {column.name: column for column in columns}
    if len(by_name) < len(columns):
        names = [column.name for column in columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise DeliveryError(
            f"The query has two columns of one name: {names_text(twice)}. Nothing was written. Rename one by AS."
        )
    wanted = [*extractor.columns, *extractor.order_by]
    wanted += [extractor.incremental.by] if extractor.incremental is not None else []
    wanted += [extractor.partition_column] if extractor.partition_column else []
    if lacking := [name for name in dict.fromkeys(wanted) if name not in by_name]:
        raise DeliveryError(
            f"{escape_control_characters(extractor.table) or 'The query'} in {address.url} has no columns "
            f"{names_text(lacking)}. It has {names_text(list(by_name))}. Nothing was written. Correct the declaration."
        )
    return [by_name[name] for name in extractor.columns] if extractor.columns else columns


def _digest(extractor: DatabaseExtractor) -> str:
    """Return a text that differs between declarations that read different rows or columns."""
    declared = (extractor.url, extractor.table, extractor.query, extractor.columns, extractor.partition_column)
    return hashlib.sha256(json.dumps(declared).encode()).hexdigest()[:16]
