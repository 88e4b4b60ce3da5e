"""Instances of Dagster whose storage is a database of the test server."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def stored_in(
    url: str,
    folder: Path,
    module: str = "etl_assets.graph.storage",
    name: str = "PooledPostgresStorage",
    **settings: object,
) -> Iterator[dg.DagsterInstance]:
    """Yield an instance with a storage.

    Args:
        url: Of an empty database.
        folder: Where Dagster's home is created.
        module: Of the class of the storage.
        name: Of the class of the storage.
        **settings: What the instance has besides: ``run_retries``, for example.
    """
    home = folder / name
    home.mkdir()
    config = {"postgres_url": url.replace("postgresql:", "postgresql+psycopg2:")}
    storage = {"custom": {"module": module, "class": name, "config": config}}
    (home / "dagster.yaml").write_text(
        yaml.safe_dump({"storage": storage, "telemetry": {"enabled": False}, **settings})
    )
    with dg.DagsterInstance.from_config(str(home)) as configured:
        yield configured
