"""Alert rules and dashboard name metrics that are exported, and the rules fire when they should."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from etl_assets.metrics.collector import DatabaseCollector
from etl_assets_tests.documented import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from etl_assets_tests.cli.desk import Desk

RULES = ROOT / "docker" / "prometheus" / "rules.yaml"
CONFIGURATION = ROOT / "docker" / "prometheus" / "prometheus.yaml"
DASHBOARD = ROOT / "docker" / "grafana" / "etl_assets.json"
MONITORING = ROOT / "docs" / "monitoring.md"
_NAME = re.compile(r"\betl_assets_[a-z_]+")
_ENDINGS = {"counter": ("_total",), "summary": ("_count", "_sum"), "gauge": ("",)}


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def expressions() -> Iterator[str]:
    """Every expression of rules and dashboard."""
    yield from (rule["expr"] for rule in rules())
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def exported(desk: Desk) -> set[str]:
    """The names of the samples of every metric, whether there are any now or not."""
    urls = {"warehouse": desk.url, "dagster": f"{desk.url}_dagster"}
    metrics: list[Metric] = list(DatabaseCollector(urls).collect())
    assert len(metrics) > 20
    return {f"{metric.name}{ending}" for metric in metrics for ending in _ENDINGS[metric.type]}


def test_every_metric_that_a_rule_or_a_panel_names_is_exported(history: Desk) -> None:
    named = {name for expression in expressions() for name in _NAME.findall(expression)}
    assert len(named) > 20
    assert named - exported(history) == set()


def test_the_document_has_every_metric_with_its_type_and_no_other(history: Desk) -> None:
    table = dict(re.findall(r"^\| `(etl_assets_[a-z_]+)` \| (\w+) \|", MONITORING.read_text("utf-8"), re.MULTILINE))
    urls = {"warehouse": history.url, "dagster": f"{history.url}_dagster"}
    metrics: list[Metric] = list(DatabaseCollector(urls).collect())
    assert table == {metric.name + ("_total" if metric.type == "counter" else ""): metric.type for metric in metrics}


def test_every_rule_says_how_severe_it_is_and_where_to_read_on() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in {"warning", "error", "critical"}
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
        assert rule["annotations"]["runbook_url"].endswith(f"docs/operations.md#{rule['alert'].lower()}")
        assert "for" in rule


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", str(CONFIGURATION)),
        ("check", "rules", str(RULES)),
        ("test", "rules", str(ROOT / "etl_assets_tests" / "metrics" / "rules_test.yaml")),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_promtool_accepts_configuration_and_rules(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_panels_of_the_dashboard_are_well_formed() -> None:
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    panels = dashboard["panels"]
    assert max(Counter(panel["id"] for panel in panels).values()) == 1
    assert max(Counter(panel["title"] + panel["type"] for panel in panels).values()) == 1
    assert all(panel["fieldConfig"]["defaults"]["unit"] for panel in panels)
    assert all(panel["description"] for panel in panels)
    taken: Counter[tuple[int, int]] = Counter()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        taken.update((place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"]))
    assert max(taken.values()) == 1  # none is over another
    (variable,) = dashboard["templating"]["list"]
    assert variable["name"] == "source"


def test_grafana_finds_the_data_source_and_the_dashboard() -> None:
    folder = ROOT / "docker" / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yaml").read_text("utf-8"))["datasources"]
    (provider,) = yaml.safe_load((folder / "dashboards" / "etl_assets.yaml").read_text("utf-8"))["providers"]
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}
    assert provider["options"]["path"].startswith("/")
