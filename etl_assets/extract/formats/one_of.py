"""OneOf: a feed whose files have been written in several ways over the years. Each way is a `Layout`."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from etl_assets.errors import DeclarationError, DeliveryError
from etl_assets.extract.base import HEAD, Format
from etl_assets.model.declaration import Declaration
from etl_assets.model.text import escape_control_characters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.extract.base import Naming
    from etl_assets.model.batch import RawBatch
    from etl_assets.model.delivery import MemberIndex, Span
    from etl_assets.model.rule import OnBreach, RuleInfo


@dataclass(frozen=True)
class Layout(Declaration):
    """A way in which the files of a feed are written, and the partitions that it can occur in.

    Attributes:
        format: How the files are written.
        first: The least key of a partition that can have it; None if any can.
        last: The greatest key of a partition that can have it; None if any can.
        keys: Glob for the keys of the partitions that can have it.
    """

    format: Format
    first: str | None = None
    last: str | None = None
    keys: str = "*"

    def __post_init__(self) -> None:
        if not self.keys:
            raise DeclarationError("Layout", "keys", "matches nothing", "Write a glob for keys of partitions: '2019-*'")
        if self.first is not None and self.last is not None and self.first > self.last:
            raise DeclarationError("Layout", "first", "is after last", "Write the least key, then the greatest")

    def is_of(self, key: str) -> bool:
        """Return whether a partition can have the layout."""
        after = self.first is not None and key < self.first
        before = self.last is not None and key > self.last
        return not after and not before and fnmatchcase(key, self.keys)


@dataclass(frozen=True, init=False)
class OneOf(Format):
    """One of several layouts: the first, in the declared order, that a file's partition and first bytes allow.

    A file that none allows is refused. ``OneOf(Csv(), Layout(Csv(delimiter=";"), last="2019-12-31"), Excel())``

    Attributes:
        layouts: In the declared order.
    """

    layouts: tuple[Layout, ...]
    _key: str | None = field(default=None, repr=False)

    def __init__(self, *layouts: Format | Layout) -> None:
        if len(layouts) < 2:  # noqa: PLR2004 -- one is no choice
            raise _error("has no choice", "Name two formats or more, or the only one without OneOf")
        every = tuple(layout if isinstance(layout, Layout) else Layout(layout) for layout in layouts)
        if any(isinstance(layout.format, OneOf) for layout in every):
            raise _error("contains a OneOf", "Write its layouts directly")
        object.__setattr__(self, "layouts", every)
        object.__setattr__(self, "_key", None)

    @property
    def name(self) -> str:
        """The name of the formats, if it is the same for all."""
        names = {layout.format.name for layout in self.layouts}
        return names.pop() if len(names) == 1 else super().name

    @property
    def naming(self) -> Naming:
        """That of all layouts; ``header`` if they differ, so that the members of an archive have the same names."""
        namings = {layout.format.naming for layout in self.layouts}
        return namings.pop() if len(namings) == 1 else "header"

    @property
    def rules(self) -> tuple[RuleInfo, ...]:
        """The rules of all layouts, each once."""
        return tuple({rule.name: rule for layout in self.layouts for rule in layout.format.rules}.values())

    @property
    def seeks(self) -> bool:
        """Whether one of the layouts does."""
        return any(layout.format.seeks for layout in self.layouts)

    @property
    def on_unterminated(self) -> OnBreach:
        """``report`` if one of the layouts reports; that of the first one otherwise."""
        ways = [layout.format.on_unterminated for layout in self.layouts]
        return "report" if "report" in ways else ways[0]

    def of_partition(self, key: str) -> OneOf:
        """Return the format with the layouts that a partition can have; see `Format.of_partition`."""
        chosen: OneOf = object.__new__(OneOf)
        object.__setattr__(chosen, "layouts", self.layouts)
        object.__setattr__(chosen, "_key", key)
        return chosen

    def read(
        self, stream: BinaryIO, member: str, *, after: Span | None = None, index: MemberIndex | None = None
    ) -> Iterator[RawBatch]:
        """Cut a file into batches, as the layout does that it is written in; see `Format.read`."""
        if index is None:
            head = _head_of(stream)
            number = self._number(head, member)
            unread = _unread(stream, head)
        else:
            number, index = self._layout_of(index)
            unread = stream
        format_ = self.layouts[number].format
        for batch in format_.read(unread, member, after=after, index=index):
            batch.span = replace(batch.span, context=f"{number} {batch.span.context}")
            yield batch

    def reread(self, names: Sequence[str], records: Mapping[int, bytes], context: str = "") -> RawBatch:
        """Parse single records again, as the layout does that they were written in; see `Format.reread`."""
        number, inner = _parts(context or "0 ")
        return self.layouts[number].format.reread(names, records, inner)

    def _number(self, head: bytes, member: str) -> int:
        """Return the number of the layout of a file, by its first bytes."""
        reasons: list[str] = []
        for number, layout in enumerate(self.layouts):
            if self._key is not None and not layout.is_of(self._key):
                reason: str | None = f"is not for the partition {escape_control_characters(self._key)}"
            else:
                reason = layout.format.mismatch(head)
            if reason is None:
                return number
            reasons.append(f"layout {number + 1}, {type(layout.format).__name__}, {reason}")
        raise DeliveryError(
            f"{member or 'The file'} is written in none of the declared layouts: {'; '.join(reasons)}. Nothing was "
            "written. Declare how it is written, as another argument of OneOf."
        )

    def _layout_of(self, index: MemberIndex) -> tuple[int, MemberIndex]:
        """Return the number of the layout of an index, and the index as the layout made it."""
        parts = [_parts(span.context) for span in index.spans]
        spans = (replace(span, context=inner) for span, (_, inner) in zip(index.spans, parts, strict=True))
        return parts[0][0] if parts else 0, replace(index, spans=tuple(spans))


class _Unread(io.RawIOBase):
    """A stream whose first bytes were read, from its start again."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        super().__init__()
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        chunk = self._head[: len(buffer)] or self._rest.read(len(buffer))
        self._head = self._head[len(chunk) :] if self._head else b""
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _head_of(stream: BinaryIO) -> bytes:
    head = b""
    while len(head) < HEAD and (chunk := stream.read(HEAD - len(head))):
        head += chunk
    return head


def _unread(stream: BinaryIO, head: bytes) -> BinaryIO:
    if stream.seekable():
        stream.seek(0)
        return stream
    return cast("BinaryIO", _Unread(head, stream))


def _parts(context: str) -> tuple[int, str]:
    number, _, inner = context.partition(" ")
    return int(number), inner


def _error(problem: str, remedy: str) -> DeclarationError:
    return DeclarationError("format OneOf", "layouts", problem, remedy)
