"""The run configuration: of the runs of a source, and of the jobs that belong to no source."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from etl_assets.graph.keys import AUDIT_STEP, REPLAY_STEP, core_key, landing_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    import dagster as dg

_OF_LANDING: Final = ("file", "full", "fetch")


@dataclass(frozen=True)
class SourceConfig:
    """The configuration of a run of a source. Each of its steps has a part of it.

    Attributes:
        file: Path of a file to land instead of the publisher's.
        full: Whether to fetch everything, also of a source whose fetches begin where the one before ended.
        fetch: Whether to fetch even if a poll finds nothing new.
        force: Whether to reload a complete delivery.
        batches: Numbers of the only batches to reload; empty for all.
        accept_deletes: Whether a snapshot may delete any number of rows.
        compare_keys: Whether to compare keys even if it is not due.
    """

    file: str | None = None
    full: bool = False
    fetch: bool = False
    force: bool = False
    batches: tuple[int, ...] = ()
    accept_deletes: bool = False
    compare_keys: bool = False

    @classmethod
    def of(cls, run: dg.DagsterRun, name: str) -> Self:
        """Return the configuration of a run of the named source."""
        ops: Any = run.run_config.get("ops", {})
        steps = [key.to_python_identifier() for key in (landing_key(name), core_key(name))]
        values = {key: value for step in steps for key, value in ops.get(step, {}).get("config", {}).items()}
        return cls(**{**values, "batches": tuple(values.get("batches", ()))})

    @property
    def asks_for_more(self) -> bool:
        """Whether there is something to do even if what is published was loaded."""
        return self not in {SourceConfig(), SourceConfig(fetch=True)}

    def as_run_config(self, name: str) -> dict[str, Any]:
        """Return the run configuration for a run of the named source; what is as usual is left out."""
        default = asdict(SourceConfig())
        changed = {key: value for key, value in asdict(self).items() if value != default[key]}
        landing = {key: value for key, value in changed.items() if key in _OF_LANDING}
        core = {key: value for key, value in changed.items() if key not in _OF_LANDING}
        steps = {landing_key(name): landing, core_key(name): core}
        return {"ops": {key.to_python_identifier(): {"config": config} for key, config in steps.items() if config}}


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
