"""``etl-assets redact``: removes records from everything that has them, and says where else they may be."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, TextIO
from uuid import uuid4

import click

from etl_assets.cli import FAILED
from etl_assets.cli.environment import declared, environment, source_named
from etl_assets.cli.options import REVIEWER, column_and_value
from etl_assets.cli.terminal import console, count_text, emit, table
from etl_assets.model.text import escape_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.redact import Finished, Found

_ELSEWHERE = (
    "They may still be at the publisher and in its inbox, in backups, in archived write-ahead log, in Data Docs, and, "
    "until they are vacuumed, in pages of the tables."
)


@click.command(name="redact")
@click.argument("name", metavar="NAME")
@click.argument("values", metavar="[COLUMN=VALUE]...", nargs=-1)
@click.option(
    "--from",
    "file",
    type=click.File(encoding="utf-8-sig"),
    help="CSV with the values: a header with columns, a line for each.",
)
@click.option("--record", "records", metavar="DELIVERY:NUMBER", multiple=True, help="This record of this delivery.")
@click.option("--reason", help="Why; without contents of the records.")
@REVIEWER
@click.option("--dry-run", is_flag=True, help="Only show which records they are.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; implies --yes.")
@click.pass_context
def command(
    ctx: click.Context,
    name: str,
    values: Sequence[str],
    file: TextIO | None,
    records: Sequence[str],
    *,
    reason: str | None,
    reviewer: str,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove records of a source for good: a person's data, or what should never have been published.

    The records that have all the VALUEs are found in the frozen bytes of every delivery. The bytes are written again
    without them, the database forgets what it has of them, and their deliveries are reloaded, so that no row of them
    is left. NAME alone finishes what an earlier call has left.
    """
    from etl_assets import redact
    from etl_assets.postgres.connection import connected

    wanted = _wanted(values, file)
    numbers = _numbers(records)
    if (wanted or numbers) and not (dry_run or reason):
        raise click.UsageError("Give a --reason; or --dry-run, to see which records they are.")
    with environment() as env:
        env.require_current()
        source = source_named(declared(env.settings), name)
        typed = redact.typed_values(source, wanted) if wanted else None
        found = redact.find(source, env.warehouse, typed, numbers) if wanted or numbers else []
        total = sum(len(one.numbers) for one in found)
        if not as_json:
            _print_found(name, found, total, searched=bool(wanted or numbers))
        if dry_run:
            if as_json:
                emit(_as_json(found, None))
            return
        if total and not (yes or as_json):
            click.confirm("Remove them for good?", abort=True)
        run_id = f"redact-{uuid4()}"
        redact.redact(source, env.warehouse, found, redact.Decision(reviewer, reason or ""), run_id)
        finished = redact.finish(source, env.warehouse, run_id, typed)
        if finished.partitions:
            from etl_assets.cli.orchestration import report_changed

            with connected(env.url) as connection:
                report_changed(connection, source, run_id, finished.partitions)
    if as_json:
        emit(_as_json(found, finished))
    else:
        _print_finished(name, finished)
    if finished.rows_left:
        ctx.exit(FAILED)


def _wanted(values: Sequence[str], file: TextIO | None) -> list[Mapping[str, str]]:
    """Return the values to look for, by column: those of the command line, and those of each line of a file."""
    wanted: list[Mapping[str, str]] = []
    if values and file:
        raise click.UsageError("Give COLUMN=VALUE or --from, not both.")
    if values:
        wanted.append(dict(column_and_value(value) for value in values))
    if file:
        wanted += _of_file(file)
    return wanted


def _of_file(file: TextIO) -> list[Mapping[str, str]]:
    """Return the values in each line of a CSV file."""
    reader = csv.DictReader(file, strict=True)
    wanted: list[Mapping[str, str]] = []
    try:
        names = reader.fieldnames or ()
        for row in reader:
            if set(row) != set(names) or None in row.values():
                raise click.UsageError(f"Line {reader.line_num} of --from has not as many values as its header.")
            wanted.append(row)
    except (csv.Error, UnicodeDecodeError) as error:
        raise click.UsageError(
            f"--from is no CSV in UTF-8 ({type(error).__name__}). Nothing was changed. Save it as CSV UTF-8."
        ) from None
    if not wanted:
        raise click.UsageError("--from has no line with values.")
    return wanted


def _numbers(records: Sequence[str]) -> dict[int, set[int]]:
    """Return the numbers of the records that are named, by the id of their delivery."""
    numbers: defaultdict[int, set[int]] = defaultdict(set)
    for record in records:
        delivery, colon, number = record.partition(":")
        if not (colon and delivery.isdecimal() and number.isdecimal()):
            raise click.UsageError(f"{record!r} is not of the form DELIVERY:NUMBER.")
        numbers[int(delivery)].add(int(number))
    return dict(numbers)


def _print_found(name: str, found: Sequence[Found], total: int, *, searched: bool) -> None:
    if not searched:
        return
    number = count_text(total, "record")
    console().print(
        f"{name}: {number} found in {count_text(sum(bool(one.numbers) for one in found), 'delivery', 'deliveries')}."
    )
    rows = [
        (str(one.delivery.id), one.delivery.partition, str(len(one.numbers)), ", ".join(one.places))
        for one in found
        if one.numbers
    ]
    if rows:
        table(("delivery", "partition", "records", "the first at"), rows)
    if unreadable := sum(one.unreadable for one in found):
        deliveries = ", ".join(str(one.delivery.id) for one in found if one.unreadable)
        click.echo(
            f"{count_text(unreadable, 'record')} of deliveries {deliveries} could not be compared: such a value is "
            "not written as declared, or they cannot be parsed. Name those to remove with --record DELIVERY:NUMBER.",
            err=True,
        )


def _print_finished(name: str, finished: Finished) -> None:
    reloaded = count_text(len(finished.reloaded), "delivery", "deliveries")
    console().print(f"{name}: {reloaded} reloaded, {count_text(finished.removed, 'file')} of frozen bytes removed.")
    if finished.shared_with:
        click.echo(
            f"The same bytes are deliveries of {', '.join(finished.shared_with)}, and stay for these: redact them "
            "there, too.",
            err=True,
        )
    if finished.rows_left:
        rows = count_text(finished.rows_left, "row")
        click.echo(
            escape_lines(
                f"{rows} of the table still have these values: delivered meanwhile, or written by hand. Run it again; "
                "etl-assets doctor finds what was written by hand."
            ),
            err=True,
        )
    if finished.reloaded or finished.removed:
        click.echo(_ELSEWHERE)


def _as_json(found: Sequence[Found], finished: Finished | None) -> dict[str, object]:
    """Return what was found and done, without contents of records."""
    return {
        "found": [
            {
                "delivery": one.delivery.id,
                "partition": one.delivery.partition,
                "records": list(one.numbers),
                "not_compared": one.unreadable,
            }
            for one in found
        ],
        "finished": finished and asdict(finished),
    }
