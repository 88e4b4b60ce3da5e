"""What a resource yields: which kind of item it is, and for which of dlt's tables it is marked."""

# ruff: noqa: TID253 -- imported when something is fetched, never before

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dlt.extract.extractors import ImportFileMeta
from dlt.extract.hints import HintsMeta
from dlt.extract.items import TableNameMeta

from etl_assets.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlt.extract import DltResource

    from etl_assets.extract.dlt.items import Items


def records_of(item: Any, origin: str) -> list[Any]:
    """Return the dicts of an item.

    Raises:
        DeliveryError: If it is of another kind.
    """
    records = item if isinstance(item, list) else [item]
    for record in records:
        if type(record) is not dict and not is_object(record):
            raise refused(record, origin)
    return records


def is_object(record: Any) -> bool:
    """Return whether an item that is no dict has keys and values too."""
    is_class = isinstance(record, type)
    return isinstance(record, Mapping) or (
        not is_class and (hasattr(record, "model_dump") or hasattr(record, "__dataclass_fields__"))
    )


def is_table(item: Any) -> bool:
    """Return whether an item is an Arrow table or batch, or a frame of pandas or Polars; none of them is imported."""
    module = type(item).__module__.partition(".")[0]
    return module in {"pyarrow", "pandas", "polars"} and type(item).__name__ in {"Table", "RecordBatch", "DataFrame"}


def refused(item: Any, origin: str) -> DeliveryError:
    """Return the error about an item that the declared format does not write."""
    name = type(item).__name__
    if is_table(item):
        problem, remedy = f"yields a {name}, and the format is ndjson", "Declare format=Parquet()"
    elif is_object(item):
        problem, remedy = f"yields a {name}, and the format is parquet", "Declare format=Ndjson(), or leave it out"
    else:
        problem = f"yields a {name}, which is no record"
        remedy = "Let it yield dicts, for example by add_map(lambda value: {'value': value})"
    return DeliveryError(f"{origin} {problem}. Nothing was written. {remedy}.")


def in_one_table(items: Items) -> Iterator[Any]:
    """Yield the items of a resource, all of which must be for one of dlt's tables.

    Raises:
        DeliveryError: If one of them is for a table of its own: its records are of another kind.
    """
    resource, origin = items.resource.resource, items.resource.origin
    if resource.has_dynamic_table_name:
        raise DeliveryError(
            f"{origin} has a table for each item, by what the item contains. Nothing was written. Declare table= with "
            "the one that is the feed; declare one source for each."
        )
    for item, mark in items:
        table = marked_table(mark, origin)
        if table is not None and table != resource.table_name:
            raise DeliveryError(
                f"{origin} marks an item for the table {table!r}. Nothing was written. Declare table= with the one "
                "that is the feed; declare one source for each."
            )
        yield item


def marked_table(mark: Any, origin: str) -> str | None:
    """Return the table for which an item is marked; None if it is that of its resource.

    Raises:
        DeliveryError: If the mark means something else.
    """
    if mark is None:
        return None
    if isinstance(mark, TableNameMeta):
        return mark.table_name
    if isinstance(mark, HintsMeta) and not isinstance(mark, ImportFileMeta):
        name = (mark.hints or {}).get("table_name") if mark.create_table_variant else None
        return name if isinstance(name, str) else None  # other hints are dlt's, and the declared schema stands
    remedy = "Fetch files by FileExtractor" if isinstance(mark, ImportFileMeta) else "Yield the item without it"
    raise DeliveryError(
        f"{origin} yields an item with a mark of dlt that is a {type(mark).__name__}. Nothing was written. {remedy}."
    )


def table_of(resource: DltResource, item: Any, mark: Any, origin: str) -> str:
    """Return the table of dlt that an item is for."""
    table = marked_table(mark, origin)
    if table is not None:
        return table
    name = resource.table_name
    return str(name(item)) if callable(name) else str(name)
