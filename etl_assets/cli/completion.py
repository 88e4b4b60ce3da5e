"""What the shell completes: names of sources, partitions and rules, and ids of records, alerts and changes.

The names of sources are those of their files, which are not imported. Everything else is in the warehouse, which is
asked if it runs, and never started. Whatever goes wrong, nothing is completed and nothing is printed.
"""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final, LiteralString

from etl_assets.errors import SettingsError
from etl_assets.postgres.ledger.rebuilt import no_rebuild

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import click
    from click.shell_completion import CompletionItem

_MOST: Final = 200
"""The largest number of suggestions."""
_SECONDS: Final = 1
"""How long the warehouse may take to take a connection, and to answer."""
_DECLARES: Final = re.compile(r"^SOURCE\b", re.MULTILINE)


class Names:
    """Completes names of sources, and files where a command takes them, too.

    Args:
        files: Whether the argument may be a file.
    """

    def __init__(self, *, files: bool = False) -> None:
        self._files = files

    def __call__(
        self,
        ctx: click.Context,  # noqa: ARG002 -- click's signature
        param: click.Parameter,  # noqa: ARG002 -- click's signature
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return the names that begin as was typed."""
        from click.shell_completion import CompletionItem

        if self._files and incomplete.startswith((".", "/", "~")):
            return [CompletionItem(incomplete, type="file")]
        return [CompletionItem(name) for name in _source_names() if name.startswith(incomplete)]


class Queried:
    """Completes what a query of the warehouse returns: a text, and what is shown beside it.

    Args:
        query: Has the parameters ``prefix``, ``source`` and ``most``.
    """

    def __init__(self, query: LiteralString) -> None:
        self._query: LiteralString = f"{query} LIMIT %(most)s"

    def __call__(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002 -- click's signature
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return the texts that begin as was typed."""
        from click.shell_completion import CompletionItem

        values = {"prefix": incomplete, "source": _source_of(ctx), "most": _MOST}
        return [CompletionItem(text, help=help_) for text, help_ in _answer(self._query, values)]


SOURCES: Final = Names()
SOURCES_AND_FILES: Final = Names(files=True)
PARTITIONS: Final = Queried(
    "SELECT DISTINCT partition, NULL FROM etl.delivery WHERE (%(source)s::text IS NULL OR source = %(source)s) "
    f"AND partition <> '' AND {no_rebuild()} AND starts_with(partition, %(prefix)s) ORDER BY 1 DESC"
)
DELIVERIES: Final = Queried(
    "SELECT id::text, concat_ws(' ', source, nullif(partition, ''), status) FROM etl.delivery "
    f"WHERE (%(source)s::text IS NULL OR source = %(source)s) AND {no_rebuild()} "
    "AND starts_with(id::text, %(prefix)s) ORDER BY id DESC"
)
RECORDS: Final = Queried(
    "SELECT id::text, concat_ws(' ', status, source, array_to_string(rules, ' ')) FROM etl.rejected "
    "WHERE (%(source)s::text IS NULL OR source = %(source)s) AND status IN ('open', 'parked') "
    "AND starts_with(id::text, %(prefix)s) ORDER BY id"
)
RULES: Final = Queried(
    "SELECT DISTINCT rule, NULL FROM etl.rejected CROSS JOIN unnest(rules) rule "
    "WHERE (%(source)s::text IS NULL OR source = %(source)s) AND starts_with(rule, %(prefix)s) ORDER BY 1"
)
ALERTS: Final = Queried(
    "SELECT id::text, concat_ws(' ', source, partition, rule, subject) FROM etl.alert WHERE status = 'open' "
    "AND starts_with(id::text, %(prefix)s) ORDER BY id DESC"
)
CHANGES: Final = Queried(
    "SELECT id::text, concat_ws(' ', source, kind) FROM etl.drift WHERE status = 'open' "
    "AND starts_with(id::text, %(prefix)s) ORDER BY id DESC"
)


def _source_of(ctx: click.Context) -> str | None:
    """Return the source that was named before what is completed."""
    named = ctx.params.get("source") or ctx.params.get("name") or ctx.params.get("names") or tuple(ctx.args[:1])
    return next(iter(named), None) if isinstance(named, tuple) else named


def _source_names() -> list[str]:
    from etl_assets.settings import Settings
    from etl_assets.source_files import BUNDLED, find

    try:
        settings = Settings.from_environment()
        files = find([*(BUNDLED[:1] if settings.bundled else ()), *settings.sources])
        return sorted({file.name for file in files if _declares(file.path)})
    except (SettingsError, OSError):
        return []


def _declares(path: str) -> bool:
    return _DECLARES.search(Path(path).read_text(encoding="utf-8", errors="replace")) is not None


def _answer(query: LiteralString, values: Mapping[str, object]) -> Iterable[Sequence[str | None]]:
    import psycopg

    from etl_assets.local.running import running_url
    from etl_assets.settings import Settings

    try:
        url = running_url(Settings.from_environment())
        if url is None:
            return []
        with closing(psycopg.connect(url, autocommit=True, connect_timeout=_SECONDS)) as connection:
            connection.execute(f"SET statement_timeout = '{_SECONDS}s'")
            return connection.execute(query, values).fetchall()
    except (SettingsError, psycopg.Error):
        return []
