"""From a partition to frozen, indexed bytes, and from these to batches.

Here live the three steps that join an `Extractor`, its `Format` and the `LandingStore`. Whoever wants records of a
delivery asks here, and gets them from the frozen bytes, never from the publisher.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, cast

from etl_assets.errors import DeliveryError
from etl_assets.extract.unpack import Member, looks_packed, unpacked
from etl_assets.model.delivery import Manifest, MemberIndex

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from etl_assets.extract.base import Extractor
    from etl_assets.landing.copying import Copying
    from etl_assets.landing.store import LandingStore
    from etl_assets.model.batch import RawBatch
    from etl_assets.model.delivery import Span
    from etl_assets.model.partitions import Partition


def land(extractor: Extractor, partition: Partition, store: LandingStore) -> Manifest:
    """Fetch a partition, freeze its bytes and index them.

    All bytes are unpacked once, so that whatever is damaged surfaces here.

    Args:
        extractor: Brings the bytes and knows their format.
        partition: The partition wanted.
        store: Keeps them.

    Returns:
        The manifest, which is also written beside the bytes.

    Raises:
        DeliveryError: If there are no bytes, or they cannot be taken as a delivery of that format.
    """
    seen: list[MemberIndex | DeliveryError] = []

    def look(stream: Copying) -> None:
        """Index a file that is not packed while it is being kept."""
        if not looks_packed(stream.head()):
            try:
                seen.append(_index_member(extractor, "", cast("BinaryIO", stream), None, 0))
            except DeliveryError as error:
                seen.append(error)

    with extractor.fetch(partition) as fetched:
        digest, size = store.freeze(fetched, look)
        manifest = Manifest(digest, size, fetched.name, fetched.origin, dict(fetched.validators))
    if not seen:
        return index(extractor, store, manifest)
    (found,) = seen
    if isinstance(found, DeliveryError):
        raise found
    return _kept(store, replace(manifest, members=(replace(found, size=size),)))


def index(extractor: Extractor, store: LandingStore, manifest: Manifest) -> Manifest:
    """Index frozen bytes, anew if need be: the declared format may have changed since.

    Args:
        extractor: Knows the format.
        store: Has the bytes.
        manifest: Of the bytes.

    Returns:
        The manifest with its members, which is also written beside the bytes.

    Raises:
        DeliveryError: If the bytes are not of that format, or members publish different names.
    """
    members: list[MemberIndex] = []
    after: Span | None = None
    with (
        store.open(manifest.sha256) as stream,
        unpacked(stream, manifest.name, extractor.member) as files,
    ):
        for member, file in files:
            found = _index_member(extractor, member, file, after, manifest.size)
            members.append(found)
            after = found.spans[-1] if found.spans else after
    if extractor.format.naming == "header":
        _check_names(members, manifest.name)
    return _kept(store, replace(manifest, members=tuple(members)))


def batches(
    extractor: Extractor, store: LandingStore, manifest: Manifest, numbers: Container[int] | None = None
) -> Iterator[RawBatch]:
    """Read batches of a delivery from its frozen bytes.

    In a file that is not packed they are sought; in one that is, the bytes before them are unpacked and passed over.

    Args:
        extractor: Knows the format.
        store: Has the bytes.
        manifest: Of the delivery, with its index.
        numbers: Of the batches wanted; all when None.

    Yields:
        The batches, in order.
    """
    union = extractor.format.naming == "union"
    wanted: dict[str, MemberIndex] = {}
    for member in manifest.members:
        spans = tuple(span for span in member.spans if numbers is None or span.batch in numbers)
        if spans:
            names = manifest.names if union else member.names
            wanted[member.member] = replace(member, names=names, spans=spans)
    left = len(wanted)
    if not left:
        return
    with (
        store.open(manifest.sha256) as stream,
        unpacked(stream, manifest.name, extractor.member) as files,
    ):
        for name, file in files:
            if name in wanted:
                yield from extractor.format.read(file, name, index=wanted[name])
                left -= 1
            if not left:
                return


def _kept(store: LandingStore, manifest: Manifest) -> Manifest:
    store.put_manifest(manifest)
    return manifest


def _index_member(
    extractor: Extractor, member: str, file: BinaryIO, after: Span | None, packed_size: int
) -> MemberIndex:
    names: dict[str, None] = {}
    spans: list[Span] = []
    for batch in extractor.format.read(file, member, after=after):
        names |= dict.fromkeys(batch.names)
        if batch.span.records:
            spans.append(batch.span)
    size = packed_size
    if isinstance(file, Member):
        file.drain()
        size = file.position
    return MemberIndex(member, size, tuple(names), tuple(spans))


def _check_names(members: Sequence[MemberIndex], name: str) -> None:
    for member in members[1:]:
        if difference := set(members[0].names) ^ set(member.names):
            listed = ", ".join(map(repr, sorted(difference)))
            raise DeliveryError(
                f"{member.member} in {name} does not publish the columns of {members[0].member}: {listed} stand in "
                "only one of them. Nothing was loaded. Choose members of one shape with member=; declare one source "
                "for each shape."
            )
