"""Shows the story of a delivery: as JSON values, and as tables. It has no contents of records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from etl_assets.cli.terminal import count_text, table
from etl_assets.model.text import escape_control_characters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from etl_assets.explain import DeliveryStory


def delivery_as_json(story: DeliveryStory) -> dict[str, Any]:
    """Return a story as JSON values."""
    return {
        **story.facts._asdict(),
        "declared_as_now": story.declared_as_now,
        "counts": {each.kind: _without_id(each) for each in story.counts},
        "add_up": all(each.add_up for each in story.counts),
        "sums": story.sums,
        "problems": story.problems,
        "rejected_by_status": story.by_status,
        "rejected_by_rule": story.by_rule,
        "runs": [_without_id(run) for run in story.runs],
        "changes": [_without_id(change) for change in story.changes],
        "alerts": [_without_id(alert) for alert in story.alerts],
        "checks": [_without_id(check) for check in story.checks],
        "deleted": story.deleted,
        "corrections": [_without_id(correction) for correction in story.corrections],
        "left_out": story.left_out,
    }


def _without_id(value: Any) -> dict[str, Any]:
    return {name: part for name, part in value._asdict().items() if name != "delivery_id"}


def print_delivery(shown: Mapping[str, Any]) -> None:
    """Print a story, from its JSON values."""
    partition = f" ({shown['partition']})" if shown["partition"] else ""
    _say(f"Delivery {shown['id']} of {shown['source']}{partition} is {shown['status']}.")
    for problem in shown["problems"]:
        _say(problem)
    click.echo()
    table(("delivery", ""), [(label, text) for label, text in _lines(shown).items() if text])
    for equation in shown["sums"]:
        _say(equation)
    _print_all(shown)
    for sentence in shown["left_out"]:
        _say(sentence)


def _lines(shown: Mapping[str, Any]) -> dict[str, str | None]:
    now = {True: "the declaration of today", False: "another declaration than that of today", None: ""}
    return {
        "file": f"{shown['name']} from {shown['origin']}",
        "fetched": _time(shown["fetched_at"]),
        "validators": ", ".join(f"{name} {value}" for name, value in shown["validators"].items()),
        "bytes": f"{shown['size']:,}, SHA-256 {shown['sha256']}",
        "records": f"{shown['records']:,} in {count_text(shown['batches'], 'batch', 'batches')}",
        "loaded": _time(shown["completed_at"]),
        "refused": shown["refusal"],
        "generation": str(shown["generation"]),
        "read under": now[shown["declared_as_now"]],
        "deleted": count_text(shown["deleted"], "row") if shown["deleted"] else None,
        "notes": " ".join(shown["notes"]),
        "before it": f"delivery {shown['previous']}" if shown["previous"] else "no delivery",
        "after it": f"delivery {shown['next']}" if shown["next"] else "no delivery",
    }


def _print_all(shown: Mapping[str, Any]) -> None:
    _print_table("rejected, by rule", ("rule", "records"), list(shown["rejected_by_rule"].items()))
    _print_table("rejected, by status", ("status", "records"), list(shown["rejected_by_status"].items()))
    names = ("run_id", "status", "attempt", "step", "started_at", "ended_at", "error_class")
    _print_rows("runs", names, shown["runs"])
    _print_rows("corrections", ("reviewer", "records", "counting", "last_at"), shown["corrections"])
    _print_rows("changes of what is published", ("id", "kind", "status", "opened"), shown["changes"])
    _print_rows("alerts", ("id", "rule", "severity", "status", "summary"), shown["alerts"])
    failed = [check for check in shown["checks"] if not check["passed"]]
    _print_rows("checks that failed", ("name", "blocking", "failed_records", "at"), failed)
    if shown["checks"] and not failed:
        _say(f"\n{count_text(len(shown['checks']), 'check')}, all passed.")


def _print_rows(title: str, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    heads = [name.replace("_", " ").removesuffix(" at").removesuffix(" id") for name in names]
    _print_table(title, heads, [[_plain(row[name]) for name in names] for row in rows])


def _print_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    if rows:
        click.echo()
        table(heads, rows, title=title)


def _plain(value: Any) -> Any:
    return _time(value) if hasattr(value, "isoformat") else value


def _say(text: str) -> None:
    begin = "\n" if text.startswith("\n") else ""
    click.echo(begin + escape_control_characters(text.removeprefix("\n")))


def _time(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"
