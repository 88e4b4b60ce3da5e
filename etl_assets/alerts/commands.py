"""The command that a person types next at an alert: with its ids and names, and quoted for a shell."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from etl_assets.model.alert import (
    DriftOpened,
    QuarantineAgeing,
    QuarantineGrowing,
    RejectedCount,
    RejectedShare,
    RunFailed,
    VolumeDrop,
)

if TYPE_CHECKING:
    from etl_assets.model.alert import Reason

REPLAY: Final = "replay"
"""Subject of the alerts about runs that replay records of the quarantine."""
_PROGRAM: Final = "etl-assets"
_RUN_AGAIN: Final = frozenset({RunFailed.kind, VolumeDrop.kind})
_ABOUT_RECORDS: Final = {QuarantineAgeing.kind, QuarantineGrowing.kind, RejectedCount.kind, RejectedShare.kind}


def command_of(reason: Reason, source: str, partition: str) -> str:
    """Return the command for an alert.

    Args:
        reason: For which it is open.
        source: Name of the source; the empty text if it concerns none.
        partition: Key of the partition; the empty text for what concerns the whole source.
    """
    kind = reason.rule.kind
    if reason.command:
        command = reason.command
    elif kind == RunFailed.kind and reason.subject == REPLAY:
        command = typed("quarantine", "replay", source)
    elif kind in _RUN_AGAIN:
        command = run(source, partition)
    elif kind in _ABOUT_RECORDS:
        command = typed("quarantine", "list", "--source", source)
    elif "." in source:  # an asset that was written by hand has no status
        command = typed("alerts", "list", "--source", source)
    else:
        command = typed("status", source) if source else typed("status")
    return command


def common_command(rule: str, source: str, commands: set[str]) -> str:
    """Return the command for several alerts of one rule and source: theirs, or one that is about all of them."""
    if len(commands) == 1:
        return next(iter(commands))
    if rule == DriftOpened.kind:
        return typed("drift", "list", "--source", source)
    return run(source, "") if rule in _RUN_AGAIN else typed("alerts", "list", "--source", source)


def run(source: str, partition: str) -> str:
    """Return the command that runs a source, or an asset written by hand; without a partition, those that are due."""
    name = "/".join(asset_parts(source)) if "." in source else source
    return typed("run", name, *(("--partition", partition) if partition else ()))


def typed(*arguments: str) -> str:
    """Return a command of this package, quoted for a shell."""
    return shlex.join((_PROGRAM, *arguments))


def asset_parts(source: str) -> tuple[str, ...]:
    """Return the key of the asset of a source, or of an asset that was written by hand."""
    schema, dot, table = source.partition(".")
    return ("core", source) if not dot else (table,) if schema == "public" else (schema, table)
