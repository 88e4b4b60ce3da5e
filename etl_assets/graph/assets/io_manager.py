"""The IO manager: it writes streams of deliveries and DataFrames to Postgres, and reads tables as DataFrames.

It pickles nothing and keeps nothing beside the database. Module `frames` turns a frame into a delivery.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd
import polars as pl

from etl_assets.errors import DeclarationError
from etl_assets.graph.assets import metadata
from etl_assets.graph.assets.frames import FrameTarget, write_frame
from etl_assets.graph.assets.stream import Stream, load_stream
from etl_assets.graph.keys import delivered_as, table_of
from etl_assets.graph.resource import open_warehouse
from etl_assets.graph.runs.failures import message_first
from etl_assets.graph.runs.retries import retried_errors, retrying
from etl_assets.graph.runs.run_record import RunRecord
from etl_assets.postgres.connection import in_session
from etl_assets.postgres.tables.reading import read_table
from etl_assets.source import CORE

if TYPE_CHECKING:
    from collections.abc import Sequence


class PostgresIOManager(dg.IOManager):
    """Writes the output of an asset to the table that its key names, and reads the table for assets downstream.

    An asset ``marts/x`` has table ``marts.x``, an asset ``x`` has ``public.x``. It returns a pandas or Polars
    DataFrame. Its definition metadata say how the frame is written:

    * ``key``: names of the columns that identify a row; ``append`` and ``replace`` need none;
    * ``write``: a write mode by its name, which may have arguments, as in ``{"snapshot": {"max_deleted": 0.5}}``:
      ``upsert`` (rows are inserted or updated; the default), ``replace`` (the partition has the rows of the newest
      frame), ``snapshot`` (as ``replace``, but not more than a tenth of the rows are deleted), or ``append`` (every
      frame adds its rows).

    An asset downstream receives the table without its bookkeeping columns, and only the rows that the partitions it
    depends on brought. The frame is Arrow-backed pandas, or Polars if the input is annotated so. Metadata ``columns``
    of the input names the wanted columns.
    """

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Write the output of an asset. A landing returns None, for which nothing is written.

        Raises:
            DagsterUserCodeProcessError: With the message of a `DeclarationError`, if the output is neither None nor a
                DataFrame, or lacks a key; or with that of another error.
        """
        if obj is None:
            return
        tries = context.step_context.previous_attempt_count
        with message_first(context.log, tries), retrying(tries):
            if isinstance(obj, Stream):
                self._load(context, obj)
            elif isinstance(obj, pd.DataFrame | pl.DataFrame):
                self._write(context, obj)
            else:
                raise DeclarationError(
                    f"asset {context.asset_key.to_user_string()}",
                    "output",
                    f"is a {type(obj).__name__}, which cannot be written to a table",
                    "Return a pandas or Polars DataFrame, or None",
                )

    def load_input(self, context: dg.InputContext) -> pd.DataFrame | pl.DataFrame:
        """Read the table of the asset upstream.

        Returns:
            pandas, Arrow-backed (missing values stay missing, integers stay integers); Polars if the input is
            annotated as ``pl.DataFrame``.

        Raises:
            LoadError: If there is no such table, or it lacks a wanted column.
        """
        columns: Sequence[str] | None = (context.definition_metadata or {}).get("columns")
        partitions = list(context.asset_partition_keys) if context.has_asset_partitions else None
        key = context.asset_key
        frame = in_session(
            open_warehouse(wait=True).url,
            lambda session: read_table(session, table_of(key), columns, delivered_as(key), partitions),
        )
        if context.dagster_type.typing_type is pl.DataFrame:
            return pl.DataFrame(frame)
        return frame.to_pandas(types_mapper=pd.ArrowDtype)

    def _load(self, context: dg.OutputContext, stream: Stream) -> None:
        warehouse = open_warehouse(wait=True)
        step = context.step_context
        tries = step.previous_attempt_count
        record = RunRecord.of(warehouse.url, step.dagster_run, stream.source, stream.partition.key, CORE, tries)
        context.add_output_metadata(load_stream(stream, warehouse, record, tries))

    def _write(self, context: dg.OutputContext, frame: pd.DataFrame | pl.DataFrame) -> None:
        target = FrameTarget.of(context)
        warehouse = open_warehouse(wait=True)
        step = context.step_context
        tries = step.previous_attempt_count
        record = RunRecord.of(warehouse.url, step.dagster_run, target.name, target.partition.key, "asset", tries)
        record.start()
        with record.entering_errors(retried_errors(tries)):
            report = write_frame(frame, target, warehouse, context.run_id)
            loaded = in_session(
                warehouse.url,
                lambda session: metadata.loaded(session, target.table, target.name, target.partition, [report]),
            )
        record.end(report.delivery.id, report.seconds)
        context.add_output_metadata(loaded)
