"""All committed values files at once on 200 simulated nodes of many GPU types, and each with one GPU too few.

The nodes are cloud machines of the generator's data, the scheduler and the controllers are real, KWOK lets the pods
run: so StatefulSets and LeaderWorkerSets go on to their ends, and Helm itself waits until every release is ready.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.conftest import Release, made_namespace
from cluster.serving import engine_pods
from cluster.simulated import (
    Machine,
    clear,
    filler,
    fleet,
    insufficient,
    kwok,
    new_run,
    node_of,
    of_profile,
    overlay,
    settled,
    simulated_nodes,
    why_pending,
)  # fmt: skip
from llm_serving_planner.hardware.profiles import GpuProfile, parse_profile
from llm_serving_planner.output.committed import load_catalog
from pykube import Pod
from pytest_helm_charts.clusters import Cluster
from support.helm import ROOT, merge

NODES = 200
AT_ONCE = 4  # Helm programs that run side by side


@dataclass(frozen=True)
class Wanted:
    """One release: a committed values file, perhaps in another layout."""

    name: str
    profile: GpuProfile
    values: dict[str, Any]
    engines: int = 1


def wanted() -> list[Wanted]:
    """Every committed file as it is; those over several nodes also as three LeaderWorkerSet groups."""
    found = []
    for entry in load_catalog(ROOT / "values" / "catalog.yaml"):
        file = ROOT / "values" / f"{entry.name}-{entry.profile}.yaml"
        values = yaml.safe_load(file.read_text())
        profile = parse_profile(entry.profile)
        found.append(Wanted(file.stem, profile, values))
        if profile.nodes > 1:
            groups = merge(values, {"replicas": 3, "parallelism": {"controller": "leaderworkerset"}})
            found.append(Wanted(f"{file.stem}-lws", profile, groups, 3))
    return found


WANTED = wanted()


@dataclass(frozen=True)
class Farm:
    """The simulated cluster, and a namespace in which even an engine of root may run."""

    run: str
    namespace: str
    machines: dict[str, Machine]


@pytest.fixture(scope="module")
def farm(kube_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """200 nodes that are there as long as this module runs."""
    run = new_run()
    machines = fleet(NODES, [(one.profile, one.engines) for one in WANTED])
    log = tmp_path_factory.mktemp("kwok") / "log"
    with (
        simulated_nodes(kube_cluster, machines, run) as nodes,
        kwok(os.environ["KUBECONFIG"], run, Path(log)),
        made_namespace(kube_cluster.kube_client, "baseline") as namespace,
    ):
        yield Farm(run, namespace, nodes)
        clear(kube_cluster, namespace)


def groups_of(pods: list[Pod]) -> dict[str, list[Pod]]:
    """Pods by the engine that they are members of."""
    found: dict[str, list[Pod]] = {}
    for pod in pods:
        marks = ("llm-serving/group", "leaderworkerset.sigs.k8s.io/group-index")
        found.setdefault(next((pod.labels[mark] for mark in marks if mark in pod.labels), pod.name), []).append(pod)
    return found


def check_places(one: Wanted, pods: list[Pod], farm: Farm) -> None:
    """Each member on a node of its own, and all on nodes that have what the profile says."""
    assert len(pods) == one.profile.nodes * one.engines
    groups = groups_of(pods)
    assert len(groups) == one.engines
    for members in groups.values():
        nodes = {node_of(pod) for pod in members}
        assert len(nodes) == len(members) == one.profile.nodes, f"{one.name}: {sorted(nodes)}"
        for node in nodes:
            machine = farm.machines[node]
            if one.profile.gpu.vendor == "cpu":
                assert machine.gpu is None, f"{one.name} took {node} with {machine.product}"
            else:
                assert machine.gpu == one.profile.gpu, f"{one.name} is on {machine.product}"
                assert machine.gpus >= one.profile.gpus_per_node


def test_all_committed_values_at_once(kube_cluster: Cluster, helm: str, farm: Farm) -> None:
    assert len(farm.machines) == NODES
    assert len({machine.product for machine in farm.machines.values()}) > 10
    releases = {one.name: Release(helm, one.name, farm.namespace) for one in WANTED}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            started = [pool.submit(releases[one.name].apply, one.values, overlay(farm.run)) for one in WANTED]
            for future in started:
                future.result()
            used: Counter[str] = Counter()
            for one in WANTED:
                pods = engine_pods(kube_cluster, farm.namespace, one.name)
                check_places(one, pods, farm)
                for pod in pods:
                    used[node_of(pod)] += one.profile.gpus_per_node if one.profile.gpu.vendor != "cpu" else 0
            assert all(used[name] <= farm.machines[name].gpus for name in used), "a GPU was given away twice"
            print(f"{len(used)} of {NODES} nodes used, {sum(used.values())} GPUs, {len(WANTED)} releases")
        finally:
            for future in [pool.submit(release.uninstall) for release in releases.values()]:
                future.result()


def held(cluster: Cluster, farm: Farm, profile: GpuProfile) -> Pod:
    """Take every GPU of the profile's type but one short of what the profile needs; the pod that holds the missing one.

    As many nodes as the profile has keep enough free GPUs for a member, the last of those one too few. All others keep
    one too few as well: free GPUs would be enough, were they not spread over nodes.
    """
    client, each = cluster.kube_client, profile.gpus_per_node
    names = [name for name, machine in farm.machines.items() if machine.gpu == profile.gpu]
    fitting = [name for name in names if farm.machines[name].gpus >= each]
    free = dict.fromkeys(fitting[: profile.nodes], each) | {fitting[profile.nodes - 1]: each - 1}
    for name in names:
        spare = free.get(name, min(each - 1, farm.machines[name].gpus))
        taken = farm.machines[name].gpus - spare - (name == fitting[profile.nodes - 1])
        if taken:
            filler(client, farm.namespace, name, profile.gpu.resource_name, taken)
    return filler(client, farm.namespace, fitting[profile.nodes - 1], profile.gpu.resource_name, 1)


PROFILES = sorted({one.profile.name: one for one in WANTED if one.profile.gpu.vendor != "cpu"})


@pytest.mark.parametrize("profile", PROFILES)
def test_one_gpu_short_is_a_clear_pending_and_that_gpu_is_all_it_takes(
    kube_cluster: Cluster, helm: str, farm: Farm, profile: str
) -> None:
    one = next(one for one in WANTED if one.profile.name == profile)
    release = Release(helm, "short", farm.namespace)
    members, gpu = one.profile.nodes, one.profile.gpu
    # Without a label that names the product, nothing but the GPUs keeps a pod off a node that has none.
    others = () if of_profile(one.profile).labels else (None,)
    same = sum(machine.gpu in (gpu, *others) for machine in farm.machines.values())
    try:
        missing = held(kube_cluster, farm, one.profile)
        release.apply(one.values, overlay(farm.run), wait=False)
        pods = settled(kube_cluster, farm.namespace, "short", members)
        (message,) = [why_pending(pod) for pod in pods if not node_of(pod)]
        assert re.match(r"0/\d+ nodes are available: ", message), message
        assert insufficient(message, gpu.resource_name) == same, message
        missing.delete()
        placed = settled(kube_cluster, farm.namespace, "short", members, bound=True)
        check_places(one, placed, farm)
    finally:
        release.uninstall()
        kube_cluster.kubectl("delete pods --all", namespace=farm.namespace, output_format="name")
