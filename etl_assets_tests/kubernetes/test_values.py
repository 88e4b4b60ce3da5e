"""Our values for the Helm chart: Dagster and its run launcher accept them, and pods come out as meant."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
import yaml
from dagster._config import resolve_to_config_type, validate_config
from dagster._core.instance.config import dagster_instance_config

from etl_assets import Limits
from etl_assets.graph.run_tags import LIMITS, POD_TAG, tags_of

if TYPE_CHECKING:
    from collections.abc import Mapping

pytest.importorskip("dagster_k8s")
_ROOT = Path(__file__).parents[2]
_VALUES: dict[str, Any] = yaml.safe_load((_ROOT / "docker" / "kubernetes" / "values.yaml").read_text())
_CLUSTER = """
apiVersion: v1
kind: Config
current-context: none
contexts: [{name: none, context: {cluster: none, user: none}}]
clusters: [{name: none, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: none, user: {}}]
"""


def _snake(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of the chart under the names of Dagster's configuration."""
    return {re.sub("([A-Z])", lambda found: f"_{found[1].lower()}", name): value for name, value in settings.items()}


def _launcher_config() -> dict[str, Any]:
    """Return what the chart writes as the configuration of the run launcher."""
    given = _snake(_VALUES["runLauncher"]["config"]["k8sRunLauncher"])
    return {
        **given,
        "run_k8s_config": _snake(given["run_k8s_config"]),
        "service_account_name": "dagster",
        "job_namespace": "default",
        "instance_config_map": "dagster-instance",
        "dagster_home": "/opt/dagster/dagster_home",
        "postgres_password_secret": _VALUES["global"]["postgresqlSecretName"],
    }


def _container(tags: Mapping[str, str], folder: Path) -> tuple[Any, Any]:
    """Return the job, and the container, in which a run with some tags is executed."""
    from dagster_k8s import K8sRunLauncher
    from dagster_k8s.container_context import K8sContainerContext
    from dagster_k8s.job import construct_dagster_k8s_job

    (folder / "cluster").write_text(_CLUSTER)
    elsewhere = {"load_incluster_config": False, "kubeconfig_file": str(folder / "cluster")}
    launcher = K8sRunLauncher(**{**_launcher_config(), **elsewhere})
    run = dg.DagsterRun(job_name="job", tags=dict(tags))
    context = K8sContainerContext.create_for_run(run, launcher, include_run_tags=True)
    config = context.get_k8s_job_config("registry.example.org/etl-assets:0.1.0", launcher)
    job = construct_dagster_k8s_job(config, ["dagster"], "run", context.run_k8s_config)
    return job, job.spec.template.spec.containers[0]


def test_the_run_launcher_accepts_its_configuration() -> None:
    from dagster_k8s import K8sRunLauncher

    config_type = resolve_to_config_type(K8sRunLauncher.config_type())  # type: ignore[no-untyped-call]
    assert validate_config(config_type, _launcher_config()).success
    wrong = {**_launcher_config(), "run_k8s_config": {"podspec": {}}}
    assert not validate_config(config_type, wrong).success


def test_a_pod_of_a_run_has_the_limits_of_the_values(tmp_path: Path) -> None:
    job, container = _container({}, tmp_path)
    assert container.resources.limits == {"memory": "2Gi"}
    assert job.spec.backoff_limit == 0
    assert job.spec.template.spec.termination_grace_period_seconds == 120


def test_a_pod_of_a_source_has_the_limits_that_it_declares(tmp_path: Path) -> None:
    tags = tags_of([{LIMITS: {"memory": "4Gi", "processors": 0.5}}, {LIMITS: {"memory": "512Mi", "processors": None}}])
    job, container = _container(tags, tmp_path)
    assert container.resources.limits == {"memory": "4096Mi", "cpu": "500m"}
    assert job.spec.template.spec.termination_grace_period_seconds == 120


@pytest.mark.parametrize("memory", ["1Mi", "512Mi", "2Gi", "999999999Gi"])
def test_a_memory_that_a_declaration_accepts_is_a_quantity_for_kubernetes(memory: str) -> None:
    from kubernetes.utils.quantity import parse_quantity

    limits = Limits(memory=memory)
    limits.check("here")
    assert parse_quantity(f"{limits.mebibytes}Mi") == parse_quantity(memory)


def test_the_tag_is_the_one_that_dagster_reads() -> None:
    from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG
    from dagster_k8s.job import USER_DEFINED_K8S_CONFIG_KEY

    from etl_assets.graph.run_tags import QUEUE_TAG

    assert USER_DEFINED_K8S_CONFIG_KEY == POD_TAG
    assert DAGSTER_CELERY_QUEUE_TAG == QUEUE_TAG


def test_dagster_accepts_the_instance_of_the_values(tmp_path: Path) -> None:
    daemon = _VALUES["dagsterDaemon"]
    instance = {
        "run_coordinator": daemon["runCoordinator"]["config"]["customRunCoordinator"],
        "run_monitoring": _snake(daemon["runMonitoring"]),
        "run_retries": _snake(daemon["runRetries"]),
        **_VALUES["additionalInstanceConfig"],
    }
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(instance))
    dagster_instance_config(str(tmp_path))
    own = yaml.safe_load((_ROOT / "dagster.yaml").read_text())
    assert instance["concurrency"]["pools"] == own["concurrency"]["pools"]
    assert instance["run_retries"] == own["run_retries"]
