"""Shows the story of a row: as JSON values, with sensitive ones masked, and as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from etl_assets.cli.masking import MASK
from etl_assets.cli.terminal import count_text, harmless_bytes, table
from etl_assets.model.text import escape_control_characters

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from etl_assets.cli.masking import Masking
    from etl_assets.explain import RowStory
    from etl_assets.explain.row import Version
    from etl_assets.explain.search import FoundRecord
    from etl_assets.postgres.explain.rows import RejectedRecord

_SHORT: Final = 12
"""Digits of a digest that people read."""


def row_as_json(story: RowStory, masking: Masking) -> dict[str, Any]:
    """Return a story as JSON values, with sensitive values masked."""
    search = story.search
    return {
        "table": story.table,
        "source": story.source,
        "key": {name: masking.column(name, text) for name, text in story.key.items()},
        "summary": story.summary,
        "fingerprint": story.fingerprint,
        "versions": [_version(version, masking) for version in story.versions],
        "rejected": [_rejected(record, masking) for record in story.rejected],
        "deletions": [deletion._asdict() for deletion in story.deletions],
        "kept_from": story.kept_from,
        "search": {
            "deliveries": search.of,
            "searched": search.searched,
            "records": search.records,
            "found": [_found(record, story, masking) for record in search.found],
            "unreadable": search.unreadable,
            "is_cut": search.is_cut,
        },
        "referring": [referring._asdict() for referring in story.referring],
        "downstream": story.downstream,
        "left_out": story.left_out,
    }


def _version(version: Version, masking: Masking) -> dict[str, Any]:
    row, origin, published = version.row, version.origin, version.published
    return {
        "row": {name: _column(name, value, masking) for name, value in row.columns.items()},
        **row.kept,
        "delivery": None if origin is None else vars(origin),
        "record": row.record_no,
        "at": published.location,
        "batch": published.batch,
        "member": published.member,
        "offset": published.offset,
        "length": published.length,
        "raw": _raw(published.raw, masking),
        "fields": masking.fields(published.fields),
        "problem": published.problem,
        "entries": [entry._asdict() for entry in version.entries],
        "declared_as_now": version.declared_as_now,
        "absent_since": version.absent_since,
    }


def _column(name: str, value: str | None, masking: Masking) -> object:
    """Return a value of a row; one of a column that is no longer declared is masked, since it may be sensitive."""
    if masking.source is not None and name in masking.source.schema.names:
        return masking.column(name, value)
    return value if masking.reveal or value is None else MASK


def _rejected(record: RejectedRecord, masking: Masking) -> dict[str, Any]:
    return {
        **record._asdict(),
        "raw": _raw(record.raw, masking),
        "correction": masking.fields(record.correction),
    }


def _found(record: FoundRecord, story: RowStory, masking: Masking) -> dict[str, Any]:
    """Return a found record, with what it is to the key."""
    mark = (record.delivery_id, record.record_no)
    broken = next((other for other in story.rejected if (other.delivery_id, other.record_no) == mark), None)
    if any((version.row.delivery_id, version.row.record_no) == mark for version in story.versions):
        what = "gave the row its contents"
    elif broken is not None and broken.status not in {"replayed", "superseded"}:
        what = f"was rejected: {', '.join(broken.rules)}; {broken.status}"
    elif any(version.published.raw == record.raw for version in story.versions):
        what = "has the bytes of the row's record"
    else:
        what = "has other bytes than the row's record" if story.versions else "has the key"
    return {
        "delivery": record.delivery_id,
        "partition": record.partition,
        "fetched_at": record.fetched_at,
        "status": record.status,
        "record": record.record_no,
        "at": record.location,
        "raw": _raw(record.raw, masking),
        "what": what,
    }


def _raw(raw: bytes, masking: Masking) -> str:
    return MASK if masking.hides_raw and raw else harmless_bytes(raw)


def print_row(shown: Mapping[str, Any]) -> None:
    """Print a story, from its JSON values."""
    key = " ".join(f"{name}={text}" for name, text in shown["key"].items())
    _say(f"{shown['table']} {key}")
    _say(shown["summary"])
    for version in shown["versions"]:
        click.echo()
        _print_version(version, shown["fingerprint"])
    _print_rejected(shown)
    if shown["deletions"]:
        click.echo()
        heads = ("deleted", "by delivery", "partition", "was from delivery", "record")
        names = ("deleted_at", "deleted_by", "partition", "delivery_id", "record_no")
        table(heads, ([_cell(row[name]) for name in names] for row in shown["deletions"]))
    if shown["kept_from"]:
        _say(f"\nThe table keeps rows from {shown['kept_from']} on.")
    _print_search(shown["search"])
    _print_downstream(shown)
    for sentence in shown["left_out"]:
        _say(f"\n{sentence}")


def _print_version(version: Mapping[str, Any], fingerprint: str) -> None:
    delivery = version["delivery"]
    lines: dict[str, str | None] = {}
    for name in ("valid_from", "valid_to", "ended_by", "deleted_at"):
        if name in version:
            label = "ended by delivery" if name == "ended_by" else name.replace("_", " ")
            lines[label] = version[name]
    if delivery is not None:
        partition = f" ({delivery['partition']})" if delivery["partition"] else ""
        lines["delivery"] = (
            f"{delivery['id']}{partition}, {delivery['status']}, fetched {_time(delivery['fetched_at'])}"
        )
        lines["file"] = f"{delivery['name']} from {delivery['origin']}, SHA-256 {delivery['sha256'][:_SHORT]}…"
    if version["problem"]:
        lines["record"] = f"{version['record']}. {version['problem']}"
    else:
        member = f" of {version['member']}" if version["member"] else ""
        lines["record"] = f"{version['record']} at {version['at']}"
        lines["batch"] = f"{version['batch']}{member}, from {version['offset']:,}, {version['length']:,} long"
        lines["as published"] = version["raw"]
    for entry in version["entries"]:
        again = "" if entry["current"] else ", read again since"
        label = "replayed" if entry["kind"] == "replay" else "loaded"
        times = f"{_time(entry['committed_at'])} by run {entry['run_id']}, generation {entry['generation']}{again}"
        lines[f"{label} {entry['number']}" if label in lines else label] = times
    if delivery is not None:
        same = "as now" if version["declared_as_now"] else f"now {fingerprint[:_SHORT]}…: a run reloads it"
        lines["declaration"] = f"{delivery['fingerprint'][:_SHORT]}…, {same}"
    if version["absent_since"]:
        lines["absent"] = f"at the source since {_time(version['absent_since'])}"
    table(("row", ""), [(name, text) for name, text in version["row"].items()])
    click.echo()
    table(("where from", ""), [(name, text) for name, text in lines.items() if text])


def _print_rejected(shown: Mapping[str, Any]) -> None:
    if not shown["rejected"]:
        return
    click.echo()
    table(
        ("rejected", "delivery", "record", "broke", "status", "corrected", "by", "when", "note"),
        (
            (
                str(record["id"]),
                str(record["delivery_id"]),
                str(record["record_no"]),
                ", ".join(record["rules"]),
                record["status"] + (f" by delivery {record['closed_by']}" if record["closed_by"] else ""),
                ", ".join(f"{name}={text}" for name, text in (record["correction"] or {}).items()),
                record["reviewer"],
                _time(record["reviewed_at"]),
                record["note"],
            )
            for record in shown["rejected"]
        ),
    )


def _print_search(search: Mapping[str, Any]) -> None:
    click.echo()
    if search["found"]:
        heads = ("delivery", "partition", "fetched", "status", "record", "at", "which", "as published")
        names = ("delivery", "partition", "fetched_at", "status", "record", "at", "what", "raw")
        table(heads, ([_cell(record[name]) for name in names] for record in search["found"]))
    searched = count_text(search["searched"], "delivery", "deliveries")
    _say(f"Searched the frozen bytes of {searched} of {search['deliveries']:,}, {search['records']:,} records.")
    if search["searched"] < search["deliveries"]:
        _say("Which of the others have the key is not known; --all searches them, too.")
    if search["is_cut"]:
        _say(f"These are the first {len(search['found']):,} records; there may be more. Name more columns.")
    for sentence in search["unreadable"]:
        _say(sentence)


def _print_downstream(shown: Mapping[str, Any]) -> None:
    for referring in shown["referring"]:
        rows = f"{'At least ' if referring['is_cut'] else ''}{count_text(referring['rows'], 'row')}"
        _say(f"{rows} of {referring['table']} refer to it by {', '.join(referring['columns'])}.")
    below = sorted({*(f"core/{name}" for name in shown["downstream"]), *shown["assets_downstream"]})
    if below:
        _say(f"Downstream: {', '.join(below)}.")


def _say(text: str) -> None:
    begin = "\n" if text.startswith("\n") else ""
    click.echo(begin + escape_control_characters(text.removeprefix("\n")))


def _cell(value: Any) -> str:
    return _time(value) if hasattr(value, "isoformat") else "" if value is None else str(value)


def _time(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"
