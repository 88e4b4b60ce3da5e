"""Fetches partitions, freezes and indexes their bytes, and reads batches from them.

The three functions here connect an `Extractor`, its `Format` and the `LandingStore`. Callers read the records of a
delivery only through them: from the frozen bytes, never from the publisher.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from etl_assets.errors import DeliveryError, DeliveryIncompleteError
from etl_assets.extract.prefetch import Prefetch
from etl_assets.extract.spool import readable_by
from etl_assets.extract.unpack import Member, looks_packed, unpack
from etl_assets.landing import redacted
from etl_assets.landing.found import FOUND, READ
from etl_assets.model.delivery import FoundIndex, Manifest, MemberIndex

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from etl_assets.extract.base import Extractor
    from etl_assets.landing.copying import Copying
    from etl_assets.landing.store import LandingStore
    from etl_assets.model.batch import RawBatch, Sized
    from etl_assets.model.delivery import Span
    from etl_assets.model.partitions import Partition


def land(
    extractor: Extractor, partition: Partition, store: LandingStore, state: Mapping[str, Any] | None = None
) -> Manifest:
    """Fetch a partition, freeze its bytes and index them.

    All bytes are unpacked once, so that damage is found here.

    Args:
        extractor: Fetches the bytes and knows their format.
        partition: The partition to fetch.
        store: Keeps the bytes.
        state: Where an earlier fetch ended, to fetch what has changed since; None to fetch everything.

    Returns:
        The manifest, which is also stored beside the bytes.

    Raises:
        DeliveryError: If there are no bytes, or they are not of that format.
    """
    extractor = extractor.of_partition(partition.key)
    results: list[MemberIndex | DeliveryError] = []
    found: dict[int, Sized] = {}

    def index_unpacked(stream: Copying) -> None:
        """Index a file that is not packed, and can be read from start to end, while it is being stored."""
        if not extractor.frozen_format.seeks and not looks_packed(stream.head()):
            try:
                results.append(_index_member(extractor, "", cast("BinaryIO", stream), None, 0, found))
            except DeliveryError as error:
                results.append(error)

    began = time.monotonic()
    fetching = extractor.fetch_since(partition, state) if state else extractor.fetch(partition)
    with fetching as fetched:
        digests = store.freeze(fetched, index_unpacked)
        manifest = Manifest(
            digests.sha256,
            digests.size,
            fetched.name,
            fetched.origin,
            dict(fetched.validators),
            blocks=digests.blocks,
            state=fetched.state,
            notes=tuple(fetched.notes),
            statistics={"seconds": round(time.monotonic() - began, 3), **fetched.statistics},
        )
    if not results:
        return index(extractor, store, manifest)
    (result,) = results
    if isinstance(result, DeliveryError):
        raise result
    FOUND.remember(manifest.sha256, extractor.frozen_format, "", found)
    return _store_manifest(store, replace(manifest, members=_with_a_batch([replace(result, size=digests.size)])))


def index(extractor: Extractor, store: LandingStore, manifest: Manifest) -> Manifest:
    """Index frozen bytes; may be called again, because the declared format may have changed.

    Args:
        extractor: Knows the format of the partition.
        store: Has the bytes.
        manifest: Of the bytes.

    Returns:
        The manifest with its members, which is also stored beside the bytes.

    Raises:
        DeliveryError: If the bytes are not of that format, or members publish different names.
    """
    return _store_manifest(store, replace(manifest, members=members_of(extractor, store, manifest)))


def members_of(extractor: Extractor, store: LandingStore, manifest: Manifest) -> tuple[MemberIndex, ...]:
    """Return the index of each member of frozen bytes; see `index`. Nothing is written.

    Bytes from which records were redacted are cut already.
    """
    if manifest.redacted:
        return manifest.members
    members: list[MemberIndex] = []
    after: Span | None = None
    with (
        store.open(manifest) as stream,
        unpack(stream, manifest.name, extractor.member, extractor.password) as files,
    ):
        for member, file in files:
            found: dict[int, Sized] = {}
            member_index = _index_member(extractor, member, file, after, manifest.size, found)
            FOUND.remember(manifest.sha256, extractor.frozen_format, member, found)
            members.append(member_index)
            after = next((span for span in reversed(member_index.spans) if span.records), after)
    if extractor.frozen_format.naming == "header":
        _check_names(members, manifest.name)
    return _with_a_batch(members)


def first_batch(extractor: Extractor, store: LandingStore, manifest: Manifest) -> RawBatch:
    """Return the first batch of a delivery, which has one. If it is small, `batches` does not read it again."""
    number = manifest.spans[0].batch
    batch = next(iter(batches(extractor, store, manifest, {number})))
    (index_,) = _wanted(extractor, manifest, {number}).values()
    READ.remember(manifest.sha256, extractor.frozen_format, index_, batch)
    return batch


def batches(
    extractor: Extractor, store: LandingStore, manifest: Manifest, numbers: Container[int] | None = None
) -> Iterator[RawBatch]:
    """Read batches of a delivery from its frozen bytes.

    In a file that is not packed, seek to them; in a packed one, unpack the bytes before them and skip those. A thread
    reads and unpacks the next batch while the caller works on one. A single one that `first_batch` has read is not read
    again.

    Args:
        extractor: Knows the format of the partition.
        store: Has the bytes.
        manifest: Of the delivery, with its index.
        numbers: Of the batches to read; all when None.

    Yields:
        The batches, in order.
    """
    wanted = _wanted(extractor, manifest, numbers)
    left = len(wanted)
    if not left:
        return
    if left == 1 and (read := READ.take(manifest.sha256, extractor.frozen_format, *wanted.values())) is not None:
        yield read
        return
    if manifest.redacted:
        with store.open(manifest) as stream, Prefetch(redacted.read(extractor, stream, manifest, wanted)) as ahead:
            yield from ahead
        return
    with (
        store.open(manifest) as stream,
        unpack(stream, manifest.name, extractor.member, extractor.password) as files,
    ):
        for name, file in files:
            if name in wanted:
                index_ = wanted[name]
                found = FOUND.recall(manifest.sha256, extractor.frozen_format, name)
                if found:
                    index_ = FoundIndex(index_.member, index_.size, index_.names, index_.spans, found=found)
                with readable_by(extractor.frozen_format, file) as readable:
                    in_order = extractor.frozen_format.read(readable, name, index=index_)
                    if len(index_.spans) == 1:
                        yield from in_order
                    else:
                        with Prefetch(iter(in_order)) as batches_ahead:
                            yield from batches_ahead
                left -= 1
            if not left:
                return


def _wanted(extractor: Extractor, manifest: Manifest, numbers: Container[int] | None) -> dict[str, MemberIndex]:
    """Return the index of the members that have some batches, with the spans of these."""
    union = extractor.frozen_format.naming == "union"
    wanted: dict[str, MemberIndex] = {}
    for member in manifest.members:
        spans = tuple(span for span in member.spans if numbers is None or span.batch in numbers)
        if spans:
            names = manifest.names if union else member.names
            wanted[member.member] = replace(member, names=names, spans=spans)
    return wanted


def _store_manifest(store: LandingStore, manifest: Manifest) -> Manifest:
    store.put_manifest(manifest)
    return manifest


def _index_member(
    extractor: Extractor, member: str, file: BinaryIO, after: Span | None, packed_size: int, found: dict[int, Sized]
) -> MemberIndex:
    """Return the index of a file; add what is found out about each batch to ``found``."""
    names: dict[str, None] = {}
    spans: list[Span] = []
    unterminated = refused = False
    with readable_by(extractor.frozen_format, file) as readable:
        for batch in extractor.frozen_format.read(readable, member, after=after):
            names |= dict.fromkeys(batch.names)
            unterminated = batch.unterminated is not None
            refused = unterminated and batch.on_unterminated == "refuse"
            if (value := batch.found) is not None:
                found[batch.span.batch] = value
            if spans and not batch.span.records:  # lines after the last record
                spans[-1] = replace(spans[-1], skipped=spans[-1].skipped + batch.span.skipped)
            else:
                spans.append(batch.span)
    if refused:
        raise DeliveryIncompleteError(
            f"{member or 'The file'} does not end with a line end, so that its last record may have been cut. Nothing "
            "was written. Fetch it again when it is whole, or declare unterminated='report' if it always ends so."
        )
    size = packed_size
    if isinstance(file, Member):
        file.drain()
        size = file.position
    return MemberIndex(member, size, tuple(names), tuple(spans), unterminated)


def _with_a_batch(members: Sequence[MemberIndex]) -> tuple[MemberIndex, ...]:
    """Leave out the batches without records, except one if no batch has any.

    A reload of a delivery that has no records any more deletes its rows, in the transaction of this batch.
    """
    filled = [replace(member, spans=tuple(span for span in member.spans if span.records)) for member in members]
    if not any(member.spans for member in filled):
        filled[0] = replace(filled[0], spans=members[0].spans[:1])
    return tuple(filled)


def _check_names(members: Sequence[MemberIndex], name: str) -> None:
    for member in members[1:]:
        if difference := set(members[0].names) ^ set(member.names):
            listed = ", ".join(map(repr, sorted(difference)))
            raise DeliveryError(
                f"{member.member} in {name} does not publish the columns of {members[0].member}: {listed} are in "
                "only one of them. Nothing was loaded. Select members with the same columns with member=; declare one "
                "source for each set of columns."
            )
