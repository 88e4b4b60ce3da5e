"""Serves the pages of ``etl-assets status`` and Data Docs beside the Dagster UI, for ``etl-assets dev``.

The pages are written by the command in a process of its own, since it imports every file of sources. They are written
when they are asked for and older than `FRESH_SECONDS`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.staticfiles import StaticFiles

from etl_assets.settings import variables

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import ASGIApp, Receive, Scope, Send

FRESH_SECONDS: Final = 60.0
_PLACES: Final = ("status", "data_docs")
_SAFE: Final = frozenset({"GET", "HEAD"})
_WRITE: Final = "from etl_assets.cli import main; main()"


@dataclass
class ServedPages:
    """An ASGI application that answers below ``/status`` and ``/data_docs``, and passes on every other request.

    Attributes:
        app: Dagster's webserver.
        home: Home of the warehouse, with the folders of the pages.
        ui_url: What the pages have as the address of the UI, unless a setting says another.
    """

    app: ASGIApp
    home: Path
    ui_url: str
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        place, _, rest = scope.get("path", "").lstrip("/").partition("/")
        if scope["type"] != "http" or place not in _PLACES or scope["method"] not in _SAFE:
            await self.app(scope, receive, send)
        elif not rest and not scope["path"].endswith("/"):
            await RedirectResponse(f"/{place}/")(scope, receive, send)
        else:
            if place == "status" and rest in {"", "index.html"}:
                await self._refresh()
            await self._serve(self.home / place, rest, scope, receive, send)

    async def _serve(self, folder: Path, rest: str, scope: Scope, receive: Receive, send: Send) -> None:
        page = folder / "index.html"
        if not page.is_file():
            text = "There are no such pages yet. Run etl-assets status --html, or etl-assets audit, to see why.\n"
            await PlainTextResponse(text, status_code=404)(scope, receive, send)
            return
        try:
            await StaticFiles(directory=folder, html=True)(
                {**scope, "path": f"/{rest}", "root_path": ""}, receive, send
            )
        except HTTPException as error:
            await PlainTextResponse("There is no such page.\n", status_code=error.status_code)(scope, receive, send)

    async def _refresh(self) -> None:
        """Write the pages unless they are fresh; one process at a time."""
        folder = self.home / "status"
        async with self._lock:
            page = folder / "index.html"
            if page.is_file() and time.time() - page.stat().st_mtime < FRESH_SECONDS:
                return
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", _WRITE, "status", "--html", str(folder)),
                env={"ETL_ASSETS_UI_URL": self.ui_url, **variables()},
                stdout=asyncio.subprocess.DEVNULL,
            )
            await process.wait()
