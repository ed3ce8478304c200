"""Every committed values file on simulated nodes of exactly its profile, and on one node too few.

A simulated node is a Node object without a kubelet: the real scheduler binds pods to it; in test_scale.py
such pods run.
"""

from typing import Any

import pytest
import yaml
from cluster.conftest import Release
from cluster.simulated import clear, new_run, node_of, of_profile, overlay, settled, simulated_nodes, why_pending
from llm_serving_planner.hardware.profiles import parse_profile
from llm_serving_planner.output.committed import Entry, load_catalog
from pytest_helm_charts.clusters import Cluster
from support.helm import ROOT, merge

CATALOG = load_catalog(ROOT / "values" / "catalog.yaml")

CATALOG = load_catalog(ROOT / "values" / "catalog.yaml")


@pytest.mark.parametrize("entry", CATALOG, ids=lambda entry: f"{entry.name}-{entry.profile}")
def test_a_values_file_lands_on_its_profile_and_waits_on_one_node_too_few(
    kube_cluster: Cluster, baseline_namespace: str, helm: str, entry: Entry
) -> None:
    profile = parse_profile(entry.profile)
    file = ROOT / "values" / f"{entry.name}-{entry.profile}.yaml"
    values: dict[str, Any] = yaml.safe_load(file.read_text())
    members = values["parallelism"]["nodes"]
    run = new_run()
    release = Release(helm, "m", baseline_namespace)
    try:
        with simulated_nodes(kube_cluster, [of_profile(profile)] * profile.nodes, run):
            release.apply(values, overlay(run), wait=False)
            pods = settled(kube_cluster, baseline_namespace, "m", members)
            assert {node_of(pod) for pod in pods} == {f"{run}-{index}" for index in range(profile.nodes)}
            release.uninstall(wait=False)
            clear(kube_cluster, baseline_namespace)
        with simulated_nodes(kube_cluster, [of_profile(profile)] * (profile.nodes - 1), run):
            release.apply(values, overlay(run), wait=False)
            pods = settled(kube_cluster, baseline_namespace, "m", members)
            waiting = [why_pending(pod) for pod in pods if not node_of(pod)]
            assert len(waiting) == 1 if profile.nodes > 1 else len(waiting) == members
            assert all("nodes are available" in message for message in waiting)
    finally:
        release.uninstall(wait=False)
        clear(kube_cluster, baseline_namespace)


@pytest.mark.parametrize("controller", ["statefulset", "leaderworkerset", "raycluster"])
def test_members_of_one_engine_are_spread_and_two_engines_share_nodes(
    kube_cluster: Cluster, baseline_namespace: str, helm: str, controller: str
) -> None:
    """Two groups of two on two nodes with two GPUs: each node gets one member of each group."""
    profile = parse_profile("2x2xt4")
    run = new_run()
    entry = next(entry for entry in CATALOG if entry.profile == "2x1xt4")
    values = yaml.safe_load((ROOT / "values" / f"{entry.name}-{entry.profile}.yaml").read_text())
    layout = {"controller": controller, "executor": "ray" if controller == "raycluster" else "mp"}
    changes = {"replicas": 2, "parallelism": layout, "engine": {"hasRay": True}}
    release = Release(helm, "m", baseline_namespace)
    try:
        with simulated_nodes(kube_cluster, [of_profile(profile)] * 2, run):
            release.apply(values, merge(overlay(run), changes), wait=False)
            pods = settled(kube_cluster, baseline_namespace, "m", 4)
            assert all(node_of(pod) for pod in pods), [why_pending(pod) for pod in pods]
            groups: dict[str, set[str]] = {}
            for pod in pods:
                labels = pod.labels
                group = labels.get("llm-serving/group") or labels["leaderworkerset.sigs.k8s.io/group-index"]
                groups.setdefault(group, set()).add(node_of(pod))
            assert [len(nodes) for nodes in groups.values()] == [2, 2]
    finally:
        release.uninstall(wait=False)
        clear(kube_cluster, baseline_namespace)
