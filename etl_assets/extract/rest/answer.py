"""`Answer`: a page, as the answer to a request; its records, and what else it says."""

from __future__ import annotations

import io
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.json.path import Path
from etl_assets.extract.rest.members import MALFORMED, members_of, value_at
from etl_assets.model.delivery import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from etl_assets.extract.base import Format
    from etl_assets.extract.rest.request import Request
    from etl_assets.model.batch import RawBatch


class Answer:
    """The answer to a request: a page.

    Attributes:
        request: What was asked.
        status: Its HTTP status.
        headers: By names in lower case.
        body: Its bytes, without the coding of the transfer.
        label: How the page is named to people.
        number: Of the page, from the first request on, beginning with 1.
        earlier: Number of records of the pages before it, from the first request on.
        records: Number of its records.
        digest: SHA-256 (hex) of its records; two pages with the same records have the same, whatever is around them.
    """

    def __init__(
        self,
        request: Request,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
        label: str = "page 1",
        number: int = 1,
        earlier: int = 0,
    ) -> None:
        self.request = request
        self.status = status
        self.headers = headers
        self.body = body
        self.label = label
        self.number = number
        self.earlier = earlier
        self.records = 0
        self.digest = ""
        self._format: Format | None = None
        self._kept: list[RawBatch] = []

    def read(self, format_: Format, go_on: Callable[[], None] = lambda: None) -> None:
        """Read the records; the batches of a large page one after the other, which are not kept.

        Args:
            format_: Of the body.
            go_on: Is called for each batch, and raises if the page is not to be read any further.

        Raises:
            DeliveryError: If the body is not of the format.
        """
        self._format = format_
        digest = sha256()
        kept: list[RawBatch] = []
        for batch in self.batches:
            go_on()
            for raw in _raws(batch):
                digest.update(raw)
                digest.update(b"\0")
            self.records += batch.span.records
            if len(self.body) <= _KEPT_BYTES:
                kept.append(batch)
            else:
                batch.forget()
        self.digest, self._kept = digest.hexdigest(), kept

    @property
    def batches(self) -> Iterator[RawBatch]:
        """The batches of its records; those of a large page are read again."""
        if self._kept:
            yield from self._kept
        elif self._format is not None and (self.body or self.status != _NO_CONTENT):
            stream = cast("Any", io.BytesIO(self.body))
            yield from self._format.read(stream, self.label, after=Span(0, "", 0, 0, 1, 0, 1))

    @property
    def so_far(self) -> int:
        """Number of records of this page and those before it."""
        return self.earlier + self.records

    @property
    def raws(self) -> Iterator[bytes]:
        """The bytes of each record."""
        return (raw for batch in self.batches for raw in _raws(batch))

    @cached_property
    def document(self) -> Any:
        """The body as JSON.

        Raises:
            DeliveryError: If it is none.
        """
        try:
            return msgspec.json.decode(self.body)
        except MALFORMED:
            raise _no_json(self) from None

    def value(self, path: str) -> Any:
        """Return the value at a path in the body, such as ``$.meta.next``; None if it is not there.

        The body is not parsed for it, so that a malformed record does not matter.

        Raises:
            DeliveryError: If the body is no JSON.
        """
        steps = Path.parse(path).steps
        named = [step for step in steps if step is not None]
        return self.value_at(named) if named and len(named) == len(steps) else None

    def value_at(self, steps: Sequence[str]) -> Any:
        """Return the value to which keys lead, as `value`."""
        try:
            return value_at(self._members, steps)
        except ValueError:
            raise _no_json(self) from None

    @cached_property
    def _members(self) -> Mapping[str, bytes | msgspec.Raw]:
        return members_of(self.body)


_NO_CONTENT: Final = 204
_KEPT_BYTES: Final = 1024 * 1024
"""The records of a larger page are not kept: as objects they are many times its bytes."""
_AT_ONCE: Final = 10_000


def _raws(batch: RawBatch) -> Iterator[bytes]:
    numbers = batch.span.numbers
    for start in range(0, len(numbers), _AT_ONCE):
        yield from batch.raws(numbers[start : start + _AT_ONCE])


def _no_json(answer: Answer) -> DeliveryError:
    return DeliveryError(
        f"{answer.label} is no JSON, so that it does not say which page follows. Nothing was written. Declare another "
        "pagination=…, such as LinkHeader()."
    )
