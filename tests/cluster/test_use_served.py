"""Adapters, aliases, drafts, templates and pooling on a real Kubernetes, with the stand-in engine."""

import base64
import json
import time
from typing import Any

import pytest
from cluster.conftest import STANDIN, Release
from cluster.hub import start_hub
from cluster.real_engine import CPU_IMAGE, on_cpus
from cluster.serving import ask, committed, engine_pods, last_words, wait_until_serves
from pykube import ConfigMap
from pytest_helm_charts.clusters import Cluster
from support.fake_hub import safetensors
from support.helm import merge

SMALL: dict[str, Any] = {
    "storage": {"type": "emptyDir"},
    "gpu": {"resourceName": ""},
    "parallelism": {"tensor": 1, "gpusPerNode": 1},
    "startup": {"budgetSeconds": 120, "imagePullSeconds": 60},
    "drain": {"preStopSeconds": 1, "shutdownTimeoutSeconds": 5},
}
REPOSITORIES = {
    "org/tiny": {"config.json": b"{}", "tokenizer.json": b"[]"},
    "org/sql": {"adapter_config.json": json.dumps({"r": 8}).encode(), "adapter_model.bin": b"weights"},
    "org/wide": {"adapter_config.json": json.dumps({"r": 64}).encode(), "adapter_model.bin": b"weights"},
    "org/head": {"config.json": b"{}", "pytorch_model.bin": b"weights"},
}


def served(cluster: Cluster, namespace: str) -> list[str]:
    """Names in /v1/models."""
    answer = ask(cluster, namespace, "mistral", "v1/models")
    return [entry["id"] for entry in answer["data"]]


def test_adapters_aliases_drafts_and_template_are_served(
    kube_cluster: Cluster, namespace: str, helm: str, mistral: dict[str, Any]
) -> None:
    start_hub(kube_cluster.kube_client, namespace, REPOSITORIES)
    release = Release(helm, "mistral", namespace)
    german = {"metadata": {"name": "german", "namespace": namespace}, "data": {"adapter_config.json": '{"r": 16}'}}
    ConfigMap(kube_cluster.kube_client, german).create()
    changes: dict[str, Any] = {
        "model": {"id": "org/tiny", "revision": "", "servedName": "chat", "aliases": ["chat-1", "gpt-4o"]},
        "auth": {"hfToken": {"existingSecret": "hf"}},
        "engine": {
            "env": {"HF_ENDPOINT": "http://hub:8080"},
            "lora": {
                "adapters": [{"name": "sql", "id": "org/sql"}, {"name": "german", "path": "/adapters/german"}],
                "maxLoras": 2,
            },
            "speculative": {"method": "eagle3", "tokens": 2, "id": "org/head"},
            "chatTemplate": {"text": "{% for m in messages %}{{ m.content }}{% endfor %}"},
            "kvOffload": {"sizeGiB": 0.0625},
            "args": {"enable-auto-tool-choice": True, "tool-call-parser": "mistral"},
        },
        "extraVolumes": [{"name": "german", "configMap": {"name": "german"}}],
        "extraVolumeMounts": [{"name": "german", "mountPath": "/adapters/german"}],
    }
    release.apply(mistral, STANDIN, merge(SMALL, changes))
    (pod,) = engine_pods(kube_cluster, namespace, "mistral")
    assert served(kube_cluster, namespace) == ["chat", "chat-1", "gpt-4o", "sql", "german"]
    for name in ("fetch-extra-0", "fetch-extra-1"):
        assert "complete and verified" in str(pod.logs(container=name))
    printed = release.test()
    assert "models: ['chat', 'chat-1', 'gpt-4o', 'sql', 'german']" in printed
    assert "completion of sql: " in printed
    assert "completion of german: " in printed
    assert "chunks, then [DONE]" in printed
    # an adapter whose rank is above the largest ends the engine, and the pod says why
    wide = {"engine": {"lora": {"adapters": [{"name": "wide", "id": "org/wide"}], "maxLoras": 1}}}
    release.apply(mistral, STANDIN, merge(SMALL, merge(changes, wide)), wait=False)
    said, deadline = "", time.monotonic() + 90
    while "rank" not in said and time.monotonic() < deadline:
        time.sleep(0.5)
        said = " ".join(last_words(pod) for pod in engine_pods(kube_cluster, namespace, "mistral"))
    assert "LoRA rank 64 is greater than max_lora_rank 16" in said
    release.uninstall()


TASKS = {
    "embed": "embeddings: 2 vectors of 3",
    "rerank": "rerank: 2 scores",
    "classify": "classify: 2 classes",
    "pooling": "pooling: 2 values",
}


def test_a_pooling_engine_is_tested_by_what_it_is_for(
    kube_cluster: Cluster, namespace: str, helm: str, mistral: dict[str, Any]
) -> None:
    release = Release(helm, "mistral", namespace)
    for task, said in TASKS.items():
        model = {"servedName": "vectors", "aliases": ["text-embedding-3-small"], "task": task}
        release.apply(mistral, STANDIN, merge(SMALL, {"model": model}))
        printed = release.test()
        assert "models: ['vectors', 'text-embedding-3-small']" in printed
        assert said in printed
        assert "completion" not in printed
    release.uninstall()


def test_a_model_without_text_fails_the_test_of_one_with(
    kube_cluster: Cluster, namespace: str, helm: str, mistral: dict[str, Any]
) -> None:
    """An engine that pools behind the chart's back: the test notices that there is no text."""
    release = Release(helm, "mistral", namespace)
    release.apply(mistral, STANDIN, merge(SMALL, {"engine": {"env": {"STANDIN_POOLS": "1"}}}))
    with pytest.raises(AssertionError, match="/v1/completions: HTTP 404"):
        release.test()
    release.uninstall()


# An adapter of rank 8 on the queries of a model with 4 heads of 64, as PEFT names its tensors.
PREFIX = "base_model.model.model.layers.0.self_attn.q_proj"
ADAPTER = {
    "adapter_config.json": json.dumps(
        {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj"], "bias": "none"}
    ).encode(),
    "adapter_model.safetensors": safetensors(
        {f"{PREFIX}.lora_A.weight": ("F32", [8, 256]), f"{PREFIX}.lora_B.weight": ("F32", [256, 8])}
    )[:-64]
    + bytes(2 * 4 * 8 * 256),
}
REAL: dict[str, tuple[dict[str, Any], list[str]]] = {
    "adapters and tools": (
        {
            "model": {"aliases": ["tiny-1"]},
            "engine": {
                "lora": {"adapters": [{"name": "sql", "path": "/adapters/sql"}], "maxRank": 8},
                "chatTemplate": {"text": "{% for m in messages %}{{ m.content }}{% endfor %}"},
                "speculative": {"method": "ngram", "tokens": 2, "options": {"prompt_lookup_max": 2}},
                "args": {"enable-auto-tool-choice": True, "tool-call-parser": "hermes", "reasoning-parser": "qwen3"},
            },
        },
        ["models: ['tiny', 'tiny-1', 'sql']", "completion of sql: ", "chunks, then [DONE]"],
    ),
    "vectors": ({"model": {"task": "embed"}}, ["models: ['tiny']", "embeddings: 2 vectors of 256"]),
}


@pytest.mark.skipif(not CPU_IMAGE, reason="LLM_SERVING_CPU_IMAGE names no image of vLLM for CPUs")
@pytest.mark.parametrize("case", REAL)
def test_the_real_engine_on_cpus(
    kube_cluster: Cluster, namespace: str, helm: str, standin: dict[str, Any], case: str
) -> None:
    """The chart's command lines before the engine's own parser, and its answers before the chart's test."""
    adapters = {
        "extraVolumes": [{"name": "sql", "configMap": {"name": "sql"}}],
        "extraVolumeMounts": [{"name": "sql", "mountPath": "/adapters/sql"}],
    }
    tiny = merge(on_cpus(standin, 600), adapters)
    files = {name: base64.b64encode(data).decode() for name, data in ADAPTER.items()}
    metadata = {"name": "sql", "namespace": namespace}
    ConfigMap(kube_cluster.kube_client, {"metadata": metadata, "binaryData": files}).create()
    release = Release(helm, "tiny", namespace)
    changes, said = REAL[case]
    release.apply(committed("qwen3-0-6b-cpu"), tiny, changes, wait=False)
    wait_until_serves(kube_cluster, namespace, "tiny", 600)
    printed = release.test()
    assert [text for text in said if text not in printed] == []
    release.uninstall()
