"""Sources, TLS, exposure, additions and upgrades: what the chart makes of them, for every engine and controller."""

import json
import re
from typing import Any

import pytest
from support.helm import RefusedError, in_process, merge, notes, templates
from support.helm import Renderer as Render

BASE: dict[str, Any] = {"model": {"id": "org/model"}, "storage": {"type": "emptyDir"}}
ENGINES: dict[str, dict[str, Any]] = {
    "vllm": {},
    "tgi": {"engine": {"type": "tgi", "version": "3.3.7"}, "security": {"allowRoot": True}},
    "tgis": {"engine": {"type": "tgis", "version": "1db8cf0"}},
}
TWO = {"tensor": 1, "pipeline": 2, "nodes": 2}
CONTROLLERS: dict[str, dict[str, Any]] = {
    "deployment": {},
    "statefulset": {"parallelism": {**TWO, "controller": "statefulset"}},
    "leaderworkerset": {"parallelism": {**TWO, "controller": "leaderworkerset"}},
    "raycluster": {"parallelism": {**TWO, "controller": "raycluster", "executor": "ray"}, "engine": {"hasRay": True}},
}
LAYOUTS = {**ENGINES, **{name: layout for name, layout in CONTROLLERS.items() if layout}}
TLS = {"tls": {"existingSecret": "engine-tls"}}


def pods(manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [template["spec"] for template in templates(manifests)]


def environment(container: dict[str, Any]) -> dict[str, Any]:
    names = [entry["name"] for entry in container["env"]]
    assert len(names) == len(set(names))
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def volumes(pod: dict[str, Any]) -> dict[str, Any]:
    names = [volume["name"] for volume in pod["volumes"]]
    assert len(names) == len(set(names))
    return {volume["name"]: volume for volume in pod["volumes"]}


def kinds(manifests: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one for one in manifests if one["kind"] == kind and not one["metadata"]["name"].endswith("-guard")]


def served(container: dict[str, Any]) -> str:
    """What the engine is told to serve, whichever it is."""
    words = container.get("args", [])
    named = [word.removeprefix("--model-id=") for word in words if word.startswith("--model-id=")]
    return str((named or words[:1] or [environment(container).get("MODEL_NAME")])[0])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("source", "path", "volume"),
    [
        (
            {"type": "pvc", "claim": "c", "path": "a/b"},
            "/llm/source/a/b",
            {"persistentVolumeClaim": {"claimName": "c", "readOnly": True}},
        ),
        (
            {"type": "hostPath", "path": "/srv/m"},
            "/llm/source",
            {"hostPath": {"path": "/srv/m", "type": "Directory"}},
        ),
        (
            {"type": "oci", "image": "r/m:1", "path": "/models"},
            "/llm/source/models",
            {"image": {"reference": "r/m:1", "pullPolicy": "IfNotPresent"}},
        ),
    ],
)
def test_a_mounted_model_is_served_read_only_and_offline(
    render: Render, layout: str, source: dict[str, Any], path: str, volume: dict[str, Any]
) -> None:
    manifests = render(merge(merge(BASE, LAYOUTS[layout]), {"model": {"source": source, "revision": "abc"}}))
    assert pods(manifests)
    for pod in pods(manifests):
        (container,) = pod["containers"]
        assert served(container) == path
        assert environment(container)["HF_HUB_OFFLINE"] == "1"
        assert volumes(pod)["source"] == {"name": "source", **volume}
        assert {"name": "source", "mountPath": "/llm/source", "readOnly": True} in container["volumeMounts"]
        assert "revision" not in json.dumps(container).lower()
        assert "initContainers" not in pod


@pytest.mark.parametrize("controller", CONTROLLERS)
@pytest.mark.parametrize(
    ("source", "plain", "secret"),
    [
        (
            {"type": "s3", "uri": "s3://b/m", "endpoint": "https://s3", "existingSecret": "k"},
            {"AWS_ENDPOINT_URL": "https://s3", "RUNAI_STREAMER_S3_USE_VIRTUAL_ADDRESSING": "0"},
            {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"},
        ),
        (
            {"type": "gcs", "uri": "gs://b/m", "existingSecret": "k"},
            {"GOOGLE_APPLICATION_CREDENTIALS": "/llm/credentials/key.json"},
            set(),
        ),
        (
            {"type": "azure", "uri": "az://b/m", "account": "acc", "existingSecret": "k"},
            {"AZURE_STORAGE_ACCOUNT_NAME": "acc"},
            {"AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"},
        ),
    ],
)
def test_weights_are_streamed_with_credentials_by_reference(
    render: Render, controller: str, source: dict[str, Any], plain: dict[str, str], secret: set[str]
) -> None:
    values = merge(merge(BASE, CONTROLLERS[controller]), {"model": {"source": source}})
    pod = pods(render(values))[0]
    (container,) = pod["containers"]
    assert container["args"][0] == source["uri"]
    assert container["args"][container["args"].index("--load-format") + 1] == "runai_streamer"
    env = environment(container)
    assert plain.items() <= env.items()
    assert {name for name, value in env.items() if isinstance(value, dict) and "secretKeyRef" in value} == secret
    assert ("credentials" in volumes(pod)) == (source["type"] == "gcs")
    bare = merge(values, {"model": {"source": {"existingSecret": ""}}})
    assert "secretKeyRef" not in json.dumps(pods(render(bare)))


def test_a_sharded_checkpoint_keeps_its_own_load_format(render: Render) -> None:
    changes = {"model": {"source": {"type": "s3", "uri": "s3://b/m"}}}
    args = pods(render(merge(merge(BASE, changes), {"engine": {"args": {"load-format": "runai_streamer_sharded"}}})))[
        0
    ]["containers"][0]["args"]
    assert args.count("--load-format") == 1
    assert "runai_streamer_sharded" in args


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_download_before_the_engine(render: Render, layout: str) -> None:
    init = render(merge(merge(BASE, LAYOUTS[layout]), {"model": {"download": {"mode": "init"}}}))
    for pod in pods(init):
        first = pod["initContainers"][0]
        assert first["name"] == "fetch-model"
        assert first["command"][-2:] == ["/llm/download/download.py", "fetch"]
        assert environment(first)["HF_HUB_OFFLINE"] == "0"
        assert environment(first)["DOWNLOAD_SECONDS"] == "900"
        assert first["securityContext"]["readOnlyRootFilesystem"] is True
        assert environment(pod["containers"][0])["HF_HUB_OFFLINE"] == "1"
    assert not kinds(init, "Job")
    wide = merge(LAYOUTS[layout], {"storage": {"type": "pvc", "accessMode": "ReadWriteMany"}})
    job = render(merge(merge(BASE, wide), {"model": {"download": {"mode": "job"}}}))
    (one,) = kinds(job, "Job")
    assert "annotations" not in one["metadata"]
    assert all(pod["initContainers"][0]["name"] == "wait-model" for pod in pods(job))
    claim = merge(LAYOUTS[layout], {"storage": {"type": "existingClaim", "existingClaim": "c"}})
    hook = render(merge(merge(BASE, claim), {"model": {"download": {"mode": "hook"}}}))
    (one,) = kinds(hook, "Job")
    assert one["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert "serviceAccountName" not in one["spec"]["template"]["spec"]  # not there before an install
    assert "secretKeyRef" not in json.dumps(one)
    names = [container["name"] for pod in pods(hook) for container in pod.get("initContainers", [])]
    assert "wait-model" not in names


def test_a_downloads_deadline_follows_the_start_up_budget(render: Render) -> None:
    startup = {"startup": {"budgetSeconds": 1000, "imagePullSeconds": 500}}
    values = merge(BASE, {"model": {"download": {"mode": "init"}}, **startup})
    (deployment,) = kinds(render(values), "Deployment")
    assert deployment["spec"]["progressDeadlineSeconds"] == 1000 + 500 + 1000
    storage = {"storage": {"type": "pvc", "accessMode": "ReadWriteMany"}}
    (job,) = kinds(render(merge(values, {"model": {"download": {"mode": "job"}}, **storage})), "Job")
    assert job["spec"]["activeDeadlineSeconds"] == 1560


@pytest.mark.parametrize("engine", ENGINES)
def test_compiled_kernels_have_a_folder_for_each_engine_model_and_gpu(render: Render, engine: str) -> None:
    def folders(changes: dict[str, Any]) -> set[str]:
        values = merge(merge(BASE, ENGINES[engine]), merge({"storage": {"keyedCompileCache": True}}, changes))
        env = environment(pods(render(values))[0]["containers"][0])
        found = {str(value) for value in env.values() if str(value).startswith("/llm/models/compiled/")}
        assert len(found) == (4 if engine == "vllm" else 2)
        return found

    base = folders({})
    assert all(re.fullmatch(r"[A-Za-z0-9._/-]+", path) for path in base)
    for changes in (
        {"gpu": {"product": "NVIDIA-L4"}},
        {"model": {"id": "org/other"}},
        {"engine": {"image": {"tag": "x"}}},
    ):
        assert not folders(changes) & base


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "tgi"])
def test_tls_to_the_engine(render: Render, layout: str) -> None:
    ca = {"tls": {"ca": {"existingConfigMap": "ca", "key": "service-ca.crt"}}}
    manifests = render(merge(merge(BASE, LAYOUTS[layout]), merge(TLS, ca)))
    pod = pods(manifests)[0]
    (container,) = pod["containers"]
    assert volumes(pod)["tls"]["secret"]["secretName"] == "engine-tls"
    env = environment(container)
    (service,) = [entry for entry in kinds(manifests, "Service") if entry["spec"].get("clusterIP") != "None"]
    protocols = {port["name"]: port.get("appProtocol") for port in service["spec"]["ports"]}
    scheme = container["readinessProbe"]["httpGet"].get("scheme", "HTTP")
    if layout == "tgis":
        assert env["TLS_CERT_PATH"] == "/llm/tls/tls.crt"
        assert (scheme, protocols) == ("HTTP", {"http": None, "grpc": "https"})
    else:
        assert container["args"][container["args"].index("--ssl-certfile") + 1] == "/llm/tls/tls.crt"
        assert "--enable-ssl-refresh" in container["args"]
        assert protocols == {"http": "https"}
        grouped = layout != "vllm"
        assert scheme == ("HTTP" if grouped else "HTTPS")  # the supervisor asks the engine in place of the kubelet
        assert env.get("GROUP_ENGINE_TLS") == ("1" if grouped else None)
    (test,) = kinds(manifests, "Pod")
    told = environment(test["spec"]["containers"][0])
    assert told["BASE_URL"].startswith("http" if layout == "tgis" else "https")
    assert "://mistral-llm-serving.llm.svc:" in told["BASE_URL"]
    assert told["CA_FILE"] == "/ca/ca.crt"
    assert volumes(test["spec"])["ca"]["configMap"]["items"] == [{"key": "service-ca.crt", "path": "ca.crt"}]


def test_flags_that_the_chart_sets_are_set_where_the_version_has_them(render: Render) -> None:
    old = pods(
        render(merge(merge(BASE, TLS), {"engine": {"version": "0.7.3"}, "drain": {"shutdownTimeoutSeconds": 0}}))
    )
    assert "--enable-ssl-refresh" not in old[0]["containers"][0]["args"]


@pytest.mark.parametrize("engine", ENGINES)
def test_only_the_api_is_let_through(render: Render, engine: str) -> None:
    api = "/fmaas.GenerationService" if engine == "tgis" else "/v1"
    port = "grpc" if engine == "tgis" else "http"
    values = merge(merge(BASE, ENGINES[engine]), {"expose": {"host": "h.example", "ingress": {"enabled": True}}})
    for health in (False, True):
        (ingress,) = kinds(render(merge(values, {"expose": {"health": health}})), "Ingress")
        (rule,) = ingress["spec"]["rules"]
        assert rule["host"] == "h.example"
        found = [
            (path["path"], path["pathType"], path["backend"]["service"]["port"]["name"])
            for path in rule["http"]["paths"]
        ]
        assert found == [(api, "Prefix", port), *([("/health", "Exact", "http")] if health else [])]


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_long_streams_live_through_every_route(render: Render, controller: str) -> None:
    expose = {
        "timeoutSeconds": 7200,
        "health": True,
        "gateway": {"enabled": True, "parents": [{"name": "g"}]},
        "route": {"enabled": True, "annotations": {"a": "b"}},
    }
    manifests = render(merge(merge(BASE, CONTROLLERS[controller]), {"expose": expose}))
    (http,) = kinds(manifests, "HTTPRoute")
    assert [rule["timeouts"] for rule in http["spec"]["rules"]] == [{"request": "7200s", "backendRequest": "7200s"}] * 2
    assert [rule["matches"][0]["path"]["value"] for rule in http["spec"]["rules"]] == ["/v1", "/health"]
    routes = kinds(manifests, "Route")
    assert [(route["metadata"]["name"], route["spec"]["path"]) for route in routes] == [
        ("mistral-llm-serving", "/v1"),
        ("mistral-llm-serving-health", "/health"),
    ]
    for route in routes:
        assert route["metadata"]["annotations"] == {"a": "b", "haproxy.router.openshift.io/timeout": "7200s"}


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_a_pool_holds_the_pods_that_answer(render: Render, controller: str) -> None:
    expose = {
        "gateway": {"enabled": True, "parents": [{"name": "g"}]},
        "inferencePool": {"enabled": True, "picker": "epp"},
    }
    manifests = render(merge(merge(BASE, CONTROLLERS[controller]), {"expose": expose}))
    (pool,) = kinds(manifests, "InferencePool")
    (service,) = [entry for entry in kinds(manifests, "Service") if entry["spec"].get("clusterIP") != "None"]
    assert pool["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    (route,) = kinds(manifests, "HTTPRoute")
    (backend,) = route["spec"]["rules"][0]["backendRefs"]
    assert backend == {"group": "inference.networking.k8s.io", "kind": "InferencePool", "name": "mistral-llm-serving"}


def test_a_gateway_speaks_tls_to_an_engine_that_does(render: Render) -> None:
    expose = {"gateway": {"enabled": True, "parents": [{"name": "g"}]}}
    values = merge(BASE, {"expose": expose, "tls": {"existingSecret": "t", "ca": {"existingConfigMap": "ca"}}})
    (policy,) = kinds(render(values), "BackendTLSPolicy")
    assert policy["spec"]["validation"]["hostname"] == "mistral-llm-serving.llm.svc"
    assert not kinds(render(merge(BASE, {"expose": expose})), "BackendTLSPolicy")


def test_browsers_and_idle_streams(render: Render) -> None:
    changes = {"expose": {"cors": ["https://a", "https://b"]}}
    args = pods(render(merge(BASE, merge(changes, {"expose": {"keepAliveSeconds": 9}}))))[0]["containers"][0]["args"]
    assert json.loads(args[args.index("--allowed-origins") + 1]) == ["https://a", "https://b"]
    assert args[args.index("--sse-keep-alive-interval") + 1] == "9"
    tgi = pods(render(merge(merge(BASE, ENGINES["tgi"]), changes)))[0]["containers"][0]["args"]
    assert [word for word in tgi if "cors" in word] == [
        "--cors-allow-origin=https://a",
        "--cors-allow-origin=https://b",
    ]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_additions_reach_every_pod(render: Render, layout: str) -> None:
    changes = {
        "initContainers": [{"name": "first", "image": "i"}],
        "sidecars": [{"name": "side", "image": "i", "securityContext": {"runAsUser": 7}}],
        "lifecycle": {"preStop": {"exec": {"command": ["bye"]}}, "postStart": {"httpGet": {"port": 1}}},
        "auth": {"rotation": "2"},
        "podAnnotations": {"mine": "1"},
    }
    for template in templates(render(merge(merge(BASE, LAYOUTS[layout]), changes))):
        side, first = template["spec"]["initContainers"][:2]
        assert (side["name"], side["restartPolicy"]) == ("side", "Always")
        assert side["securityContext"] == {
            "runAsUser": 7,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert (first["name"], "restartPolicy" in first) == ("first", False)
        assert template["spec"]["containers"][0]["lifecycle"] == changes["lifecycle"]
        assert template["metadata"]["annotations"].items() >= {"llm-serving/rotation": "2", "mine": "1"}.items()


def test_extra_objects_are_templates_as_text_and_as_mappings(render: Render) -> None:
    mapping = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": '{{ include "llm-serving.fullname" . }}-x'}}
    text = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {{ .Release.Name }}-y\n"
    found = kinds(render(merge(BASE, {"extraObjects": [mapping, text]})), "Secret")
    assert [entry["metadata"]["name"] for entry in found] == ["mistral-llm-serving-x", "mistral-y"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_ephemeral_storage_is_bounded_where_told(render: Render, layout: str) -> None:
    storage = {"size": "9Gi", "scratch": "2Gi", "ephemeral": {"limit": "20Gi"}}
    pod = pods(render(merge(merge(BASE, LAYOUTS[layout]), {"storage": storage})))[0]
    resources = pod["containers"][0]["resources"]
    assert resources["requests"]["ephemeral-storage"] == "9Gi"
    assert resources["limits"]["ephemeral-storage"] == "20Gi"
    found = volumes(pod)
    assert found["home"]["emptyDir"] == found["tmp"]["emptyDir"] == {"sizeLimit": "2Gi"}


def test_images_are_pulled_ahead_by_a_job_that_ends(render: Render) -> None:
    changes = {
        "prePull": {"enabled": True, "nodes": 3},
        "gpu": {"nodeSelector": {"gpu": "l4"}, "tolerations": [{"key": "gpu", "operator": "Exists"}]},
        "model": {"source": {"type": "oci", "image": "r/m:1"}},
    }
    manifests = render(merge(BASE, changes))
    (job,) = kinds(manifests, "Job")
    pod = job["spec"]["template"]["spec"]
    assert (job["spec"]["completions"], job["spec"]["parallelism"]) == (3, 3)
    assert pod["containers"][0]["image"] == pods(manifests)[0]["containers"][0]["image"]
    assert "nvidia.com/gpu" not in json.dumps(pod["containers"])
    assert pod["nodeSelector"] == {"gpu": "l4"}
    assert pod["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert volumes(pod)["source"]["image"]["reference"] == "r/m:1"
    (service,) = kinds(manifests, "Service")
    assert not service["spec"]["selector"].items() <= job["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "needs 0 free GPUs; the service pauses"),
        (
            {"replicas": 3, "rollout": {"mode": "replaceOneByOne"}},
            "needs 0 free GPUs; one of 3 engines is away at a time",
        ),
        ({"rollout": {"mode": "surge"}}, "needs 1 free GPUs on 1 node(s)"),
        (
            {
                "rollout": {"mode": "surge"},
                "parallelism": {
                    "tensor": 8,
                    "pipeline": 2,
                    "nodes": 2,
                    "gpusPerNode": 8,
                    "controller": "leaderworkerset",
                },
            },
            "needs 16 free GPUs on 2 node(s)",
        ),
        ({"gpu": {"resourceName": ""}, "rollout": {"mode": "surge"}}, "needs 0 free GPUs on 1 node(s)"),
        ({"drain": {"preStopSeconds": 7, "shutdownTimeoutSeconds": 8}}, "has 25 s: 7 s to leave the Service, 8 s"),
        ({"storage": {"type": "pvc"}}, "A claim's class and access mode never change"),
        (
            {"expose": {"host": "h.example", "route": {"enabled": True}}},
            "From outside: https://h.example (only /v1 is let through)",
        ),
        ({"expose": {"ingress": {"enabled": True}}}, "note: nobody is asked for a key there"),
        ({"prePull": {"enabled": True}}, "--timeout 2820s"),
        ({"model": {"download": {"mode": "init"}}}, "downloaded before the engine starts (init), within 900 s"),
        ({"model": {"source": {"type": "oci", "image": "r/m:1"}}}, "Image volumes are beta from Kubernetes 1.33"),
        (TLS, "curl --insecure https://127.0.0.1:8000/v1"),
    ],
)
def test_notes_say_what_an_operator_must_know(changes: dict[str, Any], text: str) -> None:
    assert text in notes(merge(BASE, changes))


@pytest.mark.parametrize(
    ("replicas", "mode", "unavailable", "surge"),
    [(3, "recreate", 3, 0), (3, "replaceOneByOne", 1, 0), (3, "surge", 0, 1), (0, "recreate", 1, 0)],
)
def test_a_leaderworkerset_rolls_group_by_group(
    render: Render, replicas: int, mode: str, unavailable: int, surge: int
) -> None:
    values = merge(merge(BASE, CONTROLLERS["leaderworkerset"]), {"replicas": replicas, "rollout": {"mode": mode}})
    (lws,) = kinds(render(values), "LeaderWorkerSet")
    found = lws["spec"]["rolloutStrategy"]["rollingUpdateConfiguration"]
    assert found == {"maxUnavailable": unavailable, "maxSurge": surge}


def test_every_controller_has_a_way_to_roll_and_refuses_the_others() -> None:
    allowed = {
        (controller, mode)
        for controller, layout in CONTROLLERS.items()
        for mode in ("recreate", "replaceOneByOne", "surge")
        if _renders(merge(merge(BASE, layout), {"replicas": 2, "rollout": {"mode": mode}}))
    }
    in_order = {
        (controller, mode) for controller in ("deployment", "leaderworkerset") for mode in ("replaceOneByOne", "surge")
    }
    assert allowed == {(controller, "recreate") for controller in CONTROLLERS} | in_order


def _renders(values: dict[str, Any]) -> bool:
    try:
        return bool(in_process(values))
    except RefusedError:
        return False
