"""Fetches the pages of a `RestExtractor` into one file: all of them, unchanged while they were read, or an error."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast
from urllib.parse import urlsplit

from etl_assets.errors import DeliveryError, DeliveryIncompleteError, DeliveryMissingError
from etl_assets.extract.base import Fetched
from etl_assets.extract.http.session import HttpSession
from etl_assets.extract.http.waits import moment_of
from etl_assets.extract.progress import say
from etl_assets.extract.rest.chain import Chain, in_parallel
from etl_assets.extract.rest.client import Client
from etl_assets.extract.rest.first_request import home_of, request_of
from etl_assets.extract.rest.page_writer import PageWriter
from etl_assets.extract.rest.pagination import Cursor, FirstPages
from etl_assets.extract.rest.parents import parents_of
from etl_assets.extract.rest.placeholders import SINCE, values_of
from etl_assets.extract.rest.seen import Seen, validators_of
from etl_assets.extract.validators import CHECKSUM
from etl_assets.model.text import escape_control_characters, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from etl_assets.extract.rest.answer import Answer
    from etl_assets.extract.rest.extractor import RestExtractor
    from etl_assets.model.partitions import Partition

RESTARTS: Final = 2
PARENT: Final = "parent"
"""The key of the parent's state in the state."""


@contextmanager
def fetch_pages(extractor: RestExtractor, partition: Partition, state: Mapping[str, Any]) -> Iterator[Fetched]:
    """Fetch the pages of a partition.

    Args:
        extractor: The declaration.
        partition: The partition.
        state: Where the fetch before ended; empty to fetch everything.

    Yields:
        A file of pages.

    Raises:
        DeliveryMissingError: If there is nothing at the address.
        DeliveryIncompleteError: If the records change faster than they can be read.
        DeliveryError: If the pages cannot be fetched for another reason.
    """
    shown = extractor.shown
    with ExitStack() as opened:
        spool = cast("BinaryIO", opened.enter_context(tempfile.TemporaryFile(prefix="etl-assets-pages-")))
        with HttpSession(extractor.access, home_of(extractor)) as session:
            began = time.monotonic()
            client = Client(extractor, session)
            say(f"{shown} is read from its first page: {_extent(extractor, state)}.")
            reader = _Reader(extractor, partition, state, client)
            reading = _read_unchanged(reader, spool)
            statistics = {
                **client.progress.statistics,
                "requests": session.requests + reader.requests_of_parent,
                "seconds": round(time.monotonic() - began, 3),
            }
        spool.seek(0)
        name = (
            urlsplit(extractor.url).path.rstrip("/").rpartition("/")[2] or urlsplit(extractor.url).hostname or "pages"
        )
        yield Fetched(
            spool,
            escape_control_characters(name),
            shown,
            reading.validators,
            reading.state,
            reading.notes,
            statistics,
        )


def _extent(extractor: RestExtractor, state: Mapping[str, Any]) -> str:
    """Return what is fetched, for people."""
    since = None if extractor.incremental is None else extractor.incremental.since(state)
    if since is not None:
        return f"what has changed since {since}"
    return "what has changed for the parent's records" if state.get(PARENT) else "everything"


@dataclass
class Reading:
    """The outcome of reading all pages once.

    Attributes:
        digest: SHA-256 of the records, by which two readings are known to be the same, whatever is around them.
        changes: What shows that the records changed while they were read, each as a clause.
        notes: What else people should know, each as a sentence.
        state: Where the next fetch begins.
        validators: By which a poll knows that nothing is new; empty if it cannot.
    """

    digest: str = ""
    changes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    validators: dict[str, str] = field(default_factory=dict)


def _read_unchanged(reader: _Reader, spool: BinaryIO) -> Reading:
    """Read all pages; again, if they changed meanwhile and the declaration says so."""
    before = ("", "")
    for attempt in range(RESTARTS + 1):
        reading = reader.read(spool)
        if not reading.changes:
            return reading
        listed = "; ".join(reading.changes)
        if reader.extractor.on_change == "report":
            reading.notes.append(f"The records changed while their pages were read: {listed}. Some may be missing.")
            return reading
        if (reading.digest, listed) == before:
            raise DeliveryError(
                f"{reader.shown} does not give all records: {listed}, twice the same. Nothing was written. It may give "
                "only the first ones of many: cut them by partitions; or leave total= out if its number is not exact."
            )
        before = (reading.digest, listed)
        if attempt < RESTARTS:
            say(f"{reader.shown} is read from the first page again, because it changed meanwhile: {listed}.")
    raise DeliveryIncompleteError(
        f"{reader.shown} changed each of {RESTARTS + 1} times while its pages were read: {listed}. Nothing was "
        "written. Run it when less is changed, ask for more records a page, or declare on_change='report'."
    )


class _Reader:
    """Reads all pages of a partition into a file, as often as it is asked.

    Attributes:
        requests_of_parent: Number of requests for the records of the parent, in all readings.
    """

    def __init__(
        self, extractor: RestExtractor, partition: Partition, state: Mapping[str, Any], client: Client
    ) -> None:
        self.extractor = extractor
        self.shown = extractor.shown
        self._partition = partition
        self._state = state
        self._client = client
        self._one_by_one = replace(extractor, parallel=1)
        self.requests_of_parent = 0.0

    def read(self, spool: BinaryIO) -> Reading:
        """Write all pages to a file, in place of what it has."""
        began = now()
        self._client.begin_again()
        reading, file, seen = Reading(), PageWriter(spool, self.extractor), None
        first: Answer | None = None
        digest, records = sha256(), 0
        for answer, values in self._answers(reading):
            if first is None:
                first = answer
                if self.extractor.incremental is not None:
                    seen = Seen(self.extractor.incremental, self._state, _asked_at(began, answer))
            file.write(answer, values)
            digest.update(answer.digest.encode())
            records += answer.records
            if seen is not None:
                seen.take(answer)
        reading.digest = digest.hexdigest()
        if not records and not self._state:
            reading.notes.append("The API has no record. If it should have some, check its url and parameters.")
        if first is not None and file.pages > 1 and self._may_shift and self._client.has_changed(first):
            reading.changes.append("the first page is another one now")
        if seen is not None:
            self._conclude(reading, seen)
        elif self.extractor.incremental is not None:  # there was no page, so that the next fetch begins as this one did
            reading.state |= self.extractor.incremental.state(self.extractor.incremental.cursor(self._state))
        elif first is not None and self.extractor.parent is None and (file.pages == 1 or self.extractor.newest_first):
            reading.validators = {CHECKSUM: first.digest}
        return reading

    @property
    def _may_shift(self) -> bool:
        """Whether a change of the first page may have moved records past the pages that were read.

        A cursor stays where it is; new records at the front move old ones to later pages, where they come twice.
        """
        return not (isinstance(self.extractor.pagination, Cursor | FirstPages) or self.extractor.newest_first)

    def _answers(self, reading: Reading) -> Iterator[tuple[Answer, Mapping[str, str]]]:
        """Yield the pages, each with the values of its parent; add to the reading what becomes known on the way."""
        incremental, parent = self.extractor.incremental, self.extractor.parent
        since = None if incremental is None else incremental.since(self._state)
        known = values_of(self._partition, since)
        if parent is None:
            chain = Chain(self.extractor, self._client, since)
            for answer in chain.answers(request_of(self.extractor, known)):
                yield answer, {}
            reading.changes += chain.changes
            return
        parents = parents_of(parent, self._partition, self._state.get(PARENT, {}))
        reading.notes += parents.notes
        reading.state |= {PARENT: parents.state} if parents.state else {}
        self.requests_of_parent += parents.requests
        missing = 0
        of_parent = partial(self._of_parent, known, reading)
        for values, answers in in_parallel(of_parent, parents.records, self.extractor.parallel):
            for page in answers:
                if page is None:
                    missing += 1
                else:
                    yield page, values
        if missing and missing == len(parents.records):
            raise DeliveryMissingError(
                f"There is nothing at {self.shown} for any of {missing:,} records of the parent (HTTP 404). Nothing "
                "was written. Correct the url, or the columns of the parent."
            )
        if missing:
            reading.notes.append(f"There is nothing for {missing:,} of {len(parents.records):,} records of the parent.")

    def _of_parent(
        self, known: Mapping[str, Any], reading: Reading, values: Mapping[str, str]
    ) -> tuple[Mapping[str, str], Iterable[Answer | None]]:
        """Return the pages for a record of the parent: one after the other, or all at once for several threads."""
        pages = self._pages_of(known, reading, values)
        return values, pages if self.extractor.parallel == 1 else list(pages)

    def _pages_of(
        self, known: Mapping[str, Any], reading: Reading, values: Mapping[str, str]
    ) -> Iterator[Answer | None]:
        """Yield the pages for a record of the parent; None instead if there is nothing at their address."""
        chain = Chain(self._one_by_one, self._client, known[SINCE])
        try:
            yield from chain.answers(request_of(self.extractor, {**known, **values}))
        except DeliveryMissingError:
            yield None
        reading.changes += [f"of a record of the parent, {sign}" for sign in chain.changes]

    def _conclude(self, reading: Reading, seen: Seen) -> None:
        reading.state |= seen.state
        reading.validators = validators_of(reading.state) if self.extractor.parent is None else {}
        if seen.without and self.extractor.incremental is not None:
            reading.notes.append(
                f"{seen.without:,} records have no value in {quoted(self.extractor.incremental.by)} that can be read. "
                "They are in the delivery, and do not move where the next fetch begins."
            )


def now() -> datetime:
    """Return the time by the clock of this machine, in UTC."""
    return datetime.now(UTC)


def _asked_at(began: datetime, first: Answer) -> datetime:
    """Return when a fetch began, by the earlier of two clocks: that of this machine, and that of the server."""
    return min(began, moment_of(first.headers.get("date", "")) or began)
