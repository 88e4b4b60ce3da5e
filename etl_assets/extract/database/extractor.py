"""`DatabaseExtractor`: the rows of a table or of a query, frozen as Parquet.

`checks` says what is wrong with a declaration, `fetching` fetches.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from etl_assets.extract.access.database import Database
from etl_assets.extract.base import Extractor, Format
from etl_assets.extract.database.checks import check_declaration, check_partitions
from etl_assets.extract.formats.parquet import Parquet
from etl_assets.extract.incremental import Incremental
from etl_assets.extract.key_comparison import KeyComparison

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from etl_assets.extract.base import Fetched
    from etl_assets.model.partitions import Partition, Partitioning

PREVIEW_ROWS: Final = 1000
"""The number of rows that `DatabaseExtractor.of_preview` fetches at most."""


@dataclass(frozen=True)
class DatabaseExtractor(Extractor):
    """Fetches the rows of a table or of a query, in one snapshot, and freezes them as Parquet.

    Attributes:
        url: Where the database is, without a login: ``postgresql://host:5432/database``, or any other URL that a
            dialect of SQLAlchemy reads.
        table: The table or view, after its schema: ``public.orders``. A name with a point or a quote is written in
            quotes: ``"my.schema"."orders"``. Either this or ``query`` is declared.
        query: A SELECT. It may contain ``:start`` and ``:end``, the window of a partition of time, and ``:key``, the
            key of a partition.
        access: How the database is reached, with its login and limits.
        columns: The columns that are read; all of them if none are named.
        incremental: The column by which only what has changed is fetched. Rows without a value in it are fetched
            each time.
        partition_column: The column by which the rows belong to partitions: a moment or a day for partitions of time,
            a text for named ones.
        order_by: Columns by which the rows are sorted, so that the same rows give the same bytes. Without them, the
            rows come in the order in which they are stored.
        key_comparison: How rows are found whose key the database no longer has; None to look for none.
        format: How the frozen file is read.
    """

    url: str
    table: str = field(default="", kw_only=True)
    query: str = field(default="", kw_only=True)
    access: Database = field(default=Database(), kw_only=True)
    columns: tuple[str, ...] = field(default=(), kw_only=True)
    incremental: Incremental | None = field(default=None, kw_only=True)
    partition_column: str = field(default="", kw_only=True)
    order_by: tuple[str, ...] = field(default=(), kw_only=True)
    key_comparison: KeyComparison | None = field(default=None, kw_only=True)
    format: Format = field(default=Parquet(binary="hex"), kw_only=True)

    most_rows: ClassVar[int | None] = None
    """The number of rows after which a fetch ends; None for all of them. It is of a preview."""

    def check(self, where: str) -> None:
        """Raise unless the declaration names one thing to read, without a login in its address."""
        super().check(where)
        check_declaration(self, where)

    def check_partitions(self, partitions: Partitioning | None, where: str) -> None:
        """Raise unless the rows of a partition differ from those of others."""
        check_partitions(self, partitions, where)

    @property
    def is_incremental(self) -> bool:
        """Whether a fetch begins where the one before ended. The state has the catalogue in any case."""
        return self.incremental is not None

    @property
    def compares_keys(self) -> KeyComparison | None:
        """See `Extractor.compares_keys`."""
        return self.key_comparison

    def of_keys(self, names: Sequence[str]) -> DatabaseExtractor:
        """Return the extractor of some columns of all rows; see `Extractor.of_keys`."""
        return replace(self, columns=tuple(names), incremental=None, order_by=(), key_comparison=None)

    def of_preview(self) -> DatabaseExtractor:
        """Return the extractor of the first rows; see `Extractor.of_preview`."""
        first = copy(self)
        object.__setattr__(first, "most_rows", PREVIEW_ROWS)  # of this one alone, which is frozen otherwise
        return first

    def is_cut(self, statistics: Mapping[str, float]) -> bool:
        """See `Extractor.is_cut`."""
        return statistics.get("records", 0) >= PREVIEW_ROWS

    def fetch(self, partition: Partition) -> AbstractContextManager[Fetched]:
        """Fetch all rows of a partition; see `Extractor.fetch`."""
        return self.fetch_since(partition, {})

    def fetch_since(self, partition: Partition, state: Mapping[str, Any]) -> AbstractContextManager[Fetched]:
        """Fetch what has changed since an earlier fetch, if that is declared; see `Extractor.fetch_since`."""
        from etl_assets.extract.database.fetching import fetch  # noqa: PLC0415 -- slow to import

        return fetch(self, partition, state)

    def poll(self, partition: Partition) -> Mapping[str, str] | None:
        """Return the newest value and the number of rows; None if everything is fetched each time."""
        return self.poll_since(partition, {})

    def poll_since(self, partition: Partition, state: Mapping[str, Any]) -> Mapping[str, str] | None:
        """Return the newest value of the incremental column, and the number of rows that a fetch would bring."""
        if self.incremental is None:
            return None
        from etl_assets.extract.database.fetching import poll  # noqa: PLC0415 -- as above

        return poll(self, partition, state)
