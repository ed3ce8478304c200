"""Every committed values file before a real API server: server-side dry run, Pod Security restricted, no deprecation.

A dry run of a Deployment says nothing of its pods, which Pod Security judges when the controller makes them: so each
pod template is sent as a pod as well. The verdict must be that of tests/support/pod_rules.py, which knows the rules
offline.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.conftest import made_namespace
from cluster.needs import kubectl
from pytest_helm_charts.clusters import Cluster
from support.helm import VALUES_FILES, in_process, templates
from support.pod_rules import containers, restricted


def chosen(values: dict[str, Any]) -> bool:
    """Whether the values ask for what restricted forbids, as docs/security.md says: root, or memory locked for RDMA."""
    root = values.get("security", {}).get("allowRoot", False)
    return bool(root or values.get("network", {}).get("rdma", {}).get("enabled", False))


@pytest.fixture(scope="module")
def strict(kube_cluster: Cluster) -> Iterator[str]:
    """One namespace for all dry runs: nothing is ever made in it."""
    with made_namespace(kube_cluster.kube_client, "restricted") as name:
        yield name


def dry_run(namespace: str, objects: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    """What the API server would say; a warning, such as of an API that is deprecated, is a failure."""
    command = ["kubectl", "apply", "--server-side", "--dry-run=server", "--warnings-as-errors"]
    command += ["--namespace", namespace, "--filename", "-"]
    return subprocess.run(command, input=yaml.safe_dump_all(objects), capture_output=True, text=True, check=False)


def as_pods(manifests: list[dict[str, Any]], namespace: str) -> list[dict[str, Any]]:
    """Pods as controllers make them, volumes of claim templates included.

    Their service account is there only after a real install: they get the namespace's default.
    """
    found = [*templates(manifests), *(m["spec"]["template"] for m in manifests if m["kind"] == "Job")]
    pods = []
    for number, template in enumerate(found):
        spec = {**template["spec"], "serviceAccountName": "default"}
        mounted = {mount["name"] for container in containers(spec) for mount in container.get("volumeMounts", [])}
        claimed = mounted - {volume["name"] for volume in spec["volumes"]}
        claims = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in sorted(claimed)]
        spec["volumes"] = [*spec["volumes"], *claims]
        metadata = {"name": f"pod-{number}", "namespace": namespace, "labels": template["metadata"].get("labels", {})}
        pods.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    return pods


@pytest.fixture(scope="module")
def served() -> set[str]:
    """Group and version of every API that the cluster has."""
    return set(subprocess.run(["kubectl", "api-versions"], capture_output=True, text=True, check=True).stdout.split())


@contextmanager
def runtime_class(name: str | None) -> Iterator[None]:
    """The RuntimeClass that a GPU operator would have made: pods that name one that is missing are refused."""
    if name is None or kubectl("get", "runtimeclass", name).returncode == 0:
        yield
        return
    made = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name}, "handler": name}
    done = kubectl("create", "--filename=-", given=json.dumps(made))
    assert done.returncode == 0, done.stderr
    try:
        yield
    finally:
        kubectl("delete", "runtimeclass", name)


@pytest.mark.parametrize("path", VALUES_FILES, ids=lambda path: path.stem)
def test_a_namespace_that_enforces_restricted(strict: str, served: set[str], path: Path) -> None:
    values = yaml.safe_load(path.read_text())
    manifests = in_process(values, namespace=strict, kube="v1.35.0")
    known = [entry for entry in manifests if entry["apiVersion"] in served and entry["kind"] != "Pod"]
    pods = as_pods(manifests, strict)
    assert pods
    assert len(known) >= 4
    refused = [pod["metadata"]["name"] for pod in pods if restricted(pod["spec"])]
    with runtime_class(values.get("runtimeClassName")):
        done = dry_run(strict, known + pods)
    assert done.stdout.count("serverside-applied") == len(known) + len(pods) - len(refused), done.stderr
    for name in refused:
        assert f'pods "{name}" is forbidden: violates PodSecurity "restricted:latest"' in done.stderr
    assert "deprecated" not in done.stderr
    assert bool(refused) == chosen(values)
    assert refused or done.returncode == 0, done.stderr
