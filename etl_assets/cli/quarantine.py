"""``etl-assets quarantine``: lists, shows, corrects, dismisses and replays rejected records."""

from __future__ import annotations

import getpass
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import click

from etl_assets.cli.environment import declared, environment, source_named
from etl_assets.cli.masking import MASK, Masking
from etl_assets.cli.quarantine_export import export
from etl_assets.cli.terminal import console, count_text, emit, harmless_bytes, table
from etl_assets.errors import QuarantineError
from etl_assets.model.record_status import RECORD_STATUSES
from etl_assets.model.text import escape_control_characters

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from etl_assets.cli.environment import Environment
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.quarantine import Rejected
    from etl_assets.source import Source

_STATUS = click.option(
    "--status", "statuses", multiple=True, type=click.Choice(RECORD_STATUSES), help="Open and parked by default."
)
_REVIEWER = click.option("--reviewer", default=getpass.getuser, show_default="you", help="Who decided.")


@click.group(name="quarantine")
def command() -> None:
    """List, show, correct, dismiss, replay and export rejected records.

    The quarantine keeps their bytes as delivered. Correct a record (fix), then replay it; or dismiss it. A parked
    record waits for its parent: a row that it refers to.
    """


command.add_command(export)


@command.command(name="list")
@click.option("--source", help="Only records of this source.")
@_STATUS
@click.option("--rule", help="Only records that broke this rule, e.g. celsius__type.")
@click.option("--limit", default=50, show_default=True, help="Show at most this many records.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_(source: str | None, statuses: Sequence[str], rule: str | None, limit: int, *, as_json: bool) -> None:
    """List records without their contents, and count how many broke each rule."""
    from etl_assets.postgres.ledger import cases, quarantine

    chosen = statuses or quarantine.WAITING
    with environment() as env, env.connection() as connection:
        summary = [
            count for count in quarantine.counts(connection, source) if count[1] in chosen and rule in {None, count[2]}
        ]
        found = quarantine.stream(connection, source=source, statuses=chosen, rule=rule, limit=limit)
        records = [_without_contents(record) for record in found]
        seen = cases.times_seen(connection, [record["id"] for record in records])
    records = [{**record, "deliveries": seen[record["id"]]} for record in records]
    if as_json:
        keys = ("source", "status", "rule", "records")
        emit(
            {
                "summary": [dict(zip(keys, count, strict=True)) for count in summary],
                "records": records,
            }
        )
        return
    if not summary:
        console().print(f"No record is {' or '.join(chosen)}.")
        return
    table(("source", "status", "rule", "records"), summary)
    console().print()
    columns = ("id", "source", "partition", "at", "broke", "status", "deliveries", "replays")
    shown = ("source", "partition", "location", "rules", "status", "deliveries", "replays")
    cells = ((str(r["id"]), *(r[name] if name != "rules" else ", ".join(r[name]) for name in shown)) for r in records)
    table(columns, cells)
    if len(records) == limit:
        console().print(f"\nThese are the first {limit}; --limit shows more.")


@command.command()
@click.argument("id_", metavar="ID", type=int)
@click.option("--reveal", is_flag=True, help="Show masked values.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(id_: int, *, reveal: bool, as_json: bool) -> None:
    """Show one record: its bytes, its fields, the rules that it broke, its origin and its reviews."""
    from etl_assets.postgres.ledger import cases, deliveries

    with environment() as env, env.connection() as connection:
        record = _record(connection, id_)
        delivery = deliveries.by_id(connection, record.delivery_id)
        seen = cases.times_seen(connection, [id_])[id_]
    source = declared(env.settings).sources.get(record.source)
    masking = Masking(source, reveal)
    fields = masking.fields(record.fields)
    correction = masking.fields(record.correction)
    raw = MASK if masking.hides_raw else harmless_bytes(record.raw)
    rules = {rule: _requirement(source, rule) for rule in record.rules}
    if as_json:
        emit(
            {
                **_without_contents(record),
                "deliveries": seen,
                "asks": rules,
                "fields": fields,
                "correction": correction,
                "raw": raw,
            }
        )
        return
    manifest = delivery.manifest if delivery else None
    shown = {
        "source": f"{record.source} {record.partition}".strip(),
        "delivery": f"{record.delivery_id}, {manifest.name} from {manifest.origin}" if manifest else record.delivery_id,
        "record": f"{record.record_no} at {record.location}",
        "status": f"{record.status} by delivery {record.closed_by}" if record.closed_by else record.status,
        "seen": f"in {count_text(seen, 'delivery', 'deliveries')}",
        "rejected": f"{record.rejected_at:%Y-%m-%d %H:%M:%S} UTC by run {record.run_id}",
        "replays": record.replays,
        "reviewed": f"{record.reviewed_at:%Y-%m-%d %H:%M:%S} UTC by {record.reviewer}" if record.reviewed_at else None,
        "note": record.note,
        "raw": raw,
    }
    table((f"record {id_}", ""), ((name, str(value)) for name, value in shown.items() if value is not None))
    console().print()
    table(("broke", "requires that"), rules.items())
    if fields is not None or correction is not None:
        console().print()
        published, corrected = fields or {}, correction or {}
        order = manifest.names if manifest else ()
        names = sorted({*published, *corrected}, key=lambda name: (order.index(name) if name in order else 999, name))
        table(
            ("field", "as published", "corrected"),
            ((name, _quoted(published, name), _quoted(corrected, name)) for name in names),
        )


@command.command()
@click.argument("id_", metavar="ID", type=int)
@click.argument("changes", metavar="[COLUMN=VALUE]...", nargs=-1)
@click.option("--null", "nulls", metavar="COLUMN", multiple=True, help="A column that should have no value.")
@click.option("--note", help="Why.")
@_REVIEWER
def fix(id_: int, changes: Sequence[str], nulls: Sequence[str], note: str | None, reviewer: str) -> None:
    """Correct a record: enter what the publisher should have sent. The record then waits for a replay.

    Write values as the publisher would. A replay validates them like any other values.
    """
    from etl_assets.ingest.replaying import published_correction
    from etl_assets.postgres.ledger import decisions

    wanted: dict[str, str | None] = dict.fromkeys(nulls)
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals:
            raise click.UsageError(f"{change!r} is not of the form COLUMN=VALUE.")
        wanted[name] = value
    if not wanted:
        raise click.UsageError("Name at least one COLUMN=VALUE, or --null COLUMN.")
    with environment() as env, env.connection() as connection:
        record = _record(connection, id_)
        source = source_named(declared(env.settings), record.source)
        try:
            correction = published_correction(source, record, wanted)
        except ValueError as error:
            raise click.UsageError(f"{error}. Nothing was changed.") from error
        decisions.correct(connection, id_, correction, reviewer, note)
        _materialize(env, connection, [(record.source, record.partition)])
    console().print(f"Record {id_} is corrected and waits: etl-assets quarantine replay {record.source} {id_}")


@command.command()
@click.argument("ids", metavar="[ID]...", nargs=-1, type=int)
@click.option("--source", help="Every waiting record of this source.")
@click.option("--rule", help="With --source: only records that broke this rule.")
@click.option("--note", help="Why.")
@_REVIEWER
def dismiss(ids: Sequence[int], source: str | None, rule: str | None, note: str | None, reviewer: str) -> None:
    """Close records for good: they are known and not wanted."""
    from etl_assets.postgres.ledger import decisions, quarantine

    if bool(ids) == bool(source) or (rule and not source):
        raise click.UsageError("Give either ids of records, or --source with or without --rule.")
    with environment() as env, env.connection() as connection:
        found = quarantine.stream(connection, ids=ids or None, source=source, rule=rule)
        chosen = {record.id: (record.source, record.partition) for record in found}
        dismissed = decisions.dismiss(connection, chosen, reviewer, note)
        _materialize(env, connection, chosen.values())
    console().print(f"{count_text(dismissed, 'record')} dismissed.")
    if ids and dismissed < len(set(ids)):
        raise QuarantineError(
            f"{len(set(ids)) - dismissed} of {len(set(ids))} records are not waiting in the quarantine. They were not "
            "changed. See `etl-assets quarantine list` for the records that are waiting."
        )


@command.command()
@click.argument("name", metavar="SOURCE")
@click.argument("ids", metavar="[ID]...", nargs=-1, type=int)
@click.option("--parked", is_flag=True, help="Only parked records whose parents have arrived.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def replay(ctx: click.Context, name: str, ids: Sequence[int], *, parked: bool, as_json: bool) -> None:
    """Replay waiting records, corrected or as delivered, with the current declaration."""
    from etl_assets.cli.orchestration import orchestration
    from etl_assets.postgres.connection import connected
    from etl_assets.postgres.ledger import quarantine

    if parked and ids:
        raise click.UsageError("--parked selects the records: leave out the ids.")
    with environment() as env:
        source_named(declared(env.settings), name)
        with orchestration(env, verbose=ctx.obj["verbose"]) as dagster:
            outcome = dagster.replay(name, list(ids) or None, released=parked)
        with connected(env.url) as connection:
            records = quarantine.stream(connection, source=name, ids=list(ids) or None)
            waiting = [_without_contents(record) for record in records if record.status in quarantine.WAITING]
    if as_json:
        emit({**outcome.as_json(), "waiting": waiting})
    elif outcome.error is None:
        counts = outcome.counts
        expired = f"{counts.expired} too old to be kept, " if counts.expired else ""
        console().print(
            f"{name}: {count_text(counts.read - counts.rejected, 'record')} replayed "
            f"({count_text(counts.inserted, 'row')} inserted, {counts.updated} updated, "
            f"{counts.unchanged + counts.duplicate} already present in the same or a newer version, {expired}"
            f"{count_text(counts.filtered, 'record')} filtered); still waiting: {len(waiting)}."
        )
        if waiting:
            broken = Counter(rule for record in waiting for rule in record["rules"])
            table(("rule", "records"), broken.most_common())
    if outcome.error is not None:
        if not as_json:
            click.echo(f"{outcome.error.name}: {outcome.error.message}", err=True)
        ctx.exit(1)


def _materialize(env: Environment, connection: Connection, touched: Iterable[tuple[str, str]]) -> None:
    """Show in Dagster that the quarantine of some partitions, each of a source, has changed, if this user may."""
    if not _may_write_events(env.databases.dagster_url):
        click.echo("This user may not write to Dagster's storage: Dagster shows this after the next run.", err=True)
        return
    from etl_assets.cli.orchestration import report_reviewed

    sources = declared(env.settings).sources
    partitions: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for source, partition in touched:
        partitions[source][partition] = None
    for name in partitions.keys() & sources.keys():
        report_reviewed(connection, sources[name], partitions[name])


def _may_write_events(dagster_url: str) -> bool:
    """Return whether this user may write events, or creates the table of events that is not there yet."""
    from etl_assets.postgres.connection import connected

    with connected(dagster_url) as connection:
        row = connection.execute("SELECT has_table_privilege(to_regclass('event_logs'), 'INSERT')").fetchone()
    return row is None or row[0] is not False


def _record(connection: Connection, id_: int) -> Rejected:
    """Return the record with an id.

    Raises:
        QuarantineError: If there is none.
    """
    from etl_assets.postgres.ledger import quarantine

    records = quarantine.find(connection, ids=[id_])
    if not records:
        raise QuarantineError(
            f"There is no record {id_} in the quarantine. Nothing was changed. See `etl-assets quarantine list`."
        )
    return records[0]


def _without_contents(record: Rejected) -> dict[str, Any]:
    """Return the fields of a quarantined record, without its contents."""
    hidden = {"raw", "fields", "correction"}
    return {name: value for name, value in vars(record).items() if name not in hidden}


def _requirement(source: Source | None, rule: str) -> str:
    """Return what a rule requires, in words."""
    words = {info.name: info.words for info in source.rules} if source else {}
    return words.get(rule, "no longer declared")


def _quoted(fields: Mapping[str, str | None], name: str) -> str | None:
    """Return a value in quotes, a null as a dash, and None if the field is missing."""
    if name not in fields:
        return None
    value = fields[name]
    return "-" if value is None else f"'{escape_control_characters(value)}'"
