"""Two features at once: each of these was right alone and wrong beside another."""

from pathlib import Path
from typing import Any

import pytest
from support.helm import Manifest, Renderer, engine, find, flags, merge, notes, templates
from support.refusals import Refusal, refusal, refusal_tests
from support.releases import BASE, HPA, KEDA, LWS, RAY, STATEFULSET, TGI, TGIS
from support.subcharts import parent_chart, render_parent

TLS = {"tls": {"existingSecret": "engine-tls"}}
GATEWAY = {"expose": {"host": "llm.example.com", "gateway": {"enabled": True, "parents": [{"name": "gw"}]}}}
GROUPS = {"leaderworkerset": LWS, "statefulset": STATEFULSET, "raycluster": RAY}
WORKLOADS = {"deployment": {}, **GROUPS}


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """A chart with this one in it twice, under two names."""
    return parent_chart(tmp_path)


def workloads(manifests: list[Manifest]) -> list[Manifest]:
    return [manifest for manifest in manifests if templates([manifest])]


@pytest.mark.parametrize("kind", ["serviceMonitor", "podMonitor"])
@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_monitor_speaks_what_the_engine_speaks(render: Renderer, kind: str, workload: str) -> None:
    values = merge(merge(BASE, WORKLOADS[workload]), {"monitoring": {kind: {"enabled": True}}})
    name = kind[0].upper() + kind[1:]
    field = "endpoints" if kind == "serviceMonitor" else "podMetricsEndpoints"
    (plain,) = find(render(values), name)["spec"][field]
    assert not {"scheme", "tlsConfig"} & set(plain)
    (secure,) = find(render(merge(values, TLS)), name)["spec"][field]
    assert secure["scheme"] == "https"
    server = "mistral-llm-serving.llm.svc"
    assert secure["tlsConfig"] == {"ca": {"secret": {"name": "engine-tls", "key": "ca.crt"}}, "serverName": server}
    ca = {"tls": {"ca": {"existingConfigMap": "authorities", "key": "service-ca.crt"}}}
    (other,) = find(render(merge(merge(values, TLS), ca)), name)["spec"][field]
    assert other["tlsConfig"]["ca"] == {"configMap": {"name": "authorities", "key": "service-ca.crt"}}


def test_tgis_serves_metrics_in_plain_text(render: Renderer) -> None:
    values = merge(merge(BASE, TGIS), merge(TLS, {"monitoring": {"serviceMonitor": {"enabled": True}}}))
    (endpoint,) = find(render(values), "ServiceMonitor")["spec"]["endpoints"]
    assert "scheme" not in endpoint


def test_keda_uses_what_it_authenticates_with(render: Renderer) -> None:
    keda = merge(merge(BASE, KEDA), {"scaling": {"kvCacheUsage": 0.8, "keda": {"authentication": "thanos"}}})
    for trigger in find(render(keda), "ScaledObject")["spec"]["triggers"]:
        assert trigger["metadata"]["authModes"] == "bearer"
        assert trigger["authenticationRef"] == {"name": "thanos"}  # of KEDA's default kind
    other = {"scaling": {"keda": {"authModes": ["tls", "basic"], "authenticationKind": "ClusterTriggerAuthentication"}}}
    for trigger in find(render(merge(keda, other)), "ScaledObject")["spec"]["triggers"]:
        assert trigger["metadata"]["authModes"] == "tls,basic"
        assert trigger["authenticationRef"]["kind"] == "ClusterTriggerAuthentication"
    (bare,) = find(render(merge(BASE, KEDA)), "ScaledObject")["spec"]["triggers"]
    assert "authModes" not in bare["metadata"]
    assert "authenticationRef" not in bare


def test_a_route_may_have_no_timeouts(render: Renderer) -> None:
    route = {"expose": {"route": {"enabled": True}}}
    values = merge(merge(merge(BASE, GATEWAY), route), {"expose": {"timeoutSeconds": 0}})
    manifests = render(values)
    assert not [rule for rule in find(manifests, "HTTPRoute")["spec"]["rules"] if "timeouts" in rule]
    assert "annotations" not in find(manifests, "Route")["metadata"]


def test_what_is_cut_from_a_name_is_told_apart(parent: Path) -> None:
    release = "r" * 53
    manifests = render_parent(parent, {"chat": BASE, "embed": BASE}, release)
    names = [(entry["kind"], entry["metadata"]["name"]) for entry in manifests]
    assert len(names) == len(set(names)) > 6
    assert all(len(name) <= 63 for _, name in names)
    for key in ("fullnameOverride", "nameOverride"):
        found = set()
        for end in "xy":
            values = {"chat": {**BASE, key: "a" * 53 + end}, "embed": {"enabled": False}}
            (name,) = [m["metadata"]["name"] for m in render_parent(parent, values, "r") if m["kind"] == "Deployment"]
            found.add(name)
        assert len(found) == 2


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({}, ["/v1"]),
        ({"model": {"task": "embed"}}, ["/v1"]),
        ({"model": {"task": "rerank"}}, ["/v1"]),
        ({"model": {"task": "classify"}}, ["/v1", "/classify"]),
        ({"model": {"task": "pooling"}}, ["/v1", "/pooling"]),
        ({"model": {"task": "pooling"}, "expose": {"health": True}}, ["/v1", "/pooling", "/health"]),
        ({"expose": {"paths": ["/v1", "/tokenize", "/score"]}}, ["/v1", "/tokenize", "/score"]),
        ({"expose": {"paths": ["/"]}}, ["/"]),
        (TGI, ["/v1"]),
        (merge(TGI, {"expose": {"paths": ["/generate", "/generate_stream"]}}), ["/generate", "/generate_stream"]),
    ],
    ids=str,
)
def test_the_paths_of_the_task_are_routed_and_told(render: Renderer, changes: dict[str, Any], paths: list[str]) -> None:
    doors = merge(GATEWAY, {"expose": {"ingress": {"enabled": True}, "route": {"enabled": True}}})
    values = merge(merge(BASE, doors), changes)
    manifests = render(values)
    rules = find(manifests, "HTTPRoute")["spec"]["rules"]
    assert [rule["matches"][0]["path"]["value"] for rule in rules] == paths
    (rule,) = find(manifests, "Ingress")["spec"]["rules"]
    assert [path["path"] for path in rule["http"]["paths"]] == paths
    routes = [entry for entry in manifests if entry["kind"] == "Route"]
    assert [route["spec"]["path"] for route in routes] == paths
    assert len({route["metadata"]["name"] for route in routes}) == len(paths)
    text = notes(values)
    assert f"(only {' '.join(paths)} is let through)" in text
    task = values["model"].get("task")
    if task in {"classify", "pooling"}:
        assert f"8000/{task} " in text


def test_a_key_that_guards_no_path_of_the_task_is_said() -> None:
    key = {"auth": {"apiKey": {"existingSecret": "keys"}}, "model": {"task": "classify"}}
    said = "vLLM asks for its key below /v1, /v2, /inference and /cohere alone, not at"
    assert f"{said} /classify" in notes(merge(merge(BASE, GATEWAY), key))
    assert said not in notes(merge(merge(BASE, GATEWAY), {"auth": key["auth"]}))
    paths = {"auth": key["auth"], "expose": {"paths": ["/v2/rerank", "/inference/v1/generate", "/cohere", "/score"]}}
    assert f"{said} /score." in notes(merge(merge(BASE, GATEWAY), paths))


def test_a_prefix_is_taken_away_before_the_engine(render: Renderer) -> None:
    prefix = {"expose": {"pathPrefix": "/chat", "health": True, "route": {"enabled": True}}}
    manifests = render(merge(merge(BASE, GATEWAY), prefix))
    api, health = find(manifests, "HTTPRoute")["spec"]["rules"]
    assert api["matches"][0]["path"] == {"type": "PathPrefix", "value": "/chat/v1"}
    assert api["filters"][0]["urlRewrite"]["path"] == {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/v1"}
    assert health["matches"][0]["path"] == {"type": "Exact", "value": "/chat/health"}
    assert health["filters"][0]["urlRewrite"]["path"] == {"type": "ReplaceFullPath", "replaceFullPath": "/health"}
    for route in (entry for entry in manifests if entry["kind"] == "Route"):
        target = route["metadata"]["annotations"]["haproxy.router.openshift.io/rewrite-target"]
        assert route["spec"]["path"] == f"/chat{target}"
    plain = find(render(merge(BASE, GATEWAY)), "HTTPRoute")["spec"]["rules"]
    assert not [rule for rule in plain if "filters" in rule]


@pytest.mark.parametrize(
    ("changes", "rolls"),
    [
        ({}, "recreate"),
        ({"replicas": 2}, "replaceOneByOne"),
        (HPA, "replaceOneByOne"),
        (merge(HPA, {"scaling": {"maxReplicas": 1}}), "recreate"),
        ({"replicas": 2, "rollout": {"mode": "recreate"}}, "recreate"),
        ({"replicas": 2, "rollout": {"mode": "surge"}}, "surge"),
    ],
    ids=str,
)
def test_several_engines_are_replaced_one_by_one(render: Renderer, changes: dict[str, Any], rolls: str) -> None:
    strategy = find(render(merge(BASE, changes)), "Deployment")["spec"]["strategy"]
    limits = {"replaceOneByOne": (0, 1), "surge": (1, 0)}
    if rolls == "recreate":
        assert strategy == {"type": "Recreate"}
    else:
        surge, away = limits[rolls]
        assert strategy["rollingUpdate"] == {"maxSurge": surge, "maxUnavailable": away}
    assert f"rollout.mode {rolls})" in notes(merge(BASE, changes))
    group = find(render(merge(merge(BASE, LWS), changes)), "LeaderWorkerSet")["spec"]
    away = group["rolloutStrategy"]["rollingUpdateConfiguration"]["maxUnavailable"]
    assert away == {"recreate": changes.get("replicas", 1), "replaceOneByOne": 1, "surge": 0}[rolls]


@pytest.mark.parametrize("group", GROUPS)
def test_members_stay_apart_whatever_the_users_affinity(render: Renderer, group: str) -> None:
    required, preferred = (f"{word}DuringSchedulingIgnoredDuringExecution" for word in ("required", "preferred"))
    own = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}}
    soft = [{"weight": 1, "podAffinityTerm": own}]
    values = merge(merge(BASE, GROUPS[group]), {"affinity": {"podAntiAffinity": {required: [own], preferred: soft}}})
    for template in templates(render(values)):
        apart = template["spec"]["affinity"]["podAntiAffinity"]
        assert [term["topologyKey"] for term in apart[required]] == ["kubernetes.io/hostname", "zone"]
        assert apart[preferred] == soft
        (spread,) = [
            t["spec"]["topologySpreadConstraints"] for t in templates(render(merge(values, {
                "topologySpreadConstraints": [
                    {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}]})))
        ][:1]  # fmt: skip
        assert len(spread) == 1
    alone: dict[str, Any] = {"affinity": {"nodeAffinity": {preferred: []}}}
    for template in templates(render(merge(merge(BASE, GROUPS[group]), alone))):
        assert set(template["spec"]["affinity"]) == {"nodeAffinity", "podAntiAffinity"}


NULLS: dict[str, dict[str, Any]] = {
    "list": {"tolerations": None},
    "map": {"podLabels": None},
    "text": {"storage": {"storageClass": None}},
    "text with a default": {"service": {"externalTrafficPolicy": None}},
    "switch": {"serviceAccount": {"create": None}},
    "number": {"replicas": None},
    "choice": {"rollout": {"mode": None}},
    "section": {"monitoring": None},
    "deep": {"networkPolicy": {"hub": {"to": None}, "clients": None}},
    "all at once": {"scaling": None, "expose": None, "network": None, "test": None, "kueue": None, "probes": None},
}


@pytest.mark.parametrize("case", NULLS)
def test_null_takes_a_default_away(render: Renderer, case: str) -> None:
    from llm_serving_planner.output.schema import validate

    assert find(render(merge(BASE, NULLS[case])), "Deployment")["spec"]["replicas"] == 1
    validate(merge(BASE, NULLS[case]), "document")


def test_null_leaves_nothing_of_a_default(render: Renderer) -> None:
    policy = {"networkPolicy": {"enabled": True, "metrics": None, "dns": None}}
    (ingress, *_) = [m["spec"] for m in render(merge(BASE, policy)) if m["kind"] == "NetworkPolicy"]
    assert len(ingress["ingress"]) == 1
    assert not [m for m in render(merge(BASE, {"serviceAccount": {"create": None}})) if m["kind"] == "ServiceAccount"]
    assert not [m for m in render(merge(BASE, {"test": None})) if m["kind"] == "Pod"]


def test_null_in_a_parent_chart_takes_a_default_away(parent: Path) -> None:
    taken = {"tolerations": None, "service": {"annotations": None}, "monitoring": None}
    with_null = render_parent(parent, {"chat": merge(BASE, taken), "embed": {"enabled": False}}, "apps")
    without = render_parent(parent, {"chat": BASE, "embed": {"enabled": False}}, "apps")
    assert with_null == without


@pytest.mark.parametrize("kind", ["LoadBalancer", "NodePort"])
def test_an_open_service_is_said_loudly(kind: str) -> None:
    values = merge(BASE, {"service": {"type": kind}})
    assert f"WARNING: service.type {kind} offers every path of the engine, /metrics included" in notes(values)
    assert "nobody is asked for a key" in notes(values)
    keyed = notes(merge(values, {"auth": {"apiKey": {"existingSecret": "keys"}}}))
    assert "the key guards /v1, /v2, /inference and /cohere alone" in keyed
    assert "nobody is asked" not in keyed
    assert "WARNING" not in notes(BASE)


def test_a_mirror_and_its_secrets_reach_every_image_and_pod(render: Renderer) -> None:
    values: dict[str, Any] = {
        "global": {"imageRegistry": "mirror.example:5000/x", "imagePullSecrets": ["a", {"name": "b"}]},
        "imagePullSecrets": [{"name": "b"}, {"name": "c"}],
        "model": {"id": "", "source": {"type": "oci", "image": "quay.io/org/model:1"}},
        "prePull": {"enabled": True},
    }
    for more in (values, merge(values, {"model": {"id": "org/model", "source": {"type": "hub", "image": ""},
                                                   "download": {"mode": "job"}},
                                        "storage": {"type": "existingClaim", "existingClaim": "c"}})):  # fmt: skip
        manifests = render(merge({"storage": {"type": "emptyDir"}}, more))
        specs = [template["spec"] for template in templates(manifests)]
        specs += [m["spec"]["template"]["spec"] for m in manifests if m["kind"] == "Job"]
        specs += [m["spec"] for m in manifests if m["kind"] == "Pod"]
        assert len(specs) >= 3
        for spec in specs:
            assert spec["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}, {"name": "c"}]
            images = [one["image"] for one in [*spec.get("initContainers", []), *spec["containers"]]]
            images += [volume["image"]["reference"] for volume in spec["volumes"] if "image" in volume] if (
                "volumes" in spec) else []  # fmt: skip
            assert all(image.startswith("mirror.example:5000/x/") for image in images), images


@pytest.mark.parametrize(
    ("image", "shown"),
    [
        ("quay.io/org/model:1", "m.example/org/model:1"),
        ("org/model@sha256:0", "m.example/org/model@sha256:0"),
        ("localhost/model", "m.example/model"),
        ("host:5000/a/b", "m.example/a/b"),
        ("model:1", "m.example/model:1"),
    ],
)
def test_the_registry_of_a_model_image_is_replaced(render: Renderer, image: str, shown: str) -> None:
    values = {"model": {"source": {"type": "oci", "image": image}}, "storage": {"type": "emptyDir"}}
    (source,) = [v for v in templates(render(values))[0]["spec"]["volumes"] if v["name"] == "source"]
    assert source["image"]["reference"] == image
    mirrored = render(merge(values, {"global": {"imageRegistry": "m.example"}}))
    (source,) = [v for v in templates(mirrored)[0]["spec"]["volumes"] if v["name"] == "source"]
    assert source["image"]["reference"] == shown


def test_adapters_may_come_at_run_time(render: Renderer) -> None:
    lora = {"engine": {"lora": {"dynamic": True, "maxLoras": 4, "maxRank": 64, "maxCpuLoras": 8}}}
    manifests = render(merge(BASE, lora))
    found = flags(manifests)
    assert "--lora-modules" not in found
    assert (found["--enable-lora"], found["--max-loras"], found["--max-cpu-loras"]) == ("", "4", "8")
    env = {entry["name"]: entry.get("value") for entry in engine(manifests)["env"]}
    assert env["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"
    assert "may load adapters" in notes(merge(BASE, lora))
    text = refusal(render, merge(BASE, {"engine": {"args": {"enable-lora": True}}}))
    assert "Use engine.lora.adapters or engine.lora.dynamic." in text


@pytest.mark.parametrize(
    "changes",
    [
        {"storage": {"size": "100G"}},
        {"memory": {"host": {"request": "24G", "limit": "1Ti"}}},
        {"memory": {"sharedMemory": "2000M"}},
        {"engine": {"version": "0.34.0rc1"}},
        {"engine": {"version": "0.13.0+rhai19", "image": {"tag": "0.13"}}},
        {"engine": {"version": "0.12.0.post1.dev3"}},
    ],
    ids=str,
)
def test_quantities_and_versions_as_they_are_written_elsewhere(render: Renderer, changes: dict[str, Any]) -> None:
    from llm_serving_planner.output.schema import validate

    validate(changes, "document")
    manifests = render(merge(BASE, changes))
    assert all("+" not in value for m in manifests for value in m["metadata"]["labels"].values())


def test_decimal_quantities_are_compared_as_such(render: Renderer) -> None:
    values = merge(BASE, {"memory": {"host": {"request": "24Gi", "limit": "25G"}}})
    assert "memory.host.request (24Gi) is above memory.host.limit (25G)" in refusal(render, values)
    assert render(merge(BASE, {"memory": {"host": {"request": "23Gi", "limit": "25G"}}}))


@pytest.mark.parametrize("scaler", [HPA, KEDA], ids=["hpa", "keda"])
@pytest.mark.parametrize("workload", [{}, LWS], ids=["deployment", "leaderworkerset"])
def test_scaling_begins_with_the_engines_that_are_there(
    render: Renderer, scaler: dict[str, Any], workload: dict[str, Any]
) -> None:
    """Without the field the API server puts 1 in its place, and all engines but one die."""
    values = merge(merge(BASE, workload), merge(scaler, {"scaling": {"maxReplicas": 4}}))
    (bare,) = workloads(render(values))
    assert "replicas" not in bare["spec"]
    (running,) = workloads(render(merge(values, {"replicas": 3})))
    assert running["spec"]["replicas"] == 3
    assert "replicas (3) is written" in notes(merge(values, {"replicas": 3}))
    text = refusal(render, merge(values, {"replicas": 5}))
    assert "replicas is 5, but scaling.maxReplicas is 4" in text


@pytest.mark.parametrize("workload", WORKLOADS)
def test_devices_are_quantities_as_the_api_keeps_them(render: Renderer, workload: str) -> None:
    rdma = {"network": {"rdma": {"enabled": True, "resourceName": "rdma/a", "hca": "mlx5", "count": 2}}}
    values = merge(BASE, WORKLOADS[workload])
    manifests = render(merge(values, rdma if workload != "deployment" else {}))
    for template in templates(manifests):
        for container in template["spec"]["containers"]:
            for amounts in (container["resources"]["requests"], container["resources"]["limits"]):
                assert all(isinstance(amount, str) for amount in amounts.values()), amounts


def digests(manifests: list[Manifest]) -> set[str | None]:
    return {t["metadata"].get("annotations", {}).get("llm-serving/scripts") for t in templates(manifests)}


@pytest.mark.parametrize("workload", WORKLOADS)
def test_pods_follow_the_scripts_that_they_mount(tmp_path: Any, workload: str) -> None:
    """A chart whose scripts differ rolls the pods that mount them, and no others."""
    import json
    import shutil

    from helm_python import Chart, _native
    from support.helm import CHART, OPERATORS, documents

    copy = tmp_path / "llm-serving"
    shutil.copytree(CHART, copy)
    for name in ("group.py", "download.py"):
        (copy / "files" / name).write_text((copy / "files" / name).read_text() + "\n# newer\n")
    options = json.dumps({"name": "mistral", "namespace": "llm", "api_versions": list(OPERATORS)})

    def of(folder: Any, values: dict[str, Any]) -> set[str | None]:
        chart = Chart.load(str(folder))
        raw = _native.call_string("helm_render", chart._raw(), json.dumps(values), options)
        return digests([doc for path, text in json.loads(raw).items() if path.endswith(".yaml")
                        for doc in documents(text)])  # fmt: skip

    plain = merge(BASE, WORKLOADS[workload])
    for values in (plain, merge(plain, {"model": {"download": {"mode": "init"}}})):
        mounts = workload != "deployment" or values is not plain
        before, after = of(CHART, values), of(copy, values)
        assert len(before) == 1
        assert (before != after) == mounts
        assert (None in before) != mounts


def test_the_test_stays_out_of_what_others_apply(render: Renderer) -> None:
    hooks = [m for m in render(BASE) if "test" in m["metadata"].get("annotations", {}).get("helm.sh/hook", "")]
    assert {m["kind"] for m in hooks} == {"Pod", "ConfigMap"}
    assert all(m["metadata"]["annotations"]["argocd.argoproj.io/hook"] == "Skip" for m in hooks)
    left = render(merge(BASE, {"test": {"enabled": False}}))
    assert not [m for m in left if m["kind"] == "Pod" or m["metadata"]["name"].endswith("-test-api")]


@pytest.mark.parametrize(
    ("parent_of", "address"),
    [
        ({"name": "gw"}, "https://llm.example.com (http:// where the Gateway's listener has no TLS)"),
        ({"name": "gw", "sectionName": "https"}, "https://llm.example.com "),
        ({"name": "gw", "port": 443}, "https://llm.example.com "),
        ({"name": "gw", "sectionName": "web-tls"}, "https://llm.example.com "),
        ({"name": "gw", "sectionName": "http"}, "http://llm.example.com "),
        ({"name": "gw", "port": 80}, "http://llm.example.com "),
    ],
    ids=str,
)
def test_notes_tell_the_scheme_of_the_listener(parent_of: dict[str, Any], address: str) -> None:
    values = merge(BASE, {"expose": {"host": "llm.example.com", "gateway": {"enabled": True, "parents": [parent_of]}}})
    assert f"From outside: {address}" in notes(values)


def test_a_listener_set_carries_the_route(render: Renderer) -> None:
    listeners = {"name": "ls", "kind": "ListenerSet", "group": "gateway.networking.x-k8s.io", "port": 443}
    values = merge(BASE, {"expose": {"gateway": {"enabled": True, "parents": [listeners]}}})
    assert find(render(values), "HTTPRoute")["spec"]["parentRefs"] == [listeners]


CASES: dict[str, Refusal] = {
    "slots without adapters": (
        {"engine": {"lora": {"maxLoras": 4}}},
        "engine.lora.maxLoras (4) is set, but engine.lora.adapters is empty and engine.lora.dynamic false. Clear it.",
        {"engine": {"lora": {"maxLoras": 4, "dynamic": True}}},
    ),
    "class of no claim": (
        {"storage": {"storageClass": "fast"}},
        "storage.storageClass (fast) is set, but storage.type is emptyDir, for which the chart makes no claim. "
        "Clear it.",
        {"storage": {"type": "pvc", "storageClass": "fast"}},
    ),
    "volume of no claim": (
        {"storage": {"volumeName": "v"}},
        "storage.volumeName (v) is set, but storage.type is emptyDir, and only pvc makes one claim. Clear it.",
        {"storage": {"type": "pvc", "volumeName": "v"}},
    ),
    "folder of no host": (
        {"storage": {"hostPath": "/m"}},
        "storage.hostPath (/m) is set, but storage.type is emptyDir. Clear it.",
        {"storage": {"type": "hostPath", "hostPath": "/m"}},
    ),
    "host without a route": (
        {"expose": {"host": "llm.example.com"}},
        "expose.host (llm.example.com) is set, but none of expose.ingress, expose.gateway and expose.route is enabled. "
        "Clear it.",
        GATEWAY,
    ),
    "gateways without a route": (
        {"expose": {"gateway": {"parents": [{"name": "gw"}]}}},
        'expose.gateway.parents ([{"name":"gw"}]) is set, but expose.gateway.enabled is false. Clear it.',
        GATEWAY,
    ),
    "a flag twice": (
        {"engine": {"args": {"max-model-len": 4096}, "extraArgs": ["--max_model_len=8192"]}},
        "engine.extraArgs gives --max-model-len, which engine.args gives too. Keep one.",
        {"engine": {"args": {"max-model-len": 4096}, "extraArgs": ["--max-num-seqs", "8"]}},
    ),
    "no tag of a local version": (
        {"engine": {"version": "0.13.0+rhai19"}},
        "engine.version is 0.13.0+rhai19, and no image has a tag with a +. Set engine.image.tag or "
        "engine.image.digest.",
        {"engine": {"version": "0.13.0+rhai19", "image": {"tag": "x"}}},
    ),
    "paths of gRPC": (
        merge(merge(GATEWAY, TGIS), {"expose": {"paths": ["/v1"]}}),
        "expose.paths (/v1) is set, but tgis speaks gRPC, which has a service in place of paths. Clear it.",
        merge(GATEWAY, TGIS),
    ),
    "prefix of an Ingress": (
        {"expose": {"pathPrefix": "/a", "ingress": {"enabled": True}}},
        "expose.pathPrefix (/a) is set, but an Ingress cannot take a path away in a way that all controllers share. "
        "Clear it, or use expose.gateway or expose.route.",
        {"expose": {"pathPrefix": "/a", "route": {"enabled": True}}},
    ),
    "two ways to log in": (
        merge(KEDA, {"scaling": {"keda": {"authentication": "a", "authModes": ["bearer", "basic"]}}}),
        "scaling.keda.authModes has bearer and basic, of which KEDA takes one. Keep one.",
        merge(KEDA, {"scaling": {"keda": {"authentication": "a", "authModes": ["bearer", "tls"]}}}),
    ),
    "authority of another namespace": (
        merge(TLS, {"monitoring": {"podMonitor": {"enabled": True, "namespace": "monitoring"}}}),
        "monitoring.podMonitor.namespace is monitoring and the engine speaks TLS: the Prometheus operator reads the "
        "authority from that namespace, where tls.ca or tls.existingSecret is not. Clear the namespace, or say in "
        "monitoring.podMonitor.tlsConfig what is there.",
        merge(TLS, {"monitoring": {"podMonitor": {"enabled": True, "namespace": "monitoring", "tlsConfig": {
            "insecureSkipVerify": True}}}}),
    ),
}  # fmt: skip
test_refused_with_the_exact_text, test_the_neighbour_passes = refusal_tests(BASE, CASES)
