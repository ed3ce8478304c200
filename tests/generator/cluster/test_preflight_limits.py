"""LimitRanges, huge pages, and accelerators of other vendors, against a recorded cluster that a test changes."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from llm_serving_planner.base.units import quantity
from llm_serving_planner.cluster import limits
from llm_serving_planner.hardware.profiles import parse_profile
from support.helm import engine, find, in_process, merge, templates
from support.recorded import SMALL, Recorded

Rule = dict[str, Any]


@pytest.fixture
def cluster(tmp_path: Path) -> Recorded:
    return Recorded(tmp_path)


def ranges(cluster: Recorded, *rules: Rule) -> None:
    cluster.change("limitranges", lambda items: items.append({"metadata": {"name": "team"}, "spec": {"limits": rules}}))


def problems(changes: dict[str, Any], *rules: Rule) -> list[limits.Problem]:
    values = merge(SMALL, changes)
    claim = 50 * 2**30 if values.get("storage", {}).get("type", "pvc") == "pvc" else None
    return limits.problems([{"metadata": {"name": "team"}, "spec": {"limits": rules}}], limits.pods(values), claim)


# SMALL asks for 500m CPU and 4Gi to 8Gi of memory, the claim is the chart's 50Gi
CASES: dict[str, tuple[Rule, dict[str, Any], str, str]] = {
    "default below the request": (
        {"type": "Container", "default": {"cpu": "200m"}}, {},
        "LimitRange team puts the cpu limit 0.2 on container engine, below its request of 0.5",
        "set cpu.limit, or another LimitRange",
    ),
    "scratch below the emptyDir": (
        {"type": "Container", "default": {"ephemeral-storage": "1Gi"}}, {"storage": {"type": "emptyDir"}},
        "LimitRange team puts the ephemeral-storage limit 1Gi on container engine, below its request of 50Gi",
        "set storage.ephemeral.limit, or another LimitRange",
    ),
    "memory above the maximum": (
        {"type": "Container", "max": {"memory": "6Gi"}}, {},
        "LimitRange team allows 6Gi of memory; the limit of container engine is 8Gi",
        "set memory.host.limit, or another LimitRange",
    ),
    "no limit where one is demanded": (
        {"type": "Pod", "max": {"cpu": "2"}}, {"test": {"enabled": False}},
        "LimitRange team demands a cpu limit of the engine pod, at most 2; there is none",
        "set cpu.limit, or another LimitRange",
    ),
    "a test below the minimum": (
        {"type": "Container", "min": {"cpu": "100m"}}, {},
        "LimitRange team demands at least 0.1 of cpu; container test has a request of 0.05",
        "set test.enabled=false, or another LimitRange",
    ),
    "no request where one is demanded": (
        {"type": "Pod", "min": {"ephemeral-storage": "1Gi"}}, {"test": {"enabled": False}},
        "LimitRange team demands at least 1Gi of ephemeral-storage; the engine pod has no request",
        "set storage.ephemeral.request, or another LimitRange",
    ),
    "ratio": (
        {"type": "Container", "maxLimitRequestRatio": {"memory": "1500m"}}, {"test": {"enabled": False}},
        "LimitRange team allows memory limits of 1.5 times the request; container engine has 8Gi for 4Gi",
        "set memory.host.limit, or another LimitRange",
    ),
    "ratio of what is not limited": (
        {"type": "Container", "maxLimitRequestRatio": {"cpu": "4"}}, {"test": {"enabled": False}},
        "LimitRange team allows cpu limits of 4 times the request; container engine lacks one of them",
        "set cpu.limit, or another LimitRange",
    ),
    "sum of a pod": (
        {"type": "Pod", "max": {"memory": "9Gi"}},
        {"sidecars": [{"name": "log", "image": "i", "resources": {"limits": {"memory": "2Gi"}}}]},
        "LimitRange team allows 9Gi of memory; the limit of the engine pod is 10Gi",
        "set memory.host.limit, or another LimitRange",
    ),
    "claim above the maximum": (
        {"type": "PersistentVolumeClaim", "max": {"storage": "20Gi"}}, {},
        "LimitRange team allows claims of at most 20Gi; storage.size is 50Gi",
        "another storage.size or storage.type, or a LimitRange that fits the model",
    ),
    "claim below the minimum": (
        {"type": "PersistentVolumeClaim", "min": {"storage": "100Gi"}}, {},
        "LimitRange team allows claims of at least 100Gi; storage.size is 50Gi",
        "another storage.size or storage.type, or a LimitRange that fits the model",
    ),
}  # fmt: skip
NEIGHBOURS: list[tuple[Rule, dict[str, Any]]] = [
    ({"type": "Container", "default": {"cpu": "200m"}}, {"cpu": {"limit": "2"}, "test": {"enabled": False}}),
    ({"type": "Container", "max": {"memory": "8Gi"}}, {}),
    ({"type": "Pod", "max": {"cpu": "2"}}, {"cpu": {"limit": "2"}, "test": {"enabled": False}}),
    ({"type": "Container", "min": {"cpu": "50m"}}, {}),
    ({"type": "Container", "maxLimitRequestRatio": {"memory": "2"}}, {}),
    ({"type": "PersistentVolumeClaim", "max": {"storage": "50Gi"}}, {}),
    ({"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}, {"storage": {"type": "emptyDir"}}),
    ({"type": "Container", "max": {"nvidia.com/gpu": "1"}}, {}),  # quotas are for that: other resources are not judged
]


@pytest.mark.parametrize("case", CASES)
def test_what_a_limit_range_refuses(case: str) -> None:
    rule, changes, text, way_out = CASES[case]
    assert limits.Problem("fail", text, way_out) in problems(changes, rule)


@pytest.mark.parametrize(("rule", "changes"), NEIGHBOURS)
def test_what_it_lets_through(rule: Rule, changes: dict[str, Any]) -> None:
    assert problems(changes, rule) == []


@pytest.mark.parametrize(("most", "code"), [("20Gi", 1), ("50Gi", 0)])
def test_preflight_reads_the_namespaces_limit_ranges(cluster: Recorded, most: str, code: int) -> None:
    ranges(cluster, {"type": "PersistentVolumeClaim", "max": {"storage": most}})
    found = cluster.preflight()
    assert found[0] == code
    assert [finding["status"] for finding in found[1]["limits"]] == ["fail" if code else "ok"]
    assert "get limitranges -n default" in (cluster.folder / "asked").read_text()


def test_a_default_that_changes_how_it_runs_is_a_warning() -> None:
    found = problems(
        {"test": {"enabled": False}}, {"type": "Container", "default": {"cpu": "2", "ephemeral-storage": "5Gi"}}
    )
    assert {problem.status for problem in found} == {"warn"}
    assert [problem.text for problem in found] == [
        "LimitRange team limits container engine to 2 of cpu: it is throttled there",
        "LimitRange team limits container engine to 5Gi of ephemeral-storage: its pod is evicted where home and "
        "temporary files grow beyond",
    ]


def test_defaults_count_for_the_pod_too() -> None:
    rules = {"type": "Container", "default": {"cpu": "4"}}, {"type": "Pod", "max": {"cpu": "2"}}
    told = [problem.text for problem in problems({"test": {"enabled": False}}, *rules)]
    assert "LimitRange team allows 2 of cpu; the limit of the engine pod is 4" in told


def test_limit_ranges_that_may_not_be_read_are_unknown(cluster: Recorded) -> None:
    cluster.forbid("limitranges")
    code, found = cluster.preflight()
    assert (code, found["limits"][0]["status"]) == (0, "unknown")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"storage": {"type": "emptyDir", "size": "9Gi"}},
        {"cpu": {"limit": "3"}},
        {"storage": {"ephemeral": {"request": "1Gi", "limit": "2Gi"}}},
        {"model": {"download": {"mode": "init"}}},
        {"model": {"download": {"mode": "job"}}, "storage": {"accessMode": "ReadWriteMany"}},
        {"prePull": {"enabled": True}},
        {"engine": {"type": "tgis", "version": "1db8cf0"}},
    ],
)
def test_what_is_judged_is_what_the_chart_renders(changes: dict[str, Any]) -> None:
    values = merge(SMALL, changes)
    manifests = in_process(values)
    known = {pod.name: pod for pod in limits.pods(values)}
    spec = templates(manifests)[0]["spec"]
    assert amounts(engine(manifests)) == asked(known["engine"].together[0])
    first = [amounts(one) for one in spec.get("initContainers", [])]
    assert first == [asked(one) for one in known["engine"].first]
    test = find([one for one in manifests if one["kind"] == "Pod"], "Pod")
    assert amounts(test["spec"]["containers"][0]) == asked(known["test"].together[0])
    jobs = {one["metadata"]["name"].rsplit("mistral-llm-serving-", 1)[-1]: one for one in manifests
            if one["kind"] == "Job"}  # fmt: skip
    others = [pod for name, pod in known.items() if name not in {"engine", "test"}]
    assert len(jobs) == len(others)
    for job, pod in zip(jobs.values(), others, strict=True):
        assert amounts(job["spec"]["template"]["spec"]["containers"][0]) == asked(pod.together[0])


def amounts(container: dict[str, Any]) -> tuple[dict[str, float], ...]:
    resources = container["resources"]
    return tuple(
        {name: quantity(value) for name, value in resources.get(kind, {}).items() if name in limits.RESOURCES}
        for kind in ("requests", "limits")
    )


def asked(container: limits.Container) -> tuple[dict[str, float], ...]:
    return container.requests, container.limits


def other_nodes(cluster: Recorded, allocatable: dict[str, str], labels: dict[str, str]) -> None:
    def edit(items: list[Any]) -> None:
        items[0]["status"]["allocatable"].pop("nvidia.com/gpu")
        items[0]["status"]["allocatable"].update(allocatable)
        kept = {key: value for key, value in items[0]["metadata"]["labels"].items() if "nvidia" not in key}
        items[0]["metadata"]["labels"] = {**kept, **labels}

    cluster.change("nodes", edit)


AMD = {"gpu": {"vendor": "amd", "resourceName": "amd.com/gpu", "nodeSelector": {}}}
GAUDI = {"gpu": {"vendor": "gaudi", "resourceName": "habana.ai/gaudi", "nodeSelector": {}, "hugepages": "2376Mi"}}


def test_preflight_counts_amd_gpus_and_asks_for_no_nvidia_driver(cluster: Recorded) -> None:
    other_nodes(cluster, {"amd.com/gpu": "8"}, {"amd.com/gpu.product-name": "AMD_Instinct_MI300X_OAM"})
    code, found = cluster.preflight(merge(AMD, {"gpu": {"nodeSelector": {"amd.com/gpu.product-name": "x"}}}))
    assert code == 1
    assert "amd.com/gpu.product-name=x (they have AMD_Instinct_MI300X_OAM)" in found["gpu nodes"][0]["found"]
    (cluster.folder / "values.yaml").unlink()
    small = {key: value for key, value in SMALL.items() if key != "gpu"}
    (cluster.folder / "values.yaml").write_text(yaml.safe_dump(merge(small, AMD)))
    done = cluster.run("preflight", "-f", "values.yaml", "--release", "m")
    assert done.returncode == 0, done.stdout
    assert "8 x amd.com/gpu" in done.stdout
    assert "driver" not in done.stdout


def test_preflight_asks_for_huge_pages(cluster: Recorded) -> None:
    other_nodes(cluster, {"habana.ai/gaudi": "8"}, {})
    small = {key: value for key, value in SMALL.items() if key != "gpu"}
    (cluster.folder / "values.yaml").write_text(yaml.safe_dump(merge(small, GAUDI)))
    without = cluster.run("preflight", "-f", "values.yaml", "--release", "m")
    assert without.returncode == 1
    assert "2376 MiB of huge pages do not fit on node-1" in without.stdout
    other_nodes_again = {"hugepages-2Mi": "9500Mi"}
    cluster.change("nodes", lambda items: items[0]["status"]["allocatable"].update(other_nodes_again))
    assert cluster.run("preflight", "-f", "values.yaml", "--release", "m").returncode == 0


@pytest.mark.parametrize(
    ("allocatable", "labels", "words", "gpu"),
    [
        ({"amd.com/gpu": "8"}, {"amd.com/gpu.product-name": "AMD_Instinct_MI300X_OAM"}, (), "mi300x"),
        ({"amd.com/gpu": "8"}, {"beta.amd.com/gpu.product-name": "AMD_Instinct_MI210"}, (), "mi210"),
        ({"habana.ai/gaudi": "8"}, {"node.kubernetes.io/instance-type": "dl1.24xlarge"}, (), "gaudi1"),
        ({"habana.ai/gaudi": "8"}, {}, ("--product", "gaudi2"), "gaudi2"),
    ],
)
def test_a_profile_from_nodes_of_other_vendors(
    cluster: Recorded, allocatable: dict[str, str], labels: dict[str, str], words: tuple[str, ...], gpu: str
) -> None:
    other_nodes(cluster, allocatable, labels)
    done = cluster.run("profiles", "--from-cluster", "-o", "gpus.yaml", *words)
    assert done.returncode == 0, done.stderr
    profile = parse_profile(str(cluster.folder / "gpus.yaml"))
    assert (profile.gpu.id, profile.gpus_per_node) == (gpu, 8)


@pytest.mark.parametrize(
    ("allocatable", "labels", "text"),
    [
        ({"habana.ai/gaudi": "8"}, {}, "no label says which Gaudi it is\nhint: name it: --product gaudi1"),
        (
            {"amd.com/gpu": "1"}, {"amd.com/gpu.product-name": "AMD_Radeon_780M"},
            "AMD_Radeon_780M is no AMD GPU that is known here, and no label tells its generation\nhint: describe it",
        ),
    ],
)  # fmt: skip
def test_a_node_that_says_too_little(
    cluster: Recorded, allocatable: dict[str, str], labels: dict[str, str], text: str
) -> None:
    other_nodes(cluster, allocatable, labels)
    done = cluster.run("profiles", "--from-cluster")
    assert done.returncode == 1
    assert text in done.stderr
