"""The limits of the container of a run."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._config import validate_config
from dagster._config.field import resolve_to_config_type

from etl_assets.graph.launcher.container_launcher import ContainerRunLauncher
from etl_assets.graph.run_tags import LIMITS, POD_TAG, tags_of

_INSTANCE = yaml.safe_load((Path(__file__).parents[2] / "docker" / "dagster.yaml").read_text())
_KWARGS = _INSTANCE["run_launcher"]["config"]["container_kwargs"]


def _kwargs(tags: dict[str, str]) -> dict[str, object]:
    launcher = ContainerRunLauncher(container_kwargs=_KWARGS)
    return dict(launcher.get_container_context(dg.DagsterRun(job_name="job", tags=tags)).container_kwargs)


def test_a_container_has_the_limits_of_the_instance() -> None:
    assert _kwargs({}) == _KWARGS


def test_a_container_has_the_limits_that_the_source_declares() -> None:
    tags = tags_of([{LIMITS: {"memory": "4Gi", "processors": 0.5}}])
    assert _kwargs(tags) == {**_KWARGS, "mem_limit": 4 * 2**30, "nano_cpus": 500_000_000}


def test_one_declared_limit_leaves_the_other() -> None:
    assert _kwargs(tags_of([{LIMITS: {"memory": None, "processors": 2}}])) == {**_KWARGS, "nano_cpus": 2_000_000_000}


@pytest.mark.parametrize("limits", [{"memory": "4G"}, {"cpu": "2"}, {"cpu": 2}, {}])
def test_what_a_person_wrote_for_a_pod_is_no_limit_of_a_container(limits: dict[str, object]) -> None:
    tag = json.dumps({"container_config": {"resources": {"limits": limits}}})
    assert _kwargs({POD_TAG: tag}) == _KWARGS


def test_the_launcher_accepts_its_configuration() -> None:
    config_type = resolve_to_config_type(ContainerRunLauncher.config_type())  # type: ignore[no-untyped-call]
    assert validate_config(config_type, _INSTANCE["run_launcher"]["config"]).success
