"""The other engines from their committed values: sharded TGI, sharded TGIS, and the real vLLM on CPUs."""

import subprocess
from typing import Any

import pytest
from cluster.conftest import Release
from cluster.real_engine import CPU_IMAGE, on_cpus
from cluster.serving import committed, engine_pods, last_words, logs, wait_until_serves
from pytest_helm_charts.clusters import Cluster
from support.helm import merge

# An image of vLLM for CPUs that holds a tiny model in /models/tiny, where the cluster has one.


def standin_of(standin: dict[str, Any]) -> dict[str, Any]:
    """The stand-in with each engine's own command, on the GPU that the test cluster has."""
    here = {"gpu": {"nodeSelector": {"nvidia.com/gpu.product": "Tesla-T4"}}, "storage": {"type": "emptyDir"}}
    return merge(standin, {"engine": {"command": []}, **here})


def test_sharded_tgi(kube_cluster: Cluster, baseline_namespace: str, helm: str, standin: dict[str, Any]) -> None:
    release = Release(helm, "tgi", baseline_namespace)
    values = committed("mistral-tgi-2xa10g")
    here = standin_of(standin)
    release.apply(values, here)
    (pod,) = engine_pods(kube_cluster, baseline_namespace, "tgi")
    assert "serving mistralai/Mistral-7B-Instruct-v0.2 max_model_len 32768" in logs(pod)
    printed = release.test()
    assert "models: ['mistralai/Mistral-7B-Instruct-v0.2']" in printed
    assert "chunks, then [DONE]" in printed
    release.apply(values, merge(here, {"engine": {"args": {"max-total-tokens": 4096, "max-input-tokens": 4000}}}))
    (after,) = engine_pods(kube_cluster, baseline_namespace, "tgi")
    assert "max_model_len 4096" in logs(after)
    release.uninstall()


def test_tgi_is_not_admitted_where_root_is_forbidden(
    kube_cluster: Cluster, namespace: str, helm: str, standin: dict[str, Any]
) -> None:
    release = Release(helm, "tgi", namespace)
    release.apply(committed("mistral-tgi-2xa10g"), standin_of(standin), wait=False)
    assert engine_pods(kube_cluster, namespace, "tgi") == []
    release.uninstall()


def test_sharded_tgis(kube_cluster: Cluster, namespace: str, helm: str, standin: dict[str, Any]) -> None:
    release = Release(helm, "granite", namespace)
    values = committed("granite-7b-tgis-2xa10g")
    here = standin_of(standin)
    release.apply(values, here)
    (pod,) = engine_pods(kube_cluster, namespace, "granite")
    states = pod.obj["status"]["initContainerStatuses"]
    assert [state["state"]["terminated"]["exitCode"] for state in states] == [0]
    printed = release.test()
    assert "max_sequence_length 4096" in printed
    assert printed.rstrip().endswith("OK")
    release.uninstall()


def test_a_flag_that_the_engine_does_not_know_is_a_clear_failure(
    kube_cluster: Cluster, namespace: str, helm: str, mistral: dict[str, Any], standin: dict[str, Any]
) -> None:
    release = Release(helm, "mistral", namespace)
    wrong = merge(standin, {"engine": {"args": {"max-model-lenght": 8}}, "storage": {"type": "emptyDir"}})
    release.apply(mistral, wrong, wait=False)
    said = ""
    for _ in range(60):
        said = next((last_words(pod) for pod in engine_pods(kube_cluster, namespace, "mistral")), "")
        if said:
            break
        subprocess.run(["sleep", "0.5"], check=True)
    assert "unrecognized arguments: --max-model-lenght" in said
    release.uninstall()


LAYOUTS: dict[str, dict[str, Any]] = {
    "one process": {},
    "tensor parallel 2": {
        "parallelism": {"tensor": 2, "gpusPerNode": 2},
        "engine": {"env": {"VLLM_CPU_OMP_THREADS_BIND": "nobind"}},
    },
    "two pods": {
        "parallelism": {"tensor": 2, "nodes": 2, "gpusPerNode": 1, "controller": "statefulset", "shareNodes": True},
    },
}


@pytest.mark.skipif(not CPU_IMAGE, reason="LLM_SERVING_CPU_IMAGE names no image of vLLM for CPUs")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_real_engine_on_cpus(
    kube_cluster: Cluster, namespace: str, helm: str, standin: dict[str, Any], layout: str
) -> None:
    """From the committed values of the profile `cpu`; only image, model and sizes are this cluster's."""
    tiny = on_cpus(standin, 300)
    release = Release(helm, "tiny", namespace)
    release.apply(committed("qwen3-0-6b-cpu"), merge(tiny, LAYOUTS[layout]), wait=False)
    wait_until_serves(kube_cluster, namespace, "tiny", 330)
    printed = release.test()
    assert "models: ['tiny']" in printed
    assert "chunks, then [DONE]" in printed
    release.uninstall()
