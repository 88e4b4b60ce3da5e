"""``etl-assets quarantine fix``: corrects one record, or many in the same way, and judges them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from etl_assets.cli.completion import RECORDS
from etl_assets.cli.environment import declared, environment, source_named
from etl_assets.cli.options import NOTE, REVIEWER, ROW_ID, column_and_value
from etl_assets.cli.quarantine.bulk import Bulk
from etl_assets.cli.quarantine.judged import judgement_text, not_looked_up
from etl_assets.cli.quarantine.records import (
    DRY_RUN,
    REVEAL,
    materialize,
    may_write_events,
    record_of,
)
from etl_assets.cli.quarantine.replaying import replay_corrected
from etl_assets.cli.quarantine.selection import filters_of, selecting
from etl_assets.cli.terminal import console
from etl_assets.errors import QuarantineError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.cli.environment import Environment
    from etl_assets.ingest.correcting import Decider
    from etl_assets.ingest.edits import Edit

_PAIR: Final = 2
_TRIPLE: Final = 3


@click.command()
@click.argument("id_", metavar="[ID]", type=ROW_ID, required=False, shell_complete=RECORDS)
@click.argument("changes", metavar="[COLUMN=VALUE]...", nargs=-1)
@click.option("--null", "nulls", metavar="COLUMN", multiple=True, help="A column that should have no value.")
@selecting
@click.option(
    "--set", "texts", metavar="COLUMN=TEXT", multiple=True, help="A text; {COLUMN} is a published value in it."
)
@click.option(
    "--strip",
    "strips",
    metavar="COLUMN CHARACTERS",
    nargs=_PAIR,
    multiple=True,
    help="The value without these characters at its ends.",
)
@click.option(
    "--replace",
    "replacements",
    metavar="COLUMN OLD NEW",
    nargs=_TRIPLE,
    multiple=True,
    help="The value with NEW for each OLD.",
)
@click.option(
    "--date",
    "dates",
    metavar="COLUMN FROM TO",
    nargs=_TRIPLE,
    multiple=True,
    help="The date or time, published as FROM, written as TO: --date opened %d.%m.%Y %Y-%m-%d.",
)
@click.option("--overwrite", is_flag=True, help="With --source: replace corrections that there are of these columns.")
@click.option("--replay", "and_replay", is_flag=True, help="Replay the corrected records that are valid now.")
@NOTE
@REVIEWER
@REVEAL
@DRY_RUN
@click.pass_context
def fix(ctx: click.Context, /, id_: int | None, note: str | None, reviewer: str, **options: Any) -> None:
    """Correct a record: enter what the publisher should have sent. The record then waits for a replay.

    Write values as the publisher would. They are judged at once, and a replay validates them like any other values.

    With --source instead of ID, correct every waiting record that --rule and --where select, by --set, --null, --strip,
    --replace and --date, in this order. Their values are made from what was published, so that a command that was
    interrupted can be repeated.
    """
    from etl_assets.ingest.correcting import Decider

    edits = _edits(options)
    selected = options["source"] or options["rule"] or options["conditions"]
    if (id_ is None) == (options["source"] is None) or (selected and id_ is not None):
        raise click.UsageError("Give either the id of a record, or --source with or without --rule and --where.")
    by = None if options["dry_run"] else Decider(reviewer, note)
    with environment() as env:
        if options["and_replay"] and by is not None and not may_write_events(env):
            raise QuarantineError(
                "This user may not replay records, since it may not write to Dagster's storage. Nothing was changed. "
                "Leave out --replay, and let the role etl_loader replay them."
            )
        if id_ is None:
            if options["changes"]:
                raise click.UsageError("With --source, write --set COLUMN=TEXT.")
            name, valid = _fix_many(env, edits, by, options)
        else:
            name, valid = _fix_one(env, id_, edits, by, options)
        if options["and_replay"] and by is not None and valid:
            replay_corrected(ctx, env, name, valid)


def _fix_one(
    env: Environment, id_: int, edits: Sequence[Edit], by: Decider | None, options: dict[str, Any]
) -> tuple[str, list[int]]:
    """Correct one record; return its source, and its id if a replay would take it."""
    from etl_assets.ingest.correcting import Wanted, correct, effective_fields
    from etl_assets.ingest.edits import check, edited
    from etl_assets.ingest.judging import Judge

    given = dict(column_and_value(change) for change in options["changes"])
    if not given and not edits:
        raise click.UsageError("Name at least one COLUMN=VALUE, or --null COLUMN.")
    with env.connection() as connection:
        record = record_of(connection, id_)
        source = source_named(declared(env.settings), record.source)
        try:
            check(edits, source.schema)
            wanted = {**edited(edits, effective_fields(record), source.schema), **given}
        except ValueError as problem:
            raise click.UsageError(f"{problem}. Nothing was changed.") from problem
        judge = Judge(source, connection)
        (result,) = correct(connection, source, judge, [Wanted(record, wanted, confirms=True)], by)
        if result.outcome == "refused":
            _refuse(id_, record.status, result.why)
        if by is not None:
            materialize(env, connection, [(record.source, record.partition)])
    done = f"Record {id_} would be corrected; nothing was changed." if by is None else f"Record {id_} is corrected."
    console().print(f"{done} {judgement_text(source, result)}", markup=False)
    not_looked_up(judge)
    is_valid = result.judgement is not None and not result.judgement.rules
    if by is not None and is_valid and not options["and_replay"]:
        console().print(f"It waits: etl-assets quarantine replay {record.source} {id_}")
    return source.name, [id_] if is_valid else []


def _refuse(id_: int, status: str, why: str) -> None:
    """Raise the error for a correction that was not entered."""
    from etl_assets.ingest.correcting import CORRECTABLE

    if status in CORRECTABLE and "changed" not in why:
        raise click.UsageError(f"{why}. Nothing was changed.")
    raise QuarantineError(
        f"Record {id_} is not waiting in the quarantine: {why}. Nothing was changed. "
        "See `etl-assets quarantine list --status open` for those that are."
    )


def _fix_many(
    env: Environment, edits: Sequence[Edit], by: Decider | None, options: dict[str, Any]
) -> tuple[str, list[int]]:
    """Correct every record that is selected; return the source, and the ids of those that a replay would take."""
    from etl_assets.ingest.edits import check

    if not edits:
        raise click.UsageError("Say what to correct: --set, --null, --strip, --replace or --date.")
    source = source_named(declared(env.settings), options["source"])
    try:
        check(edits, source.schema)
    except ValueError as problem:
        raise click.UsageError(f"{problem}. Nothing was changed.") from problem
    with env.connection() as connection:
        filters = filters_of(env, connection, options["source"], options["rule"], options["conditions"])
        bulk = Bulk(source, edits, by, overwrite=options["overwrite"], reveal=options["reveal"])
        try:
            bulk.correct(env, connection, filters)
        finally:
            if by is not None:
                materialize(env, connection, ((source.name, partition) for partition in sorted(bulk.touched)))
    bulk.print()
    if by is not None and bulk.valid and not options["and_replay"]:
        console().print(f"They wait: etl-assets quarantine replay {source.name}")
    return source.name, bulk.valid


def _edits(options: dict[str, Any]) -> list[Edit]:
    from etl_assets.ingest.edits import Redate, Replace, SetNull, SetText, Strip

    return [
        *(SetText(*column_and_value(text)) for text in options["texts"]),
        *(SetNull(name) for name in options["nulls"]),
        *(Strip(*strip) for strip in options["strips"]),
        *(Replace(*replacement) for replacement in options["replacements"]),
        *(Redate(*date) for date in options["dates"]),
    ]
