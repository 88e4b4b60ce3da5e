"""`DltExtractor`: fetches what a resource of dlt yields, and keeps dlt's state with the delivery.

dlt makes requests, follows pages and knows what is new. It writes to no warehouse: the bytes are frozen, and the
declared schema decides what becomes of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from etl_assets.errors import DeclarationError, DeliveryMissingError
from etl_assets.extract.base import Extractor, Fetched, Format, check_no_file
from etl_assets.extract.dlt.declaration import check_function, check_function_for, gets_partition
from etl_assets.extract.dlt.frozen_format import written
from etl_assets.extract.dlt.stream import Stream
from etl_assets.extract.formats.ndjson import Ndjson
from etl_assets.extract.formats.parquet import Parquet
from etl_assets.extract.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from etl_assets.extract.dlt.items import Items
    from etl_assets.model.partitions import Partition, Partitioning

_IN_FILE_NAMES: Final = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True)
class DltExtractor(Extractor):
    """Fetches a resource of dlt. It needs the extra ``dlt``.

    Attributes:
        resource: A function without parameters, or with one, which gets the partition. It returns a resource of dlt, or
            a source of dlt. It is called when a partition is fetched, and imports dlt itself.
        name: Which resource of the source; may be left out if the source has only one.
        table: Which of the tables that dlt makes of nested records is the feed, such as ``orders__lines``, by the names
            that dlt gives to tables and columns. Without it, a record is what the resource yields.
        empty_ok: Whether a fetch of everything that has no record is a delivery without records; else it is refused.
        format: ``Ndjson`` for a resource that yields dicts, ``Parquet`` for one that yields Arrow tables or frames.
    """

    resource: Callable[..., Any]
    name: str = field(default="", kw_only=True)
    table: str = field(default="", kw_only=True)
    empty_ok: bool = field(default=False, kw_only=True)
    format: Format = field(default_factory=Ndjson, kw_only=True)

    def check(self, where: str) -> None:
        """Raise unless function and format are sound; dlt is not imported, and the function is not called."""
        super().check(where)
        check_no_file(self, where)
        check_function(self.resource, where)
        if type(self.format) not in (Ndjson, Parquet):
            remedy = "Write format=Ndjson() for dicts, format=Parquet() for Arrow tables and frames"
            raise DeclarationError(where, "format", f"is {self.format.name}, in which nothing is written", remedy)
        if self.table and isinstance(self.format, Parquet):
            remedy = "Leave it out, or write format=Ndjson()"
            raise DeclarationError(where, "table", "is for dicts, and the format is Parquet", remedy)

    def check_partitions(self, partitions: Partitioning | None, where: str) -> None:
        """Raise unless the function gets the partition if there are several, and there are no files to list."""
        check_function_for(self.resource, partitions, where)

    @property
    def is_incremental(self) -> bool:
        """True: dlt's state is kept. A resource that has none is fetched as a whole each time."""
        return True

    @property
    def delivers_changes(self) -> bool:
        """False: only the resource knows. One without a state of dlt delivers everything."""
        return False

    @property
    def frozen_format(self) -> Format:
        """The format with the values of Python in the notation in which they are written here."""
        return written(self.format)

    def fetch(self, partition: Partition) -> AbstractContextManager[Fetched]:
        """Fetch everything: dlt begins without a state. See `Extractor.fetch`."""
        return self._fetch(partition, None)

    def fetch_since(self, partition: Partition, state: Mapping[str, Any]) -> AbstractContextManager[Fetched]:
        """Fetch what dlt finds new with the state of an earlier fetch; see `Extractor.fetch_since`."""
        return self._fetch(partition, state)

    @contextmanager
    def _fetch(self, partition: Partition, state: Mapping[str, Any] | None) -> Iterator[Fetched]:
        from etl_assets.extract.dlt.library import load  # noqa: PLC0415 -- as below

        load()
        from etl_assets.extract.dlt.items import Items  # noqa: PLC0415 -- it imports dlt
        from etl_assets.extract.dlt.resource import resource_of  # noqa: PLC0415 -- as above
        from etl_assets.extract.dlt.state import injected  # noqa: PLC0415 -- as above

        known = injected(state)
        arguments = (partition,) if gets_partition(self.resource) else ()
        resource = resource_of(self.resource, arguments, self.name, known)
        progress = Progress(resource.origin)
        with closing(Items(resource, known, progress)) as items:
            stream = Stream(items.injected(self._chunks(items, is_full=not known.sources)))
            fetched = Fetched(cast("Any", stream), self._file_name(resource.name), resource.origin)
            stream.at_end = lambda: self._finish(fetched, items)
            stream.fill()
            yield fetched

    def _chunks(self, items: Items, *, is_full: bool) -> Iterator[bytes]:
        if isinstance(self.format, Parquet):
            from etl_assets.extract.dlt.tables import parquet_of  # noqa: PLC0415 -- it imports dlt

            chunks = parquet_of(items)
        else:
            from etl_assets.extract.dlt.objects import lines_of  # noqa: PLC0415 -- as above

            chunks = lines_of(items, self.table)
        for chunk in chunks:
            if not items.progress.records and is_full and not self.empty_ok:
                raise DeliveryMissingError(
                    f"{items.resource.origin} has no record. Nothing was written. Check the resource, for a selector "
                    "that finds nothing gives no error; if it may be empty, declare empty_ok=True."
                )
            yield chunk

    def _finish(self, fetched: Fetched, items: Items) -> None:
        """Add what is known once the last item came."""
        if not items.progress.records:
            fetched.notes.append("The publisher has nothing new.")
        fetched.state.update(items.state())
        fetched.statistics.update(items.progress.statistics)

    def _file_name(self, resource: str) -> str:
        return f"{_IN_FILE_NAMES.sub('_', self.table or resource)}.{self.format.name}"
