"""Upgrades never touch what Kubernetes refuses to change, and two releases or subcharts never meet."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.helm import CHART, RefusedError, in_process, merge
from support.laws import NIGHTLY
from support.subcharts import parent_chart, render_parent

CI_FILES = sorted((CHART / "ci").glob("*-values.yaml"))
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
BASE = {"model": {"id": "org/model"}}
# Values that name objects, or that a claim takes once and for all (see docs/operations.md, Upgrades).
IDENTITY = {
    "nameOverride",
    "fullnameOverride",
    "storage.size",
    "storage.accessMode",
    "storage.storageClass",
    "storage.volumeName",
}
CLAIMED = "storage.type"  # fixed too where claims are the controller's own (perReplica)
# Another value of the same kind, where one can be made up from the key's type.
OTHER: dict[str, Any] = {
    "model.id": "org/other", "model.source": {"type": "pvc", "claim": "c", "path": "m"}, "engine.version": "0.31.0",
    "engine.image.digest": "sha256:" + "a" * 64, "engine.image.pullPolicy": "Always", "engine.command": ["x"],
    "engine.args": {"x": 1}, "engine.extraArgs": ["--y"], "engine.env": {"A": "b"},
    "engine.extraEnv": [{"name": "A", "value": "b"}], "cpu.request": "2", "cpu.limit": "8",
    "memory.sharedMemory": "1Gi", "memory.host": {"request": "13Gi", "limit": "25Gi"}, "storage.type": "emptyDir",
    "storage.scratch": "1Gi", "storage.ephemeral": {"request": "60Gi", "limit": "99Gi"}, "rollout.mode": "surge",
    "service.type": "NodePort", "podLabels": {"team": "b"}, "podAnnotations": {"a": "b"}, "nodeSelector": {"a": "b"},
    "tolerations": [{"operator": "Exists"}], "gpu.resourceName": "amd.com/gpu", "gpu.nodeSelector": {"a": "b"},
    "gpu.supplementalGroups": [44], "gpu.hugepages": "2Gi", "parallelism.data": {"data": 2, "gpusPerNode": 2},
    "parallelism.apiServers": {"data": 2, "gpusPerNode": 2, "apiServers": 2},
    "parallelism.expert": {"tensor": 2, "gpusPerNode": 2, "expert": True},
    "affinity": {"nodeAffinity": {}}, "platform": "openshift", "auth.rotation": "2", "tls.existingSecret": "other",
    "parallelism.tensor": {"tensor": 4, "gpusPerNode": 4}, "model.download": {"mode": "init", "verify": False},
    "initContainers": [{"name": "a", "image": "i"}], "sidecars": [{"name": "b", "image": "i"}],
    "lifecycle": {"preStop": {"exec": {"command": ["x"]}}}, "extraVolumes": [{"name": "x", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "x", "mountPath": "/x"}], "imagePullSecrets": [{"name": "p"}],
    "engine.lora.maxRank": 64, "engine.chatTemplate.file": "/templates/x.jinja",
    "network.ipFamily": "IPv6", "service.ipFamilyPolicy": "PreferDualStack", "service.internalTrafficPolicy": "Local",
    "service.sessionAffinity": "ClientIP", "service.nodePort": {"type": "NodePort", "nodePort": 30080},
    "service.externalTrafficPolicy": {"type": "NodePort", "externalTrafficPolicy": "Local"},
    "dnsPolicy": "Default", "monitoring.tracing.endpoint": "http://otel:4317", "engine.lora.dynamic": True,
    "prePull": {"enabled": True, "nodes": 2}, "plan": {"summary": "other"}, "test.enabled": False,
}  # fmt: skip


def leaves(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def nest(path: str, value: Any) -> dict[str, Any]:
    for part in reversed(path.split(".")):
        value = {part: value}
    return {str(key): inner for key, inner in value.items()}


def changes() -> dict[str, dict[str, Any]]:
    """One change for each key: made up from its type, or the one of OTHER."""
    found: dict[str, dict[str, Any]] = {}
    for path, value in leaves(VALUES):
        if isinstance(value, bool):
            found[path] = nest(path, not value)
        elif isinstance(value, int):
            found[path] = nest(path, value + 1)
        elif isinstance(value, str):
            found[path] = nest(path, f"{value}x")
    for path, value in OTHER.items():
        beside = isinstance(value, dict) and path.startswith(("parallelism.", "service."))
        whole = path.rpartition(".")[0] if path.startswith("parallelism.") or beside else path
        found[path] = nest(whole, value)
    return {path: change for path, change in found.items() if path not in IDENTITY}


CHANGES = changes()


def immutable(manifest: dict[str, Any]) -> Any:
    """The part of an object that its API server refuses to change."""
    spec = manifest.get("spec", {})
    kind = manifest["kind"]
    if "helm.sh/hook" in manifest["metadata"].get("annotations", {}):
        return None  # deleted and made anew
    if kind == "Deployment":
        return spec["selector"]
    if kind == "StatefulSet":
        free = {"replicas", "template", "updateStrategy", "persistentVolumeClaimRetentionPolicy", "minReadySeconds"}
        return {key: value for key, value in spec.items() if key not in {*free, "ordinals", "revisionHistoryLimit"}}
    if kind == "PersistentVolumeClaim":
        return spec
    if kind == "LeaderWorkerSet":  # LeaderWorkerSet 0.9.0: its webhook, and the StatefulSets that it makes
        template = spec["leaderWorkerTemplate"]
        return [template.get("subGroupPolicy"), template.get("volumeClaimTemplates"), spec.get("networkConfig")]
    if kind == "Job":
        return {key: spec.get(key) for key in ("template", "completions", "selector", "podFailurePolicy")}
    if kind == "Service":
        return spec.get("clusterIP")
    return None


def objects(manifests: list[dict[str, Any]]) -> dict[tuple[str, str], Any]:
    return {(entry["kind"], entry["metadata"]["name"]): immutable(entry) for entry in manifests}


def parts(keys: list[str], refusal: RefusedError) -> tuple[list[str], list[str]]:
    """Keys that the refusal does not name and those that it does; halves where that tells nothing apart."""
    text = f"{refusal}".replace("/", ".")  # the schema writes /a/b
    named = [key for key in keys if re.search(rf"(?<![\w.]){re.escape(key)}(?![\w.]*\w)|\.{re.escape(key)}\'", text)]
    if 0 < len(named) < len(keys):
        return [key for key in keys if key not in named], named
    return keys[::2], keys[1::2]


def accepted(values: dict[str, Any], keys: list[str]) -> Iterator[tuple[list[str], list[dict[str, Any]]]]:
    """Render many changes at once, in parts where they are refused: which, and the objects."""
    together = values
    for key in keys:
        together = merge(together, CHANGES[key])
    try:
        yield keys, in_process(together)
    except RefusedError as refusal:
        if len(keys) > 1:
            for part in parts(keys, refusal):
                yield from accepted(values, part)


def taken(together: dict[str, Any], keys: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Values with as many of the changes as are taken beside each other, and which: parts of what is refused."""
    tried = together
    for key in keys:
        tried = merge(tried, CHANGES[key])
    try:
        in_process(tried)
    except RefusedError as refusal:
        found: list[str] = []
        for part in parts(keys, refusal) if len(keys) > 1 else ():
            together, more = taken(together, part)
            found += more
        return together, found
    return tried, keys


@cache
def batches() -> list[list[str]]:
    """Changes that the defaults take in one; other files take most of them in one, too."""
    found: list[list[str]] = []
    left = list(CHANGES)
    while left:
        batch = taken(BASE, left)[1]
        if not batch:  # what is left needs another key beside it
            break
        found.append(batch)
        left = [key for key in left if key not in batch]
    return found


@pytest.mark.parametrize("path", CI_FILES, ids=lambda path: path.stem)
def test_no_change_of_values_touches_an_immutable_field(path: Path) -> None:
    """Every change at night; else every change of the default file, and of each other file every eighth."""
    values = yaml.safe_load(path.read_text())
    step = 1 if NIGHTLY or path.stem == "default-values" else 8
    first = CI_FILES.index(path) % step  # other ones in each file
    before = objects(in_process(values))
    claimed = values.get("storage", {}).get("type") == "perReplica"
    known = {key for batch in batches() for key in batch}
    more = [key for key in CHANGES if key not in known and key.split(".")[0] in values]
    rendered = 0
    for batch in [*batches(), more]:
        chosen = [key for key in batch if not (claimed and key == CLAIMED)][first::step]
        for keys, manifests in accepted(values, chosen):
            rendered += len(keys)
            after = objects(manifests)
            for name in set(before) & set(after):
                assert after[name] == before[name], (name, keys)
    assert rendered >= 50 // step


def test_most_keys_are_changed_everywhere() -> None:
    """A change that is refused would prove nothing; what the defaults refuse alone needs another key beside it."""
    assert sum(len(batch) for batch in batches()) >= len(CHANGES) * 2 // 3


def test_what_the_documents_call_fixed_is_what_a_claim_fixes() -> None:
    page = (CHART.parent.parent / "docs" / "operations.md").read_text()
    for path in {*IDENTITY, CLAIMED}:
        assert f"`{path}`" in page, path
    before = objects(in_process(BASE))
    after = objects(in_process(merge(BASE, {"storage": {"storageClass": "other"}})))
    claim = ("PersistentVolumeClaim", "mistral-llm-serving-models")
    assert before[claim] != after[claim]


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """A chart with this one in it twice, under two names."""
    return parent_chart(tmp_path)


@pytest.mark.parametrize("release", ["apps", "chat-embed"])
@pytest.mark.parametrize("controller", ["deployment", "statefulset", "leaderworkerset"])
def test_two_engines_in_one_release_never_meet(parent: Path, release: str, controller: str) -> None:
    nodes = {"nodes": 2, "pipeline": 2} if controller != "deployment" else {}
    one = {
        "model": {"id": "org/a", "download": {"mode": "init"}},
        "storage": {"type": "pvc", "accessMode": "ReadWriteMany"},
        "parallelism": {"controller": controller, **nodes},
        "prePull": {"enabled": True},
        "expose": {"ingress": {"enabled": True}, "route": {"enabled": True, "termination": "edge"}},
        "plan": {"summary": "x"},
    }
    manifests = render_parent(parent, {"chat": one, "embed": merge(one, {"model": {"id": "org/b"}})}, release)
    names = [(entry["kind"], entry["metadata"]["name"]) for entry in manifests]
    assert len(names) == len(set(names))
    assert all(len(name) <= 63 for _, name in names)
    selectors = [entry["spec"]["selector"] for entry in manifests if entry["kind"] == "Service"]
    apart = {selector["app.kubernetes.io/name"] for selector in selectors}
    assert apart == {"chat", "embed"}
    for entry in manifests:
        if entry["kind"] in {"Deployment", "StatefulSet"}:
            labels = entry["spec"]["template"]["metadata"]["labels"]
            assert entry["spec"]["selector"]["matchLabels"].items() <= labels.items()
            matching = {
                selector["app.kubernetes.io/name"] for selector in selectors if selector.items() <= labels.items()
            }
            assert len(matching) <= 1


def test_an_engine_beside_another_is_what_it_is_alone(parent: Path) -> None:
    """Nothing that one alias knows of itself is seen by the other, whichever is rendered first."""
    group = {
        "model": {"id": "org/a"},
        "parallelism": {"nodes": 2, "pipeline": 2, "controller": "statefulset"},
        "storage": {"type": "emptyDir"},
        "tls": {"existingSecret": "t"},
    }
    other = {"model": {"id": "org/b", "download": {"mode": "init"}}, "engine": {"type": "tgis", "version": "1db8cf0"}}
    for chat, embed in ((group, other), (other, group)):
        beside = render_parent(parent, {"chat": chat, "embed": embed}, "apps")
        alone = [
            manifest
            for left_out in ("embed", "chat")
            for manifest in render_parent(
                parent, merge({"chat": chat, "embed": embed}, {left_out: {"enabled": False}}), "apps"
            )
        ]
        assert sorted(beside, key=str) == sorted(alone, key=str)


def test_a_parents_condition_leaves_an_engine_out(parent: Path) -> None:
    values = {"chat": BASE, "embed": {"enabled": False, **BASE}}
    assert {
        entry["metadata"]["labels"]["app.kubernetes.io/name"] for entry in render_parent(parent, values, "apps")
    } == {"chat"}


def refused_by_the_guard(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[str]:
    """What the guard's Job, which runs before the upgrade, says of the live objects."""
    from supervisor import release

    live = {(entry["kind"], entry["metadata"]["name"]): entry for entry in before}
    jobs = [entry for entry in after if entry["kind"] == "Job" and entry["metadata"]["name"].endswith("-guard")]
    wanted = [
        one
        for job in jobs
        for variable in job["spec"]["template"]["spec"]["containers"][0]["env"]
        if variable["name"] == "EXPECTED"
        for one in json.loads(variable["value"])
    ]
    return [
        text
        for one in wanted
        if (one["kind"], one["name"]) in live
        for text in release.problems(one, live[one["kind"], one["name"]])
    ]


@cache
def of_file(path: Path) -> list[dict[str, Any]]:
    """What a ci file renders; nobody changes it."""
    return in_process(yaml.safe_load(path.read_text()))


def fixed_changes(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Objects of both of which an upgrade would change what never changes."""
    now, then = objects(before), objects(after)
    return sorted(name for name in set(now) & set(then) if now[name] != then[name])


@pytest.mark.parametrize("path", CI_FILES, ids=lambda path: path.stem)
def test_an_upgrade_from_any_file_to_any_other_touches_nothing_fixed_or_is_refused(path: Path) -> None:
    for other in CI_FILES:
        changed = fixed_changes(of_file(path), of_file(other))
        if changed:
            assert refused_by_the_guard(of_file(path), of_file(other)), f"to {other.stem}: {changed}"


def test_the_guard_is_asked_about_some_of_these_upgrades() -> None:
    """Else the law above would hold of nothing; and without the guard it does not hold."""
    pairs = [(one, other) for one in CI_FILES for other in CI_FILES if fixed_changes(of_file(one), of_file(other))]
    assert len(pairs) > 10
    one, other = pairs[0]
    bare = [entry for entry in of_file(other) if not entry["metadata"]["name"].endswith("-guard")]
    assert refused_by_the_guard(of_file(one), bare) == []
