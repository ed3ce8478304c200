"""The chart's facts in the package against what the chart renders, and what machineset and preflight make of them."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from derived.chart_facts import Renderer
from llm_serving_planner.base.documents import load_values
from llm_serving_planner.cli.main import main
from llm_serving_planner.cluster import checks, limits
from llm_serving_planner.cluster.wanted import wanted
from llm_serving_planner.nodes.workload import read_workload
from llm_serving_planner.output import chart
from support.helm import ROOT, merge

MODEL = {"model": {"id": "org/model"}}
SHARED = {"storage": {"accessMode": "ReadWriteMany"}}
GROUP = merge(SHARED, {
    "parallelism": {"pipeline": 2, "nodes": 2, "controller": "leaderworkerset"}, "networkPolicy": {"enabled": True},
})  # fmt: skip
FILES = [
    *sorted((ROOT / "charts" / "llm-serving" / "ci").glob("*-values.yaml")),
    *(path for path in sorted((ROOT / "values").glob("*.yaml")) if path.name != "catalog.yaml"),
]
RELEASES = ("m", "my.model", "my-llm-serving", "r" * 53, "a.b.c", "llm-serving", "llm-serving-a", "r" * 42, "r" * 43,
            f"{'r' * 41}-x", "r" * 30 + "." + "s" * 22, f"{'a' * 34}-{'b' * 18}")  # fmt: skip
OVERRIDES: tuple[dict[str, Any], ...] = (
    {}, {"nameOverride": "x"}, {"nameOverride": "m"}, {"nameOverride": "n" * 63}, {"nameOverride": f"{'n' * 49}-o"},
    {"nameOverride": f"{'n' * 49}.o"}, {"nameOverride": "a.b"}, {"fullnameOverride": "a-b"},
    {"fullnameOverride": "a.b"},
    {"fullnameOverride": "f" * 63}, {"fullnameOverride": f"{'f' * 52}-g"}, {"fullnameOverride": f"{'f' * 52}.g"},
    {"fullnameOverride": f"{'f' * 34}-{'g' * 20}"}, {"nameOverride": "x", "fullnameOverride": "y"},
)  # fmt: skip


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(ROOT / "charts" / "llm-serving")


def rendered(renderer: Renderer, values: dict[str, Any], release: str) -> set[tuple[str, str, str]]:
    return {(one["kind"], one["apiVersion"], one["metadata"]["name"]) for one in renderer.objects(values, release)}


@pytest.mark.parametrize("override", OVERRIDES, ids=str)
def test_names_are_those_that_the_chart_gives(renderer: Renderer, override: dict[str, Any]) -> None:
    """Long, dotted, ending with a dash where they are cut, holding the chart's name: alone and in groups."""
    for release in RELEASES if not override else RELEASES[:4]:
        values = merge(MODEL, override)
        full = chart.full_name(values, release)
        assert ("Service", "v1", full) in rendered(renderer, values, release), release
        assert wanted(values, release, "llm").fullname == full
        group = {(kind, name) for kind, _, name in rendered(renderer, merge(GROUP, values), release)}
        assert ("LeaderWorkerSet", f"{chart.group_name(full)}-group") in group, release


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_a_release_makes_is_what_the_chart_renders(renderer: Renderer, path: Path) -> None:
    values, release = load_values(path), "r" * 53
    objects = rendered(renderer, values, release)
    extra = len(values.get("extraObjects") or [])
    made = chart.made(values, release)

    def is_one(one: tuple[str, str, str], kind: chart.Made) -> bool:
        return one[:2] == (kind.kind, kind.api) and kind.name.fullmatch(one[2]) is not None

    unknown = [one for one in objects if not any(is_one(one, kind) for kind in made)]
    assert len(unknown) == extra, unknown
    assert not [kind for kind in made if not any(is_one(one, kind) for one in objects)]


def test_a_key_that_the_chart_lacks_is_an_error_of_ours() -> None:
    with pytest.raises(KeyError):
        chart.pick({}, "storage.sise")
    assert chart.pick({"storage": {"size": None}}, "storage.size") == chart.pick({}, "storage.size")


class Cluster:
    """A client that lists the given objects, whatever is asked."""

    def __init__(self, *items: dict[str, Any]) -> None:
        self.found = list(items)
        self.asked: list[str] = []

    def api_versions(self) -> set[str]:
        return {"v1", "apps/v1", "batch/v1", "networking.k8s.io/v1"}

    def items(self, kinds: str, namespace: str | None = None, **_: Any) -> list[dict[str, Any]]:
        self.asked += kinds.split(",")
        return self.found


def names(values: dict[str, Any], *items: tuple[str, str, dict[str, Any]], release: str = "m") -> checks.Finding:
    objects = [{"kind": kind, "metadata": {"name": name, **meta}} for kind, name, meta in items]
    (finding,) = checks._names(Cluster(*objects), wanted(merge(MODEL, values), release, "llm"))  # type: ignore[arg-type]
    return finding


@pytest.mark.parametrize(
    ("values", "kind", "suffix"),
    [
        ({}, "Service", ""),
        ({}, "PersistentVolumeClaim", "-models"),
        ({}, "ConfigMap", "-test-api"),
        ({"plan": {"profile": "2xt4"}}, "ConfigMap", "-plan"),
        ({"model": {"download": {"mode": "init"}}}, "ConfigMap", "-download"),
        ({"model": {"download": {"mode": "job"}}}, "Job", "-dl-1a2b3"),
        ({"engine": {"lora": {"adapters": [{"name": "a", "id": "o/a"}]}}}, "ConfigMap", "-download"),
        ({"engine": {"chatTemplate": {"text": "x"}}}, "ConfigMap", "-template-1a2b3"),
        ({"monitoring": {"dashboard": {"enabled": True}}}, "ConfigMap", "-board"),
        ({"prePull": {"enabled": True}}, "Job", "-prepull"),
        ({"parallelism": {"controller": "statefulset"}, "replicas": 2}, "StatefulSet", "-1"),
        ({"networkPolicy": {"enabled": True}}, "NetworkPolicy", "-api"),
    ],
)
def test_preflight_finds_every_name_that_is_taken(values: dict[str, Any], kind: str, suffix: str) -> None:
    name = f"m-llm-serving{suffix}"
    taken = names(values, (kind, name, {}))
    assert (taken.status, taken.found) == ("fail", f"{kind}/{name} exist and are not of release m")
    own = {"annotations": {"meta.helm.sh/release-name": "m", "meta.helm.sh/release-namespace": "llm"}}
    assert names(values, (kind, name, own)).status == "ok"
    assert names(values, ("Secret", name, {})).status == "ok"


def test_preflight_lets_be_what_the_release_does_not_make() -> None:
    assert names({}, ("ConfigMap", "m-llm-serving-download", {})).status == "ok"
    assert names({}, ("StatefulSet", "m-llm-serving-0", {})).status == "ok"
    assert names({"test": {"enabled": False}}, ("Pod", "m-llm-serving-test-api", {})).status == "ok"
    account = {"serviceAccount": {"name": "team"}}
    assert names(account, ("ServiceAccount", "m-llm-serving", {})).status == "ok"
    assert names(account, ("ServiceAccount", "team", {})).status == "fail"


def test_a_hooks_leftovers_are_the_releases_own() -> None:
    """Helm writes no release on what a hook makes: a failed `helm test` leaves such a pod."""
    left = {"labels": {"app.kubernetes.io/instance": "m"}}
    assert names({}, ("Pod", "m-llm-serving-test-api", left)).status == "ok"
    assert names({}, ("Service", "m-llm-serving", left)).status == "fail"


def test_preflight_asks_only_for_kinds_that_the_cluster_serves() -> None:
    cluster = Cluster()
    values = merge(MODEL, {"monitoring": {"podMonitor": {"enabled": True}}, "networkPolicy": {"enabled": True}})
    checks._names(cluster, wanted(values, "m", "llm"))  # type: ignore[arg-type]
    assert cluster.asked == sorted(cluster.asked)
    assert "networkpolicies.v1.networking.k8s.io" in cluster.asked
    assert not any("coreos" in kind for kind in cluster.asked)


# What machineset and preflight read of a file, with a value that is not the chart's default.
READ: dict[str, Any] = {
    "replicas": 2, "cpu.request": "6", "memory.host.request": "20Gi", "memory.host.limit": "30Gi",
    "storage.size": "9Gi",
    "storage.type": "emptyDir", "parallelism.gpusPerNode": 2, "gpu.resourceName": "amd.com/gpu",
    "rollout.mode": "surge",
    "storage.accessMode": "ReadWriteMany", "platform": "openshift", "engine.type": "tgi", "auth.apiKey.key": "k",
    "parallelism.controller": "statefulset", "test.enabled": False,
}  # fmt: skip
WHOLE: dict[str, Any] = {"plan": {"profile": "1xa10g"}, "auth": {"apiKey": {"existingSecret": "s"}}, **MODEL}


def with_key(path: str, value: Any) -> dict[str, Any]:
    *parents, last = path.split(".")
    node: dict[str, Any] = {last: value}
    for part in reversed(parents):
        node = {part: node}
    return merge(WHOLE, node)


@pytest.mark.parametrize("path", READ)
def test_a_missing_key_is_the_charts_default(tmp_path: Path, path: str) -> None:
    """A file without the key is read as the same file with the chart's default, by machineset and by preflight."""
    default: Any = load_values(ROOT / "charts" / "llm-serving" / "values.yaml")
    for part in path.split("."):
        default = default[part]
    assert default != READ[path]
    file = tmp_path / "v.yaml"
    read = []
    for values in (WHOLE, with_key(path, default), with_key(path, READ[path])):
        file.write_text(yaml.safe_dump(values))
        asked = wanted(values, "m", "llm")
        fields = {name: getattr(asked, name) for name in asked.__slots__ if name != "values"}
        read.append((read_workload(file), fields, limits.pods(values)))
    assert read[0] == read[1]
    assert read[0] != read[2]


def test_an_empty_dir_of_the_charts_size_lies_on_the_root_volume(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "p.yaml"
    words = ["machineset", "--values", str(file), "--form", "eksctl", "--cluster-name", "c", "--region", "us-east-1"]
    for storage in ({"type": "emptyDir"}, {"type": "emptyDir", "size": "50Gi"}):
        file.write_text(yaml.safe_dump({**MODEL, "plan": {"profile": "1xa10g"}, "storage": storage}))
        assert main(words) == 0
        shown = capsys.readouterr()
        assert "root volume 150 GiB (assumption)" in shown.out + shown.err
        assert "50 GiB of storage.type emptyDir lie on it" in shown.out + shown.err
        (group,) = yaml.safe_load(shown.out)["managedNodeGroups"]
        assert group["volumeSize"] == 150
