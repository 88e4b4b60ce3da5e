"""The tags of a run: its source, and those by which a launcher places it, its queue and the limits of its pod.

Each asset of a source says them, in its tags and its metadata, and `DeclaredTagsCoordinator` makes tags of them when a
run is submitted, in whatever way. The names of the tags of launchers are those of dagster-celery and dagster-k8s, which
need not be installed.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from etl_assets.graph.keys import REBUILD, REBUILD_STEP, REPLAY, REPLAY_STEP, SOURCE_TAG, core_key
from etl_assets.model.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    import dagster as dg

    from etl_assets.source import Source

QUEUE_TAG: Final = "dagster-celery/queue"
POD_TAG: Final = "dagster-k8s/config"
QUEUE: Final = "etl_assets/queue"
LIMITS: Final = "etl_assets/limits"
_MILLI: Final = re.compile(r"([1-9][0-9]*)m")
_STEPS: Final = {REPLAY: REPLAY_STEP, REBUILD: REBUILD_STEP}


def placement(source: Source) -> dict[str, Any]:
    """Return the metadata of a source's assets that say where its runs are executed."""
    metadata: dict[str, Any] = {}
    if source.queue is not None:
        metadata[QUEUE] = source.queue
    if source.limits is not None:
        metadata[LIMITS] = {"memory": source.limits.memory, "processors": source.limits.processors}
    return metadata


def assets_of(run: dg.DagsterRun) -> Collection[dg.AssetKey]:
    """Return the assets that a run is about: those it materializes or checks, or the table that it replays or rebuilds.

    A run of a job that selects no assets is about none.
    """
    if run.job_name in _STEPS:
        config: Mapping[str, Any] = run.run_config
        name = config.get("ops", {}).get(_STEPS[run.job_name], {}).get("config", {}).get("source")
        return {core_key(name)} if isinstance(name, str) else set()
    return {*(run.asset_selection or ()), *(check.asset_key for check in run.asset_check_selection or ())}


def tags_of(declared: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the tags of a run.

    Args:
        declared: Metadata and tags of each of its assets. If they name one source, the run is of that source. If they
            name one queue, the run goes there, and if they name several, where all runs go that name none. Of several
            limits the highest applies.
    """
    known = list(declared)
    sources = {entry[SOURCE_TAG] for entry in known if SOURCE_TAG in entry}
    queues = {entry[QUEUE] for entry in known if QUEUE in entry}
    limits = _resources([Limits(**entry[LIMITS]) for entry in known if LIMITS in entry])
    tags = {SOURCE_TAG: sources.pop()} if len(sources) == 1 else {}
    tags |= {QUEUE_TAG: queues.pop()} if len(queues) == 1 else {}
    if limits:
        tags[POD_TAG] = json.dumps({"container_config": {"resources": {"limits": limits}}})
    return tags


def _resources(limits: Collection[Limits]) -> dict[str, str]:
    """Return the limits of a container as Kubernetes writes them."""
    memory = max((each.mebibytes for each in limits), default=0)
    processors = max((each.processors or 0.0 for each in limits), default=0.0)
    resources = {"memory": f"{memory}Mi"} if memory else {}
    return resources | ({"cpu": f"{round(processors * 1000)}m"} if processors else {})


def limits_of(tags: Mapping[str, str]) -> tuple[int, float]:
    """Return the limits in the tags of a run: mebibytes of memory, and processors; 0 for what is not limited.

    Of a tag that a person has set, only what is written as this module writes it is a limit here.
    """
    config: Mapping[str, Any] = json.loads(tags.get(POD_TAG, "{}"))
    limits = config.get("container_config", {}).get("resources", {}).get("limits", {})
    memory = Limits(memory=str(limits.get("memory", ""))).mebibytes
    processors = _MILLI.fullmatch(str(limits.get("cpu", "")))
    return memory, int(processors[1]) / 1000 if processors else 0.0
