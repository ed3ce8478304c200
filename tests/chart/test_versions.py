"""What every values file renders, on every Kubernetes from Chart.yaml's oldest to the newest whose schemas are known.

The schemas are those of kubernetes-validate (Kubernetes' own OpenAPI per minor version, strict: no unknown field). An
API that a version does not serve, or serves no longer, has no schema there. The kinds of operators come with the
operator, not with Kubernetes: of those the pods inside are checked here, the rest by tests/chart/test_render.py.
"""

import json
import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from support.helm import CHART, VALUES_FILES, RefusedError, in_process, templates
from support.kube_schemas import NEWEST, NotServedError, fingerprint, folder, validate

BUILT_IN = {
    "v1", "apps/v1", "batch/v1", "autoscaling/v2", "networking.k8s.io/v1", "policy/v1", "rbac.authorization.k8s.io/v1",
    "resource.k8s.io/v1",
}  # fmt: skip
OPERATORS = {
    "leaderworkerset.x-k8s.io/v1", "ray.io/v1", "keda.sh/v1alpha1", "monitoring.coreos.com/v1",
    "gateway.networking.k8s.io/v1", "route.openshift.io/v1", "inference.networking.k8s.io/v1",
}  # fmt: skip
# Features that came with a version; the chart refuses them before it, in these words.
NEEDS = {
    "tls-route-values": ("1.29", "native sidecars are on from 1.29"),
    "oci-model-values": ("1.31", "image volumes came with 1.31"),
    "operations-group-values": ("1.34", "does not serve resource.k8s.io/v1, which begins with 1.34"),
}
# matchLabelKeys of pod affinity: unknown before 1.29, on from 1.31. Without it the members of all groups keep apart,
# not only those of one: more than asked for (kubernetes.io/docs/concepts/scheduling-eviction, 2026-11-25).
DROPPED = {"1.28": "matchLabelKeys"}


def minor(version: str) -> tuple[int, int]:
    """The two numbers of a version."""
    first, second = version.split(".")[:2]
    return int(first), int(second)


def supported() -> list[str]:
    """Minor versions from the chart's oldest to the newest that has schemas."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    (oldest,) = re.findall(r">=(\d+\.\d+)", chart["kubeVersion"])
    assert minor(oldest)[0] == minor(NEWEST)[0] == 1
    return [f"1.{number}" for number in range(minor(oldest)[1], minor(NEWEST)[1] + 1)]


VERSIONS = supported()


def without(node: Any, key: str) -> Any:
    """A copy without a key, at any depth."""
    if isinstance(node, dict):
        return {name: without(child, key) for name, child in node.items() if name != key}
    return [without(child, key) for child in node] if isinstance(node, list) else node


def parts(manifest: dict[str, Any], version: str) -> list[dict[str, Any]]:
    """What Kubernetes itself knows of an object: the object, or the pods inside an operator's."""
    if manifest["apiVersion"] in BUILT_IN:
        return [manifest]
    assert manifest["apiVersion"] in OPERATORS, f"nobody knows {manifest['apiVersion']}"
    pods = [{"apiVersion": "v1", "kind": "Pod", **template} for template in templates([manifest])]
    return [without(pod, DROPPED[version]) if version in DROPPED else pod for pod in pods]


def test_schemas_are_there_for_every_version() -> None:
    assert VERSIONS[0] == "1.28"
    assert len(VERSIONS) >= 10
    assert all(folder(version).is_dir() for version in VERSIONS)


@cache
def changes(kind: str, api: str, oldest: str) -> list[str]:
    """The oldest version, and each whose schema of the kind is not that of the version before."""
    versions = VERSIONS[VERSIONS.index(oldest) :]
    different = [
        later for one, later in pairwise(versions) if fingerprint(one, kind, api) != fingerprint(later, kind, api)
    ]
    return [oldest, *different]


@cache
def judge(part: str, version: str) -> None:
    """Once for what several files render alike."""
    validate(json.loads(part), version)


@pytest.mark.parametrize("path", VALUES_FILES, ids=lambda path: path.stem)
def test_every_object_is_valid_on_every_kubernetes(path: Path) -> None:
    oldest = NEEDS.get(path.stem, (VERSIONS[0], ""))[0]  # before it the chart refuses the file, as is tested below
    manifests = in_process(yaml.safe_load(path.read_text()))
    assert len(manifests) >= 4
    for manifest in manifests:
        kind = manifest["kind"] if manifest["apiVersion"] in BUILT_IN else "Pod"
        api = manifest["apiVersion"] if manifest["apiVersion"] in BUILT_IN else "v1"
        for version in changes(kind, api, oldest):
            for part in parts(manifest, version):
                judge(json.dumps(part, sort_keys=True), version)


@pytest.mark.parametrize("version", VERSIONS)
def test_features_of_newer_versions_are_refused_before_them(version: str) -> None:
    for path in [path for path in VALUES_FILES if path.stem in {*NEEDS, "default-values"}]:
        values, needs = yaml.safe_load(path.read_text()), NEEDS.get(path.stem)
        kube = f"v{version}.0"
        if needs and minor(version) < minor(needs[0]):
            with pytest.raises(RefusedError, match=re.escape(needs[1])):
                in_process(values, kube=kube)
        else:
            assert in_process(values, kube=kube), path.stem


def test_an_api_that_is_gone_or_a_field_that_came_later_is_noticed() -> None:
    """The check itself is seen to fail."""
    budget = {"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget", "metadata": {"name": "x"}}
    with pytest.raises(NotServedError):
        validate(budget, VERSIONS[0])
    volume = {"name": "model", "image": {"reference": "x"}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}
    late = {**pod, "spec": {"containers": [{"name": "x"}], "volumes": [volume]}}
    validate(late, "1.31")
    with pytest.raises(jsonschema.ValidationError, match="'image' was unexpected"):
        validate(late, "1.30")
