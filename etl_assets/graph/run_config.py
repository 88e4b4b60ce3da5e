"""The run configuration of the jobs that belong to no source: replays and audits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from etl_assets.graph.keys import AUDIT_STEP, REPLAY_STEP

if TYPE_CHECKING:
    from collections.abc import Sequence


def replay_config(source: str, ids: Sequence[int] | None = None, *, released: bool = False) -> dict[str, Any]:
    """Return the run configuration of a replay.

    Args:
        source: Name of the source.
        ids: Replay only these records of the quarantine; None replays all waiting records.
        released: Replay only parked records whose parents have arrived; leave out `ids` then.
    """
    config: dict[str, Any] = {"source": source, "released": released}
    if ids is not None:
        config["ids"] = list(ids)
    return {"ops": {REPLAY_STEP: {"config": config}}}


def audit_config(names: Sequence[str] = ()) -> dict[str, Any]:
    """Return the run configuration of an audit of the named sources, or of all sources if none is named."""
    return {"ops": {AUDIT_STEP: {"config": {"sources": list(names)}}}}
