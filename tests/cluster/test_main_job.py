"""The README's example with a stand-in engine: install, test, upgrade with all GPUs in use, uninstall."""

import time
from typing import Any

import pytest
from cluster.conftest import STANDIN, Release, open_claim
from pykube import Pod
from pytest_helm_charts.clusters import Cluster
from support.helm import merge

FULLNAME = "mistral-llm-serving"


def engine_pods(cluster: Cluster, namespace: str) -> list[Any]:
    selector = {"app.kubernetes.io/instance": "mistral", "app.kubernetes.io/component": "engine"}
    return list(Pod.objects(cluster.kube_client).filter(namespace=namespace, selector=selector))


def left_behind(cluster: Cluster, namespace: str) -> set[str]:
    """What stays once the pods have had their time to stop (Helm does not wait for them)."""
    deadline = time.monotonic() + 60
    while engine_pods(cluster, namespace) and time.monotonic() < deadline:
        time.sleep(1)
    return names(cluster, namespace)


def names(cluster: Cluster, namespace: str) -> set[str]:
    """Everything that is in the namespace but what Kubernetes itself puts there."""
    kinds = "deployments,replicasets,pods,services,configmaps,secrets,serviceaccounts,persistentvolumeclaims"
    found = cluster.kubectl(f"get {kinds}", namespace=namespace, output_format="json")
    items = found["items"] if isinstance(found, dict) else found
    return {f"{item['kind']}/{item['metadata']['name']}" for item in items} - {
        "ConfigMap/kube-root-ca.crt",
        "ServiceAccount/default",
    }


@pytest.mark.smoke
def test_install_test_upgrade_uninstall(
    kube_cluster: Cluster, namespace: str, helm: str, mistral: dict[str, Any]
) -> None:
    release = Release(helm, "mistral", namespace)
    open_claim(kube_cluster, namespace, "mistral")
    release.apply(mistral, STANDIN)
    (pod,) = engine_pods(kube_cluster, namespace)
    assert pod.ready
    assert pod.obj["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "2"
    printed = release.test()
    assert "chunks, then [DONE]" in printed
    assert "mistral-7b-instruct-v0.2" in printed

    longer = merge(STANDIN, {"engine": {"args": {"max-model-len": 1048576}}})
    release.apply(mistral, longer)
    assert release.revision() == 2
    (after,) = engine_pods(kube_cluster, namespace)
    assert after.name != pod.name
    assert after.ready
    assert "max_model_len 1048576" in after.logs()

    release.uninstall()
    assert left_behind(kube_cluster, namespace) == {f"PersistentVolumeClaim/{FULLNAME}-models"}


def test_openshift_ids_are_left_to_the_platform(
    kube_cluster: Cluster, namespace: str, helm: str, mistral: dict[str, Any]
) -> None:
    """A user id from a namespace's range, as the security context constraints would choose it."""
    release = Release(helm, "mistral", namespace)
    changes = {"storage": {"type": "emptyDir"}, "security": {"runAsUser": 1000730000, "fsGroup": 1000730000}}
    release.apply(mistral, STANDIN, changes)
    (pod,) = engine_pods(kube_cluster, namespace)
    assert pod.ready
    assert pod.obj["spec"]["securityContext"]["runAsUser"] == 1000730000
    assert "OK" in release.test()
    release.uninstall()
    assert left_behind(kube_cluster, namespace) == set()
