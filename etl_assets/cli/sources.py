"""``etl-assets sources``: lists the declared sources, without a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from etl_assets.cli.environment import declared
from etl_assets.cli.terminal import console, count_text, emit, table
from etl_assets.model.trigger import After, Cron, OnChange

if TYPE_CHECKING:
    from etl_assets.extract.base import Extractor
    from etl_assets.model.trigger import Trigger
    from etl_assets.source import Source


@click.command(name="sources")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each source.")
def command(*, as_json: bool) -> None:
    """List the declared sources: table, write mode, partitions, trigger, where they fetch, and file.

    A file that does not load is listed with its error. No database is needed.
    """
    known = declared()
    files = {id(getattr(module, "SOURCE", None)): file.path for file, module in known.modules.items()}
    facts = [_facts(source, files[id(source)]) for source in known.sources.values()]
    if as_json:
        for fact in facts:
            emit(fact)
        for name, file in known.broken.items():
            emit({"name": name, "file": file.path, "error": file.problem})
        return
    if facts:
        table(tuple(facts[0]), (tuple(fact.values()) for fact in facts))
    elif not known.broken:
        console().print("No source is declared. Make a project with etl-assets init FILE.", markup=False)
    for file in known.broken.values():
        console().print(f"\n{file.error}", markup=False)
    if known.broken:
        console().print(f"\n{count_text(len(known.broken), 'file does', 'files do')} not load.")


def _facts(source: Source, file: str) -> dict[str, Any]:
    """Return what the list has of a source."""
    return {
        "name": source.name,
        "table": source.table,
        "write": type(source.write).__name__,
        "partitions": None if source.partitions is None else type(source.partitions).__name__,
        "trigger": _trigger(source.trigger),
        "from": _place(source.extractor),
        "owner": source.owner,
        "file": file,
    }


def _trigger(trigger: Trigger | None) -> str | None:
    """Return what starts runs of a source, in words."""
    match trigger:
        case Cron():
            return f"{trigger.expression} {trigger.zone}"
        case OnChange():
            return f"on change, polled every {trigger.every}"
        case After():
            return f"after {', '.join(trigger.assets)}"
        case _:
            return None


def _place(extractor: Extractor) -> str:
    """Return where an extractor fetches, without what may be secret; else the name of its class."""
    from etl_assets.extract.location import without_secrets

    place = getattr(extractor, "location", None) or getattr(extractor, "url", None)
    return without_secrets(place) if isinstance(place, str) else type(extractor).__name__
