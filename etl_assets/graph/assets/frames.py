"""Writes a DataFrame as a delivery: its types are the schema, its rows one batch, its content the SHA-256."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Self, cast

import polars as pl
import pyarrow as pa

from etl_assets.errors import DeclarationError, DeliveryError
from etl_assets.graph.keys import delivered_as, table_of
from etl_assets.load import LoadRequest, PostgresLoader, Target
from etl_assets.load.writers import Append, History, Replace, Snapshot, Upsert, check_partitioned
from etl_assets.model.batch import REJECTED_RECORD_NO, REJECTED_RULES, Batch, RawBatch
from etl_assets.model.delivery import Manifest, MemberIndex, Span
from etl_assets.model.partitions import Partition
from etl_assets.postgres.connection import in_session
from etl_assets.postgres.ledger import deliveries
from etl_assets.schema import RECORD_NO, Column, PartitionBy, Schema

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import dagster as dg
    import pandas as pd

    from etl_assets.landing import Warehouse
    from etl_assets.load import LoadReport
    from etl_assets.load.writers import Writer
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection

_SCALES: Final = (9, 18, 38)
_NO_REJECTED: Final[dict[str, pl.DataType]] = {REJECTED_RECORD_NO: pl.Int64(), REJECTED_RULES: pl.List(pl.String)}
_WRITERS: Final[dict[str, type[Writer]]] = {
    "append": Append,
    "upsert": Upsert,
    "replace": Replace,
    "snapshot": Snapshot,
    "history": History,
}
"""The write modes by the names that metadata have for them."""
_REPLACE_BY_KEY: Final = Snapshot(max_deleted=1.0)
"""What ``replace`` means for a frame with a key: only the rows that changed are written."""


@dataclass(frozen=True)
class FrameTarget:
    """The table and the partition to which a frame is written, and how.

    Attributes:
        where: The name of the asset in errors.
        name: The name of its deliveries in ``etl.delivery``.
        table: ``schema.table``.
        partition: Partition of the asset.
        key: Names of the columns that identify a row.
        writer: The write mode.
        partition_by: How the table is cut into child tables; None if it is not.
    """

    where: str
    name: str
    table: str
    partition: Partition
    key: tuple[str, ...]
    writer: Writer
    partition_by: PartitionBy | None = None

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that must have a value in every row."""
        return tuple(dict.fromkeys((*self.key, *((self.partition_by.column,) if self.partition_by else ()))))

    @classmethod
    def of(cls, context: dg.OutputContext) -> Self:
        """Read the definition metadata of the asset that returned the frame.

        Raises:
            DeclarationError: If ``key`` is missing, ``write`` is unknown, or the run has several partitions.
        """
        where = f"asset {context.asset_key.to_user_string()}"
        metadata = context.definition_metadata or {}
        key, writer = metadata.get("key"), _writer(metadata.get("write", "upsert"), where)
        if key and isinstance(writer, Replace):
            writer = _REPLACE_BY_KEY
        if not isinstance(key, list | tuple | None) or (writer.needs_key and not key):
            raise DeclarationError(
                where, "metadata 'key'", "is missing", "Write metadata={'key': ('column', ...)}, which identifies a row"
            )
        keys = list(context.asset_partition_keys) if context.has_asset_partitions else [""]
        if len(keys) != 1:
            raise DeclarationError(
                where, "backfill_policy", f"puts {len(keys)} partitions in one run", "Let each partition be a run"
            )
        partition = Partition(keys[0], keys[0])
        return cls(
            where,
            delivered_as(context.asset_key),
            table_of(context.asset_key),
            partition,
            tuple(key or ()),
            writer,
            _partition_by(metadata.get("partition_by"), where),
        )


def _writer(write: object, where: str) -> Writer:
    """Return the write mode of metadata ``write``: a name, or a name with arguments, ``{"snapshot": {…}}``."""
    named = {write: {}} if isinstance(write, str) else write
    if isinstance(named, dict) and len(named) == 1:
        ((name, arguments),) = named.items()
        if name in _WRITERS and isinstance(arguments, dict):
            return _WRITERS[name](**{argument: _argument(argument, value) for argument, value in arguments.items()})
    known = " or ".join(map(repr, _WRITERS))
    problem = f"is {write!r}"
    raise DeclarationError(
        where, "metadata 'write'", problem, f"Write {known}, or {{'snapshot': {{'max_deleted': 0.5}}}}"
    )


def _argument(name: str, value: object) -> object:
    """Return a value as the write mode takes it: the ``snapshot`` of a history, and tuples, have another form here."""
    if name in _WRITERS:
        return _writer({name: value}, name)
    return tuple(value) if isinstance(value, list) else value


def _partition_by(arguments: object, where: str) -> PartitionBy | None:
    """Return what metadata ``partition_by`` declares: ``{"column": "day", "every": "month"}``."""
    if arguments is None:
        return None
    if isinstance(arguments, dict) and all(isinstance(name, str) for name in arguments):
        return PartitionBy(**arguments)
    problem = f"is {arguments!r}"
    raise DeclarationError(
        where, "metadata 'partition_by'", problem, "Write {'column': 'day', 'every': 'month', 'keep': '3 years'}"
    )


def write_frame(
    frame: pd.DataFrame | pl.DataFrame, target: FrameTarget, warehouse: Warehouse, run_id: str
) -> LoadReport:
    """Write a frame to its table in one transaction, unless it equals the partition's newest delivery.

    Raises:
        DeclarationError: If a column has no name or type in the database, the key names no column, or the write mode
            does not fit them.
        DeliveryError: If a row has no value in a key column. Nothing was written.
        LoadError: If another partition has one of its keys, or the database does not accept the frame. Nothing was
            written.
    """
    rows = as_polars(frame, target.where)
    schema = infer_schema(rows, target.key, target.where, required=target.needed)
    rows = rows.cast({column.name: column.type.polars for column in schema.columns})
    target.writer.check(schema, None, target.where)
    if target.partition_by is not None:
        target.partition_by.check(schema, target.where)
        check_partitioned(target.writer, target.where)
    _check_keys(rows, target)
    manifest = _manifest(rows, target)
    delivery = in_session(warehouse.url, lambda session: _enter(session, target, manifest))

    def batches(skip: frozenset[int]) -> Iterator[Batch]:
        if 1 not in skip:
            numbered = rows.with_columns(pl.int_range(1, rows.height + 1, dtype=pl.Int64).alias(RECORD_NO))
            yield Batch(FrameBatch(rows, manifest.spans[0]), numbered, pl.DataFrame(schema=_NO_REJECTED))

    table = Target(
        target.table,
        schema,
        schema.fingerprint,
        key_has_partition=True,
        writer=target.writer,
        frozen=False,
        partition_by=target.partition_by,
    )
    return PostgresLoader().load(LoadRequest(warehouse.url, run_id, table, delivery, batches))


def _enter(connection: Connection, target: FrameTarget, manifest: Manifest) -> Delivery:
    """Enter the frame as a delivery; complete or refuse the unfinished ones before it, whose frames are gone."""
    delivery, _ = deliveries.record(connection, target.name, target.partition, manifest)
    for older in deliveries.deliveries_to_load(connection, target.name, target.partition.key):
        unfinished = older.id != delivery.id and older.status != "complete"
        if unfinished and not deliveries.complete(connection, older):  # its run may have been killed after the commit
            deliveries.refuse(connection, older, "The run ended before this frame was written.")
    return delivery


class FrameBatch(RawBatch):
    """The rows of a frame in place of published records. A row that the database refuses is shown as JSON.

    Args:
        rows: The typed rows.
        span: The span of the whole frame.
    """

    def __init__(self, rows: pl.DataFrame, span: Span) -> None:
        self._rows = rows
        self.span = span
        self.names = tuple(rows.columns)

    @property
    def frame(self) -> pl.DataFrame:
        """An empty frame: a row has no published text."""
        return pl.DataFrame(schema={**dict.fromkeys(self.names, pl.String), RECORD_NO: pl.Int64})

    @property
    def malformed(self) -> pl.DataFrame:
        """An empty frame: no row is malformed, since the frame is already typed."""
        return pl.DataFrame(schema=_NO_REJECTED)

    def raw(self, record_no: int) -> bytes:
        """Return the row as JSON."""
        return json.dumps(self._rows.row(record_no - 1, named=True), default=str, ensure_ascii=False).encode()

    def location(self, record_no: int) -> str:
        """Return the number of the row in the frame, as text."""
        return f"row {record_no}"


def as_polars(frame: pd.DataFrame | pl.DataFrame, where: str) -> pl.DataFrame:
    """Return the frame as Polars. Named index levels of pandas become columns, and NaN becomes a missing value.

    Raises:
        DeclarationError: If a column holds values of several types.
    """
    if isinstance(frame, pl.DataFrame):
        return frame.rechunk()
    named = [level for level in frame.index.names if level is not None]
    flat = frame.reset_index(level=named) if named else frame
    try:
        table = pa.Table.from_pandas(flat, preserve_index=False)
        return cast("pl.DataFrame", pl.from_arrow(table, rechunk=True))
    except (pa.ArrowException, TypeError, ValueError) as error:
        column = re.search(r"[Cc]onversion failed for column (\S+)", str(error))
        raise DeclarationError(
            where,
            f"column {column[1]}" if column else "frame",
            f"cannot be typed ({type(error).__name__})",
            "Let each column hold values of one type",
        ) from None


def infer_schema(frame: pl.DataFrame, key: tuple[str, ...], where: str, *, required: Collection[str] = ()) -> Schema:
    """Return the schema of a frame, inferred from its types.

    Args:
        frame: The rows.
        key: Names of the columns that identify a row.
        where: The name of the asset in errors.
        required: Names of further columns that have a value in every row.

    Raises:
        DeclarationError: If a type has no counterpart, a column's name is not allowed in the database, or the key names
            no column.
    """
    columns = tuple(
        Column(name, required=name in key or name in required, **_column_type(name, type_, where))
        for name, type_ in frame.schema.items()
    )
    schema = Schema(columns=columns, key=key)
    schema.check(where)
    return schema


def _column_type(name: str, type_: pl.DataType, where: str) -> dict[str, Any]:
    if type_.is_integer():
        return {"type": "integer"}
    if type_.is_float():
        return {"type": "float"}
    if isinstance(type_, pl.Decimal):
        scale = next(scale for scale in _SCALES if scale >= (type_.scale or 0))
        return {"type": "decimal", "scale": scale}
    if isinstance(type_, pl.Datetime):
        return {"type": "timestamp", "zone": "UTC" if type_.time_zone else None}
    if isinstance(type_, pl.String | pl.Categorical | pl.Enum | pl.Null):
        return {"type": "text"}
    for kind, type_name in ((pl.Boolean, "boolean"), (pl.Date, "date"), (pl.Time, "time")):
        if isinstance(type_, kind):
            return {"type": type_name}
    raise DeclarationError(
        where, f"column {name!r}", f"is of type {type_}, which no table supports", "Cast it, or write it as text"
    )


def _check_keys(rows: pl.DataFrame, target: FrameTarget) -> None:
    for name in target.needed:
        if missing := rows[name].null_count():
            role, other = ("key column", "key") if name in target.key else ("column", "column")
            raise DeliveryError(
                f"{target.where} returned {missing} of {rows.height} rows without a value in {role} {name!r}. "
                f"Nothing was written. Leave those rows out, or choose another {other}."
            )


def _manifest(rows: pl.DataFrame, target: FrameTarget) -> Manifest:
    content = io.BytesIO()
    rows.write_ipc(content)
    size = content.tell()
    span = Span(1, "", 0, size, 1, rows.height, 1)
    return Manifest(
        sha256=sha256(content.getbuffer()).hexdigest(),
        size=size,
        name=target.table,
        origin=target.where,
        members=(MemberIndex("", size, tuple(rows.columns), (span,)),),
    )
