"""The run configuration of the jobs that are no source's: replays and audits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from etl_assets.graph.keys import AUDIT_STEP, REPLAY_STEP

if TYPE_CHECKING:
    from collections.abc import Sequence


def replay_config(source: str, ids: Sequence[int] | None = None, *, released: bool = False) -> dict[str, Any]:
    """The run configuration of a replay.

    Args:
        source: Name of the source.
        ids: Only these records of the quarantine; all that wait when None.
        released: Only parked records whose parents have arrived; `ids` is then left out.
    """
    config: dict[str, Any] = {"source": source, "released": released}
    if ids is not None:
        config["ids"] = list(ids)
    return {"ops": {REPLAY_STEP: {"config": config}}}


def audit_config(names: Sequence[str] = ()) -> dict[str, Any]:
    """The run configuration of an audit: of some sources, or of all when none is named."""
    return {"ops": {AUDIT_STEP: {"config": {"sources": list(names)}}}}
