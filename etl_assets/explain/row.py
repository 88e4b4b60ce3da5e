"""Explains what became of a key: its row, or its versions, and everything that else is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from etl_assets.explain.published import PublishedRecord, read_record
from etl_assets.explain.rights import Rights
from etl_assets.explain.search import Limits, search
from etl_assets.explain.summary import summarise
from etl_assets.postgres.explain import rows
from etl_assets.postgres.ledger import deliveries, retention

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from etl_assets.catalog import Catalog
    from etl_assets.explain.key import Key
    from etl_assets.explain.search import Search
    from etl_assets.landing import LandingStore
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.explain.rows import Deletion, RecordEntry, Referring, RejectedRecord, StoredRow
    from etl_assets.source import Source


@dataclass(frozen=True)
class Origin:
    """The delivery of a row."""

    id: int
    partition: str
    name: str
    origin: str
    fetched_at: datetime
    status: str
    sha256: str
    fingerprint: str

    @classmethod
    def of(cls, delivery: Delivery) -> Origin:
        """Return what is shown of a delivery."""
        manifest = delivery.manifest
        return cls(
            delivery.id,
            delivery.partition,
            manifest.name,
            manifest.origin,
            delivery.fetched_at,
            delivery.status,
            manifest.sha256,
            delivery.fingerprint,
        )


@dataclass(frozen=True)
class Version:
    """A row of the table, or one version of it, with where it came from.

    Attributes:
        row: As it is stored.
        origin: The delivery whose record last gave it its contents; None if there is no such delivery.
        published: That record, as it was published.
        entries: The ledger entries of the record.
        declared_as_now: Whether the delivery was read under the declaration of today.
        absent_since: Since when the source no longer has the key; None if it has it, or is not asked.
    """

    row: StoredRow
    origin: Origin | None
    published: PublishedRecord
    entries: list[RecordEntry]
    declared_as_now: bool
    absent_since: datetime | None


@dataclass(frozen=True)
class RowStory:
    """Everything that is known of a key.

    Attributes:
        source: Name of the source.
        table: ``schema.table``.
        key: The values that were asked for, as the person wrote them.
        fingerprint: Of the declaration of today.
        has_table: Whether the table is there, as declared; None if this role may not read it.
        has_versions: Whether the write mode keeps versions of rows.
        versions: The rows that the table has, the oldest first.
        rejected: Records of the quarantine with the key, the newest first.
        deletions: When its row was deleted, the last time first.
        kept_from: The first day whose rows are kept; None if all are.
        is_expired: Whether the key is too old to be kept; False if it does not say how old it is.
        search: What was found in frozen bytes.
        referring: How many rows of other tables refer to it.
        downstream: The sources that refer to the table, or run after it.
        left_out: What this role may not read, as sentences.
    """

    source: str
    table: str
    key: dict[str, str]
    fingerprint: str
    has_table: bool | None
    has_versions: bool
    versions: list[Version]
    rejected: list[RejectedRecord]
    deletions: list[Deletion]
    kept_from: date | None
    is_expired: bool
    search: Search
    referring: list[Referring]
    downstream: list[str]
    left_out: list[str]

    @property
    def summary(self) -> str:
        """What became of the key, as a sentence."""
        return summarise(self)


def explain_row(
    connection: Connection, known: Catalog, source: Source, key: Key, store: LandingStore, limits: Limits | None = None
) -> RowStory:
    """Return everything that is known of a key, whether it has a row or not.

    Args:
        connection: To the warehouse, in autocommit. What its role may not read is left out.
        known: The declarations.
        source: That of the table.
        key: Names the row.
        store: Has the frozen bytes.
        limits: How many frozen bytes to search.
    """
    rights, has_key = Rights(), bool(source.schema.key)
    found = rights.read(
        f"The rows of {source.stored_table}", partial(rows.find, connection, source.stored_table, key.typed)
    )
    may_read = not rights.left_out
    versions = [_version(connection, source, row, store) for row in found or ()]
    searched = search(connection, source, key, store, limits or Limits())
    keys = {version.published.key for version in versions} | {record.key for record in searched.found}
    keys |= {tuple(key.texts[name] for name in source.schema.key)}
    records = {(version.row.delivery_id, version.row.record_no) for version in versions}
    records |= {(record.delivery_id, record.record_no) for record in searched.found}
    rejected = rights.read(
        "Rejected records, corrections and who made them (etl.rejected)",
        lambda: rows.rejected(connection, source.name, keys - {()}, records),
    )
    deletions = rights.read(
        "Deletions (etl.deletion)",
        lambda: rows.deletions(connection, source.name, key.typed) if has_key else [],
    )
    kept_from = retention.kept_from(connection, source.name)
    return RowStory(
        source.name,
        source.table,
        dict(key.texts),
        source.fingerprint,
        found is not None if may_read else None,
        source.stored_table != source.table,
        versions,
        rejected or [],
        deletions or [],
        kept_from,
        kept_from is not None and _is_expired(source, kept_from, key),
        searched,
        _referring(connection, known, source, versions, rights),
        known.downstream(source),
        rights.left_out,
    )


def _version(connection: Connection, source: Source, row: StoredRow, store: LandingStore) -> Version:
    delivery = deliveries.by_id(connection, row.delivery_id)
    if delivery is None:
        problem = f"There is no delivery {row.delivery_id}: etl-assets doctor says what is wrong."
        return Version(row, None, PublishedRecord(problem=problem), [], declared_as_now=False, absent_since=None)
    return Version(
        row,
        Origin.of(delivery),
        read_record(source, delivery, row.record_no, store),
        rows.entries(connection, delivery.id, row.record_no),
        delivery.fingerprint == source.fingerprint,
        rows.absent_since(connection, delivery.id, row.record_no),
    )


def _referring(
    connection: Connection, known: Catalog, source: Source, versions: Sequence[Version], rights: Rights
) -> list[Referring]:
    """Return how many rows of other tables refer to the newest version."""
    if not versions:
        return []
    values = versions[-1].row.columns
    counted = [
        rights.read(
            f"The rows of {other.stored_table}",
            partial(rows.referring, connection, other.stored_table, lookup, values),
        )
        for other in known.sources.values()
        for lookup in other.schema.lookups
        if lookup.table == source.table
    ]
    return [each for each in counted if each is not None]


def _is_expired(source: Source, kept_from: date, key: Key) -> bool:
    """Return whether the rows of a key are too old; False if the key does not say how old they are."""
    by = source.partition_by
    if by is None or by.column not in key.types:
        return False
    return not key.frame.select(by.is_kept(kept_from)).to_series().all()
