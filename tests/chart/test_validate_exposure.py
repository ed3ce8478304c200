"""Refusals about operation: exact text, and a neighbour that passes."""

from typing import Any

import pytest
from support.helm import RefusedError, Renderer, in_process, merge
from support.refusals import Refusal, refusal_tests

BASE: dict[str, Any] = {"model": {"id": "org/model"}}
TGI: dict[str, Any] = {"engine": {"type": "tgi", "version": "3.3.7"}, "security": {"allowRoot": True}}
TGIS: dict[str, Any] = {"engine": {"type": "tgis", "version": "1db8cf0"}}
S3: dict[str, Any] = {"model": {"source": {"type": "s3", "uri": "s3://b/m"}}}
GATEWAY: dict[str, Any] = {"expose": {"gateway": {"enabled": True, "parents": [{"name": "g"}]}}}
TLS: dict[str, Any] = {"tls": {"existingSecret": "t"}}
POOL: dict[str, Any] = {"expose": {"inferencePool": {"enabled": True, "picker": "epp"}}}
WIDE: dict[str, Any] = {"replicas": 2, "storage": {"type": "emptyDir"}, "parallelism": {"tensor": 2, "nodes": 2}}
BOX = {"name": "a", "image": "i"}
CASES: dict[str, Refusal] = {
    "source without its key": (
        {"model": {"source": {"type": "pvc"}}},
        "model.source.type is pvc, but model.source.claim is empty. Set it.",
        {"model": {"source": {"type": "pvc", "claim": "c"}}},
    ),
    "key of another source": (
        {"model": {"source": {"claim": "c"}}},
        "model.source.claim (c) is set, but model.source.type is hub, which does not use it. Clear it, or choose "
        "another type.",
        {"model": {"source": {"type": "pvc", "claim": "c"}}},
    ),
    "two places": (
        {"model": {"path": "/m", "source": {"type": "pvc", "claim": "c"}}},
        "model.path (/m) is set, but model.source.type is pvc: the model would come from two places. Clear model.path.",
        {"model": {"path": "/m"}},
    ),
    "half a path": (
        {"model": {"source": {"type": "hostPath", "path": "m"}}},
        "model.source.path (m) is not a whole path of the node. Let it begin with /.",
        {"model": {"source": {"type": "hostPath", "path": "/m"}}},
    ),
    "scheme of another store": (
        {"model": {"source": {"type": "gcs", "uri": "s3://b/m"}}},
        "model.source.uri (s3://b/m) does not begin with gs://, as model.source.type gcs demands. Correct one of them.",
        {"model": {"source": {"type": "gcs", "uri": "gs://b/m"}}},
    ),
    "streaming into TGI": (
        merge(TGI, S3),
        "model.source.type is s3, but engine.type tgi cannot stream from an object store. Set engine.type=vllm, or "
        "copy the model to a claim (model.source.type=pvc).",
        S3,
    ),
    "another load format": (
        merge(S3, {"engine": {"args": {"load-format": "auto"}}}),
        "engine.args.load-format is auto, but model.source.type s3 needs runai_streamer or runai_streamer_sharded. "
        "Leave it away.",
        merge(S3, {"engine": {"args": {"load-format": "runai_streamer_sharded"}}}),
    ),
    "download of what is there": (
        merge(S3, {"model": {"download": {"mode": "init"}}}),
        "model.download.mode is init, but the model comes from s3://b/m, not from the hub. Set "
        "model.download.mode=none.",
        {"model": {"download": {"mode": "init"}}},
    ),
    "hook without claim": (
        {"model": {"download": {"mode": "hook"}}},
        "model.download.mode is hook, which runs before the release's own objects are there, but storage.type is pvc. "
        "Set storage.type=existingClaim, or model.download.mode to job or init.",
        {"model": {"download": {"mode": "hook"}}, "storage": {"type": "existingClaim", "existingClaim": "c"}},
    ),
    "job on one node's claim": (
        {"model": {"download": {"mode": "job"}}},
        "model.download.mode is job, whose pod and the engine's mount the storage at the same time, but storage.type "
        "is pvc with accessMode ReadWriteOnce. Set storage.accessMode=ReadWriteMany with storage.type=pvc, or "
        "model.download.mode=init.",
        {"model": {"download": {"mode": "job"}}, "storage": {"accessMode": "ReadWriteMany"}},
    ),
    "TLS of TGI": (
        merge(TGI, TLS),
        "tls.existingSecret (t) is set, but tgi speaks no TLS. Clear it, and let an Ingress, Gateway or Route end TLS.",
        merge(TGIS, TLS),
    ),
    "authority without certificate": (
        {"tls": {"ca": {"existingConfigMap": "ca"}}},
        "tls.ca.existingConfigMap (ca) is set, but tls.existingSecret is empty: there is no certificate to judge. Set "
        "tls.existingSecret, or clear it.",
        merge(TLS, {"tls": {"ca": {"existingConfigMap": "ca"}}}),
    ),
    "gateway without authority": (
        merge(GATEWAY, TLS),
        "expose.gateway.enabled is true and the engine speaks TLS (t), but tls.ca.existingConfigMap is empty: a "
        "gateway takes the authority from a ConfigMap with the key ca.crt. Name one.",
        merge(GATEWAY, merge(TLS, {"tls": {"ca": {"existingConfigMap": "ca"}}})),
    ),
    "gateway with another key": (
        merge(GATEWAY, merge(TLS, {"tls": {"ca": {"existingConfigMap": "ca", "key": "service-ca.crt"}}})),
        "tls.ca.key is service-ca.crt, but a gateway reads the key ca.crt of the ConfigMap. Name a ConfigMap that has "
        "it.",
        merge(TLS, {"tls": {"ca": {"existingConfigMap": "ca", "key": "service-ca.crt"}}}),
    ),
    "CORS of gRPC": (
        merge(TGIS, {"expose": {"cors": ["https://a"]}}),
        "expose.cors (https://a) is set, but tgis speaks gRPC, which web pages cannot call. Clear it.",
        merge(TGI, {"expose": {"cors": ["https://a"]}}),
    ),
    "keep-alive of an older vLLM": (
        {"engine": {"version": "0.28.0"}, "expose": {"keepAliveSeconds": 9}},
        "expose.keepAliveSeconds is 9, but engine.type vllm 0.28.0 has no --sse-keep-alive-interval (vllm has it from "
        "0.30.0). Set it to 0.",
        {"engine": {"version": "0.30.0"}, "expose": {"keepAliveSeconds": 9}},
    ),
    "certificate without host": (
        {"expose": {"ingress": {"enabled": True, "tlsSecret": "t"}}},
        "expose.ingress.tlsSecret (t) is set, but expose.host is empty. Name the host of the certificate.",
        {"expose": {"host": "h.example", "ingress": {"enabled": True, "tlsSecret": "t"}}},
    ),
    "re-encryption to plain text": (
        {"expose": {"route": {"enabled": True, "termination": "reencrypt"}}},
        "expose.route.termination is reencrypt, but tls.existingSecret is empty: the engine speaks plain text. Set "
        "expose.route.termination=edge, or tls.existingSecret.",
        merge(TLS, {"expose": {"route": {"enabled": True, "termination": "reencrypt"}}}),
    ),
    "edge before TLS": (
        merge(TLS, {"expose": {"route": {"enabled": True}}}),
        "expose.route.termination is edge, but the engine speaks TLS (tls.existingSecret t). Set "
        "expose.route.termination=reencrypt.",
        {"expose": {"route": {"enabled": True}}},
    ),
    "gRPC through an edge": (
        merge(TGIS, {"expose": {"route": {"enabled": True}}}),
        "expose.route.enabled is true, but tgis speaks gRPC without TLS, and a router speaks HTTP/2 to TLS backends. "
        "Set tls.existingSecret and expose.route.termination=reencrypt.",
        merge(TGIS, merge(TLS, {"expose": {"route": {"enabled": True, "termination": "reencrypt"}}})),
    ),
    "authority of an edge": (
        {"expose": {"route": {"enabled": True, "destinationCA": "pem"}}},
        "expose.route.destinationCA is set, but expose.route.termination is edge. Set it to reencrypt, or clear the "
        "authority.",
        merge(TLS, {"expose": {"route": {"enabled": True, "termination": "reencrypt", "destinationCA": "pem"}}}),
    ),
    "route without gateway": (
        {"expose": {"gateway": {"enabled": True}}},
        "expose.gateway.enabled is true, but expose.gateway.parents is empty. Name a Gateway.",
        GATEWAY,
    ),
    "health over gRPC": (
        merge(TGIS, merge(GATEWAY, {"expose": {"health": True}})),
        "expose.health is true, but the GRPCRoute of tgis carries gRPC only. Set expose.health=false.",
        merge(GATEWAY, {"expose": {"health": True}}),
    ),
    "pool without picker": (
        {"expose": {"inferencePool": {"enabled": True}}},
        "expose.inferencePool.enabled is true, but expose.inferencePool.picker is empty. Name the Service of the "
        "endpoint picker.",
        POOL,
    ),
    "pool of TGI": (
        merge(TGI, POOL),
        "expose.inferencePool.enabled is true, but endpoint pickers read vLLM's metrics, not those of tgi. Set it to "
        "false.",
        TGI,
    ),
    "pool over TLS": (
        merge(POOL, TLS),
        "expose.inferencePool.enabled is true, but a pool speaks plain HTTP to its pods, and the engine speaks TLS (t)."
        " Clear tls.existingSecret, or leave the pool away.",
        TLS,
    ),
    "the chart's own container": (
        {"sidecars": [{"name": "engine", "image": "i"}]},
        "initContainers or sidecars name a container engine, which is the chart's own name or stands twice. Choose "
        "another name.",
        {"sidecars": [BOX]},
    ),
    "a container twice": (
        {"initContainers": [BOX], "sidecars": [BOX]},
        "initContainers or sidecars name a container a, which is the chart's own name or stands twice. Choose another "
        "name.",
        {"initContainers": [BOX], "sidecars": [{**BOX, "name": "b"}]},
    ),
    "ephemeral request": (
        {"storage": {"ephemeral": {"request": "1Ti", "limit": "1023Gi"}}},
        "storage.ephemeral.request (1Ti) is above storage.ephemeral.limit (1023Gi). Lower the request or raise the "
        "limit.",
        {"storage": {"ephemeral": {"request": "1Ti", "limit": "1024Gi"}}},
    ),
    "emptyDir above the limit": (
        {"storage": {"type": "emptyDir", "size": "9Gi", "ephemeral": {"limit": "8Gi"}}},
        "storage.ephemeral.limit (8Gi) is below storage.size (9Gi): the pod would be evicted before its emptyDir is "
        "full. Raise the limit.",
        {"storage": {"type": "emptyDir", "size": "9Gi", "ephemeral": {"limit": "10Gi"}}},
    ),
    "a condition of nobody": (
        {"enabled": False},
        "enabled is false, which only a parent chart's condition acts on. Name it there (condition: ALIAS.enabled), or "
        "uninstall the release.",
        {"enabled": True},
    ),
    "one by one, all at once": (
        merge(WIDE, {"rollout": {"mode": "replaceOneByOne"}, "parallelism": {"controller": "statefulset"}}),
        "rollout.mode is replaceOneByOne, but controller statefulset has an object of its own for each of the 2 "
        "engines, which an upgrade changes all at once. Set rollout.mode=recreate, or "
        "parallelism.controller=leaderworkerset.",
        merge(WIDE, {"rollout": {"mode": "replaceOneByOne"}, "parallelism": {"controller": "leaderworkerset"}}),
    ),
}
APIS: dict[str, tuple[dict[str, Any], str, str]] = {
    "gateway.networking.k8s.io/v1": (GATEWAY, "expose.gateway.enabled", "the Gateway API"),
    "route.openshift.io/v1": ({"expose": {"route": {"enabled": True}}}, "expose.route.enabled", "OpenShift"),
    "inference.networking.k8s.io/v1": (
        POOL,
        "expose.inferencePool.enabled",
        "the Gateway API Inference Extension 1.0 or newer",
    ),
}
OLD: dict[str, tuple[dict[str, Any], str, str]] = {
    "v1.30.0": (
        {"model": {"source": {"type": "oci", "image": "r/m:1"}}},
        "model.source.type is oci, but the cluster is Kubernetes v1.30.0, and image volumes came with 1.31. Choose "
        "another type, or upgrade.",
        "v1.31.0",
    ),
    "v1.28.0": (
        {"sidecars": [BOX]},
        "sidecars are set, but the cluster is Kubernetes v1.28.0, and native sidecars are on from 1.29. Upgrade, or "
        "clear them.",
        "v1.29.0",
    ),
}


def told(text: str) -> str:
    return f"llm-serving: 1 problem with the values:\n  1. {text}"


test_refused_with_the_exact_text, test_the_neighbour_passes = refusal_tests(BASE, CASES)


@pytest.mark.parametrize("api", APIS)
def test_an_api_that_the_cluster_lacks_is_named(render: Renderer, api: str) -> None:
    changes, key, what = APIS[api]
    with pytest.raises(RefusedError) as refused:
        render(merge(BASE, changes), apis=())
    text = f"{key} is true, but the cluster does not serve {api} ({what}). Install it, or set skipApiCheck=true to "
    assert told(text + "render without a cluster.") in str(refused.value)
    assert render(merge(BASE, {**changes, "skipApiCheck": True}), apis=())


@pytest.mark.parametrize("version", OLD)
def test_what_an_older_kubernetes_lacks_is_refused(version: str) -> None:
    changes, text, newer = OLD[version]
    with pytest.raises(RefusedError) as refused:
        in_process(merge(BASE, changes), kube=version)
    assert told(text) in str(refused.value)
    assert in_process(merge(BASE, changes), kube=newer)
