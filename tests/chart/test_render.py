"""What the chart makes of values."""

import json
from typing import Any

import jsonschema
import pytest
import yaml
from support.helm import CHART, ROOT, Renderer, engine, find, flags, merge, notes, templates
from support.kube_schemas import NEWEST, validate

BASE: dict[str, Any] = {"model": {"id": "org/model"}}
CI_FILES = sorted((CHART / "ci").glob("*-values.yaml"))
VALUES_FILES = sorted(path for path in (ROOT / "values").glob("*.yaml") if path.name != "catalog.yaml")
DERIVED = {
    kind: json.loads((ROOT / "tests" / "data" / "schemas" / f"{kind}.json").read_text())
    for kind in ("ServiceMonitor", "PodMonitor", "PrometheusRule", "ScaledObject")
}
SCHEMAS = ROOT / "tests" / "data" / "schemas"
ROUTES = {"gateway.networking.k8s.io", "route.openshift.io", "inference.networking.k8s.io"}


def pod(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = find(manifests, "Deployment")["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("path", [*CI_FILES, *VALUES_FILES], ids=lambda path: path.stem)
def test_every_object_is_valid_for_every_supported_kubernetes(render: Renderer, path: Any) -> None:
    manifests = render(yaml.safe_load(path.read_text()))
    assert {"Service", "ServiceAccount", "Pod", "ConfigMap"} <= {m["kind"] for m in manifests}
    assert templates(manifests)
    for manifest in manifests:
        if manifest["kind"] in {"LeaderWorkerSet", "RayCluster"}:  # the pods in them; the rest is for their API server
            parts = [{"apiVersion": "v1", "kind": "Pod", **template} for template in templates([manifest])]
        elif manifest["apiVersion"].split("/")[0] in ROUTES:
            jsonschema.validate(manifest, json.loads((SCHEMAS / f"{manifest['kind']}.json").read_text()))
            continue
        else:
            parts = [manifest]
        if manifest["kind"] in DERIVED:
            jsonschema.validate(manifest, DERIVED[manifest["kind"]])
            continue
        for part in parts:
            validate(part, NEWEST)  # tests/chart/test_versions.py asks every version


def test_the_container_is_vllm_serve_with_the_model_first(render: Renderer) -> None:
    container = engine(render(BASE))
    assert container["command"] == ["vllm", "serve"]
    assert container["args"][0] == "org/model"
    assert container["image"] == "docker.io/vllm/vllm-openai:v0.33.0"


@pytest.mark.parametrize("number", [1048576, 10485760, 85899345920])
def test_large_numbers_survive(render: Renderer, number: int) -> None:
    changed = merge(BASE, {"engine": {"args": {"max-model-len": number, "gpu-memory-utilization": 0.9}}})
    found = flags(render(changed))
    assert found["--max-model-len"] == str(number)
    assert found["--gpu-memory-utilization"] == "0.9"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, ["--x"]),
        (False, ["--no-x"]),
        ("on", ["--x", "on"]),
        (["a", "b"], ["--x", "a", "b"]),
        ({"a": 1048576}, ["--x", '{"a":1048576}']),
    ],
)
def test_a_flag_of_each_kind(render: Renderer, value: Any, words: list[str]) -> None:
    args = engine(render(merge(BASE, {"engine": {"args": {"x": value}}})))["args"]
    assert args[-len(words) :] == words


def test_flags_come_from_their_keys(render: Renderer) -> None:
    changes = {
        "model": {"revision": "abc", "servedName": "m", "trustRemoteCode": True},
        "parallelism": {"tensor": 2, "pipeline": 2, "gpusPerNode": 4},
        "engine": {"extraArgs": ["--last", "x"]},
    }
    manifests = render(merge(BASE, changes))
    found = flags(manifests)
    assert found["--revision"] == "abc"
    assert found["--served-model-name"] == "m"
    assert found["--tensor-parallel-size"] == "2"
    assert found["--pipeline-parallel-size"] == "2"
    assert "--trust-remote-code" in found
    assert engine(manifests)["args"][-2:] == ["--last", "x"]
    assert engine(manifests)["resources"]["limits"]["nvidia.com/gpu"] == "4"


def test_a_local_path_is_served_offline_and_without_revision(render: Renderer) -> None:
    changes = {
        "model": {"path": "/llm/models/mine", "revision": "abc"},
        "storage": {"type": "existingClaim", "existingClaim": "models"},
    }
    manifests = render(merge(BASE, changes))
    assert engine(manifests)["args"][0] == "/llm/models/mine"
    assert "--revision" not in flags(manifests)
    assert {"name": "HF_HUB_OFFLINE", "value": "1"} in engine(manifests)["env"]


def test_one_budget_drives_probe_deadline_and_test(render: Renderer) -> None:
    manifests = render(merge(BASE, {"startup": {"budgetSeconds": 1234, "imagePullSeconds": 100}}))
    probe = engine(manifests)["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] == 1240
    assert find(manifests, "Deployment")["spec"]["progressDeadlineSeconds"] == 1334
    assert find(manifests, "Pod")["spec"]["activeDeadlineSeconds"] == 1334


def test_probes_ask_health_and_none_waits_blindly(render: Renderer) -> None:
    container = engine(render(merge(BASE, {"liveness": {"stalledSeconds": 0}})))
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[name]["httpGet"] == {"path": "/health", "port": "http"}
        assert "initialDelaySeconds" not in container[name]


def test_drain_is_one_sum(render: Renderer) -> None:
    manifests = render(merge(BASE, {"drain": {"preStopSeconds": 7, "shutdownTimeoutSeconds": 30}}))
    assert pod(manifests)["terminationGracePeriodSeconds"] == 47
    assert engine(manifests)["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "7"]
    assert flags(manifests)["--shutdown-timeout"] == "30"
    none = render(merge(BASE, {"drain": {"shutdownTimeoutSeconds": 0}}))
    assert "--shutdown-timeout" not in flags(none)


@pytest.mark.parametrize(
    ("mode", "strategy"),
    [
        ("recreate", {"type": "Recreate"}),
        ("replaceOneByOne", {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}),
        ("surge", {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}),
    ],
)
def test_rollout_modes(render: Renderer, mode: str, strategy: dict[str, Any]) -> None:
    changes = {"rollout": {"mode": mode}, "storage": {"type": "emptyDir"}}
    assert find(render(merge(BASE, changes)), "Deployment")["spec"]["strategy"] == strategy


@pytest.mark.parametrize(
    ("storage", "volume"),
    [
        ({"type": "pvc"}, {"persistentVolumeClaim": {"claimName": "mistral-llm-serving-models"}}),
        ({"type": "emptyDir", "size": "9Gi"}, {"emptyDir": {"sizeLimit": "9Gi"}}),
        ({"type": "existingClaim", "existingClaim": "c"}, {"persistentVolumeClaim": {"claimName": "c"}}),
        ({"type": "hostPath", "hostPath": "/m"}, {"hostPath": {"path": "/m", "type": "DirectoryOrCreate"}}),
    ],
)
def test_storage_modes(render: Renderer, storage: dict[str, Any], volume: dict[str, Any]) -> None:
    manifests = render(merge(BASE, {"storage": storage}))
    volumes = {entry["name"]: entry for entry in pod(manifests)["volumes"]}
    assert volumes["models"] == {"name": "models", **volume}
    claims = [manifest for manifest in manifests if manifest["kind"] == "PersistentVolumeClaim"]
    assert len(claims) == (storage["type"] == "pvc")
    request = engine(manifests)["resources"]["requests"].get("ephemeral-storage")
    assert request == ("9Gi" if storage["type"] == "emptyDir" else None)


def test_the_claim_is_kept_unless_told_otherwise(render: Renderer) -> None:
    kept = find(render(BASE), "PersistentVolumeClaim")["metadata"]
    assert kept["annotations"] == {"helm.sh/resource-policy": "keep"}
    dropped = find(render(merge(BASE, {"storage": {"keep": False}})), "PersistentVolumeClaim")["metadata"]
    assert "annotations" not in dropped


def test_shared_memory_is_a_memory_volume(render: Renderer) -> None:
    volumes = {
        entry["name"]: entry for entry in pod(render(merge(BASE, {"memory": {"sharedMemory": "8Gi"}})))["volumes"]
    }
    assert volumes["shm"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "8Gi"}
    mounts = {mount["name"]: mount["mountPath"] for mount in engine(render(BASE))["volumeMounts"]}
    assert mounts["shm"] == "/dev/shm"


def test_every_cache_lies_on_a_mounted_volume(render: Renderer) -> None:
    container = engine(render(BASE))
    roots = tuple(mount["mountPath"] for mount in container["volumeMounts"])
    env = {entry["name"]: entry["value"] for entry in container["env"]}
    paths = {name: value for name, value in env.items() if value.startswith("/")}
    assert {"HOME", "HF_HOME", "VLLM_CACHE_ROOT", "XDG_CACHE_HOME", "TRITON_CACHE_DIR"} <= set(paths)
    assert all(value.startswith(roots) for value in paths.values())
    assert env["USER"] == "vllm"


@pytest.mark.parametrize("platform", ["kubernetes", "openshift"])
def test_pods_meet_pod_security_restricted(render: Renderer, platform: str) -> None:
    manifests = render(merge(BASE, {"platform": platform}))
    for spec in (pod(manifests), find(manifests, "Pod")["spec"]):
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        ids = {"runAsUser", "runAsGroup", "fsGroup"} & set(context)
        assert len(ids) == (3 if platform == "kubernetes" else 0)
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        for container in spec["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_secrets_come_by_reference_only_when_named(render: Renderer) -> None:
    assert not {"HF_TOKEN", "VLLM_API_KEY"} & {entry["name"] for entry in engine(render(BASE))["env"]}
    changes = {"auth": {"hfToken": {"existingSecret": "hf"}, "apiKey": {"existingSecret": "keys", "key": "k"}}}
    manifests = render(merge(BASE, changes))
    env = {entry["name"]: entry.get("valueFrom") for entry in engine(manifests)["env"]}
    assert env["HF_TOKEN"] == {"secretKeyRef": {"name": "hf", "key": "token"}}
    assert env["VLLM_API_KEY"] == {"secretKeyRef": {"name": "keys", "key": "k"}}
    test_env = {
        entry["name"]: entry.get("valueFrom") for entry in find(manifests, "Pod")["spec"]["containers"][0]["env"]
    }
    assert test_env["API_KEY"] == {"secretKeyRef": {"name": "keys", "key": "k"}}


def test_a_users_environment_wins_and_no_name_stands_twice(render: Renderer) -> None:
    changes = {
        "engine": {
            "env": {"HOME": "/mine", "NCCL_DEBUG": "INFO"},
            "extraEnv": [{"name": "USER", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        }
    }
    env = engine(render(merge(BASE, changes)))["env"]
    names = [entry["name"] for entry in env]
    assert len(names) == len(set(names))
    by_name = {entry["name"]: entry for entry in env}
    assert by_name["HOME"]["value"] == "/mine"
    assert "valueFrom" in by_name["USER"]


def test_names_of_a_53_character_release_fit(render: Renderer) -> None:
    name = "r" + "e" * 51 + "l"
    for manifest in render(merge(BASE, {"plan": {"summary": "x"}}), name=name):
        assert len(manifest["metadata"]["name"]) <= 63
        for value in manifest["metadata"]["labels"].values():
            assert len(value) <= 63


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mistral", "mistral-llm-serving"), ("my.model", "my-model-llm-serving"), ("llm-serving-a", "llm-serving-a")],
)
def test_the_service_is_named_after_the_release(render: Renderer, name: str, expected: str) -> None:
    assert find(render(BASE, name=name), "Service")["metadata"]["name"] == expected


def test_selectors_hold_nothing_that_changes(render: Renderer) -> None:
    manifests = render(merge(BASE, {"podLabels": {"team": "a", "app.kubernetes.io/name": "other"}}))
    selector = find(manifests, "Deployment")["spec"]["selector"]["matchLabels"]
    assert set(selector) == {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"}
    labels = find(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert labels == {**selector, "team": "a"}
    assert find(manifests, "Service")["spec"]["selector"] == selector


def test_scheduling_merges_gpu_and_own_settings(render: Renderer) -> None:
    changes = {
        "gpu": {"nodeSelector": {"gpu": "t4"}, "tolerations": [{"key": "a", "operator": "Exists"}]},
        "nodeSelector": {"zone": "b"},
        "tolerations": [{"key": "b", "operator": "Exists"}],
    }
    spec = pod(render(merge(BASE, changes)))
    assert spec["nodeSelector"] == {"gpu": "t4", "zone": "b"}
    assert [entry["key"] for entry in spec["tolerations"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({"tag": "v1"}, "docker.io/vllm/vllm-openai:v1"),
        ({"digest": "sha256:" + "a" * 64}, "docker.io/vllm/vllm-openai@sha256:" + "a" * 64),
        ({"registry": "", "repository": "mine"}, "mine:v0.33.0"),
    ],
)
def test_images(render: Renderer, image: dict[str, str], expected: str) -> None:
    assert engine(render(merge(BASE, {"engine": {"image": image}})))["image"] == expected


def test_a_mirror_serves_all_images(render: Renderer) -> None:
    manifests = render(merge(BASE, {"global": {"imageRegistry": "mirror.local"}}))
    images = [engine(manifests)["image"], find(manifests, "Pod")["spec"]["containers"][0]["image"]]
    assert all(image.startswith("mirror.local/") for image in images)


def test_the_plan_is_shown_and_changes_nothing_else(render: Renderer) -> None:
    bare, planned = render(BASE), render(merge(BASE, {"plan": {"summary": "fits", "verdict": "fits"}}))
    assert pod(bare) == pod(planned)
    text = next(m["data"]["plan.yaml"] for m in planned if m["kind"] == "ConfigMap" and "plan.yaml" in m["data"])
    assert yaml.safe_load(text) == {"summary": "fits", "verdict": "fits"}


def test_notes_tell_how_to_call_wait_and_upgrade() -> None:
    text = notes(merge(BASE, {"model": {"servedName": "m"}, "plan": {"summary": "it fits"}}))
    assert "it fits" in text
    assert '"model": "m"' in text
    assert "--timeout 1800s" in text
    assert "needs 0 free GPUs" in text
    surge = notes(merge(BASE, {"rollout": {"mode": "surge"}, "storage": {"type": "emptyDir"}}))
    assert "needs 1 free GPUs" in surge


def test_no_test_pod_where_it_is_switched_off(render: Renderer) -> None:
    assert not [m for m in render(merge(BASE, {"test": {"enabled": False}})) if m["kind"] == "Pod"]
