"""What the page of a table in Dagster shows first: links to its other pages, and what waits or is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import dagster as dg

from etl_assets.postgres.runs.asset_metadata import MOST_WAITING, count_open
from etl_assets.settings import Settings

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection

_DOCUMENTS: Final = "https://github.com/etl-assets/etl-assets/tree/main/docs"


def links(name: str) -> str:
    """Return a line of Markdown with links to the other pages of a source's table, and to the documents.

    ``etl-assets dev`` and the stack serve Data Docs beside the UI. A setting says where the pages of status are.

    Args:
        name: Name of the source.
    """
    settings, page = Settings.from_environment(), quote(name, safe="")
    status = [f"[Status page]({settings.status_url}/tables/{page}.html)"] if settings.status_url else []
    docs = f"[Data Docs]({settings.ui_url}/data_docs/{page}/index.html)"
    return " · ".join([*status, docs, f"[Documents]({_DOCUMENTS})"])


def open_now(connection: Connection, name: str) -> dict[str, dg.MetadataValue]:
    """Return how many things of a source wait or are open; without those of which there are none.

    A materialization is stored before the checks of its load, which open and resolve alerts.

    Args:
        connection: To the warehouse.
        name: Name of the source, or of the deliveries of an asset.
    """
    waiting, changes, alerts = count_open(connection, name)
    numbers = {"records waiting": waiting, "open changes": changes, "open alerts before its checks": alerts}
    shown: dict[str, dg.MetadataValue] = {what: dg.MetadataValue.int(n) for what, n in numbers.items() if n}
    if waiting == MOST_WAITING:
        shown["records waiting"] = dg.MetadataValue.text(f"{MOST_WAITING:,} or more")
    return shown
