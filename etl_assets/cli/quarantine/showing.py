"""``etl-assets quarantine show``: shows one record, and what people have decided about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from etl_assets.cli.environment import declared, environment
from etl_assets.cli.masking import MASK, Masking
from etl_assets.cli.quarantine.records import ID, REVEAL, in_quotes, record_of, requirement, without_contents
from etl_assets.cli.terminal import console, count_text, emit, harmless_bytes, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.model.delivery import Manifest
    from etl_assets.postgres.ledger.decisions import Decision
    from etl_assets.postgres.ledger.quarantine import Rejected


@click.command()
@ID
@REVEAL
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(id_: int, *, reveal: bool, as_json: bool) -> None:
    """Show one record: its bytes, its fields, the rules that it broke, its origin and the decisions about it."""
    from etl_assets.postgres.ledger import cases, decisions, deliveries

    with environment() as env, env.connection() as connection:
        record = record_of(connection, id_)
        delivery = deliveries.by_id(connection, record.delivery_id)
        seen = cases.times_seen(connection, [id_])[id_]
        decided = decisions.history(connection, id_)
    source = declared(env.settings).sources.get(record.source)
    masking = Masking(source, reveal)
    fields = masking.fields(record.fields)
    correction = masking.fields(record.correction)
    raw = MASK if masking.hides_raw else harmless_bytes(record.raw)
    rules = {rule: requirement(source, rule) for rule in record.rules}
    if as_json:
        contents = {"asks": rules, "fields": fields, "correction": correction, "raw": raw}
        history = [vars(decision) for decision in decided]
        emit({**without_contents(record), "deliveries": seen, **contents, "decisions": history})
        return
    manifest = delivery.manifest if delivery else None
    shown = {**_facts(record, manifest, seen), "raw": raw}
    table((f"record {id_}", ""), ((name, str(value)) for name, value in shown.items() if value is not None))
    console().print()
    table(("broke", "requires that"), rules.items())
    _print_fields(fields, correction, manifest.names if manifest else ())
    _print_decisions(decided)


def _facts(record: Rejected, manifest: Manifest | None, seen: int) -> dict[str, Any]:
    return {
        "source": f"{record.source} {record.partition}".strip(),
        "delivery": f"{record.delivery_id}, {manifest.name} from {manifest.origin}" if manifest else record.delivery_id,
        "record": f"{record.record_no} at {record.location}",
        "status": f"{record.status} by delivery {record.closed_by}" if record.closed_by else record.status,
        "seen": f"in {count_text(seen, 'delivery', 'deliveries')}",
        "rejected": f"{record.rejected_at:%Y-%m-%d %H:%M:%S} UTC by run {record.run_id}",
        "replays": record.replays,
        "reviewed": f"{record.reviewed_at:%Y-%m-%d %H:%M:%S} UTC by {record.reviewer}" if record.reviewed_at else None,
        "note": record.note,
    }


def _print_fields(
    fields: Mapping[str, str | None] | None, correction: Mapping[str, str | None] | None, order: Sequence[str]
) -> None:
    if fields is None and correction is None:
        return
    console().print()
    published, corrected = fields or {}, correction or {}
    names = sorted({*published, *corrected}, key=lambda name: (order.index(name) if name in order else 999, name))
    table(
        ("field", "as published", "corrected"),
        ((name, _quoted(published, name), _quoted(corrected, name)) for name in names),
    )


def _print_decisions(decided: Sequence[Decision]) -> None:
    if decided:
        console().print()
        table(
            ("decision", "by", "at", "note", "it was"),
            ((d.decision, d.reviewer, f"{d.decided_at:%Y-%m-%d %H:%M:%S}", d.note, d.former_status) for d in decided),
        )


def _quoted(fields: Mapping[str, str | None], name: str) -> str | None:
    """Return a value in quotes, a null as a dash, and None if the field is missing."""
    return in_quotes(fields[name]) if name in fields else None
