"""Keys for what the chart did not foresee: each reaches every kind of workload, and nothing else changes."""

from typing import Any

import pytest
import yaml
from support.helm import CHART, Manifest, RefusedError, Renderer, engine, find, in_process, merge, notes, templates
from support.refusals import Refusal, refusal, refusal_tests
from support.releases import BASE, HPA, KEDA, LWS, RAY, STATEFULSET, TGI, TGIS

WORKLOADS: dict[str, dict[str, Any]] = {"deployment": {}, "lws": LWS, "statefulset": STATEFULSET, "raycluster": RAY}
ISOLATED = {"networkPolicy": {"enabled": True}}


def everything() -> list[Manifest]:
    """Objects of every kind that the chart makes, from its ci files."""
    return [m for path in sorted((CHART / "ci").glob("*-values.yaml")) for m in in_process(labelled(path))]


def labelled(path: Any) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(path.read_text()) or {}
    kinds = {m["kind"] for m in in_process({**values, "extraObjects": []})}
    mine = {kind: {"labels": {"of": kind}, "annotations": {"own/kind": kind}} for kind in kinds}
    common = {"commonLabels": {"team": "a", "of": "all"}, "commonAnnotations": {"own/all": "b"}, "extraObjects": []}
    return merge(values, {**common, "objectMetadata": mine})


def test_labels_and_annotations_reach_every_object() -> None:
    manifests = everything()
    assert len({m["kind"] for m in manifests}) >= 20
    for manifest in manifests:
        kind, metadata = manifest["kind"], manifest["metadata"]
        assert metadata["labels"].items() >= {"team": "a", "of": kind}.items(), manifest
        assert metadata["annotations"].items() >= {"own/all": "b", "own/kind": kind}.items(), manifest
    for template in templates(manifests):
        assert template["metadata"]["labels"]["team"] == "a"


def test_every_kind_has_its_place_in_the_schema() -> None:
    schema = yaml.safe_load((CHART.parent.parent / "schema" / "values.schema.yaml").read_text())
    listed = set(schema["properties"]["objectMetadata"]["propertyNames"]["enum"])
    kinds = {m["kind"] for path in (CHART / "ci").glob("*-values.yaml")
             for m in in_process(merge(yaml.safe_load(path.read_text()), {"extraObjects": []}))}  # fmt: skip
    assert kinds <= listed


def test_no_label_of_a_user_changes_a_selector(render: Renderer) -> None:
    wrong = {"app.kubernetes.io/instance": "other", "app.kubernetes.io/component": "x"}
    for workload in WORKLOADS.values():
        values = merge(merge(BASE, workload), {"commonLabels": wrong, "podLabels": wrong})
        plain, changed = render(merge(BASE, workload)), render(values)
        for before, after in zip(templates(plain), templates(changed), strict=True):
            assert before["metadata"]["labels"] == after["metadata"]["labels"]
        assert find(plain[:0] + [m for m in changed if m["metadata"]["name"] == "mistral-llm-serving"
                                 and m["kind"] == "Service"], "Service")["spec"]["selector"] == (
            find([m for m in plain if m["metadata"]["name"] == "mistral-llm-serving" and m["kind"] == "Service"],
                 "Service")["spec"]["selector"])  # fmt: skip


PODS: dict[str, Any] = {
    "schedulerName": "volcano", "dnsPolicy": "None", "hostIPC": True,
    "dnsConfig": {"nameservers": ["10.0.0.10"], "options": [{"name": "ndots", "value": "2"}]},
    "hostAliases": [{"ip": "10.1.1.1", "hostnames": ["minio.local"]}],
    "security": {"podContext": {"fsGroupChangePolicy": "OnRootMismatch", "supplementalGroups": [7]},
                 "containerContext": {"capabilities": {"add": ["SYS_PTRACE"]}}},
    "gpu": {"supplementalGroups": [44]},
    "engine": {"envFrom": [{"secretRef": {"name": "s"}}], "extraPorts": [{"name": "debug", "containerPort": 5678}]},
    "probes": {"startup": {"periodSeconds": 5, "timeoutSeconds": 9}, "readiness": {"failureThreshold": 1},
               "liveness": {"periodSeconds": 30, "timeoutSeconds": 20, "failureThreshold": 9}},
    "extraResources": {"smarter-devices/fuse": "1"},
    "extraResourceClaims": [{"name": "nic", "resourceClaimTemplateName": "nics"}],
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
}  # fmt: skip


@pytest.mark.parametrize("workload", WORKLOADS)
def test_pods_of_every_workload_have_them(render: Renderer, workload: str) -> None:
    manifests = render(merge(merge(BASE, WORKLOADS[workload]), PODS))
    for template in templates(manifests):
        spec = template["spec"]
        for key in ("schedulerName", "dnsPolicy", "dnsConfig", "hostAliases", "hostIPC"):
            assert spec[key] == PODS[key]
        context = spec["securityContext"]
        assert (context["fsGroupChangePolicy"], context["supplementalGroups"]) == ("OnRootMismatch", [44, 7])
        assert context["runAsNonRoot"] is True
        assert spec["resourceClaims"] == PODS["extraResourceClaims"]
        assert len(spec["topologySpreadConstraints"]) == 1
        (container,) = spec["containers"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["SYS_PTRACE"]}
        assert container["envFrom"] == PODS["engine"]["envFrom"]
        assert {"name": "debug", "containerPort": 5678, "protocol": "TCP"} in container["ports"]
        assert container["resources"]["claims"] == [{"name": "nic"}]
        for kind in ("requests", "limits"):
            assert container["resources"][kind]["smarter-devices/fuse"] == "1"
        startup, live = container["startupProbe"], container["livenessProbe"]
        plain = engine(render(merge(BASE, WORKLOADS[workload])))["startupProbe"]
        assert startup["periodSeconds"] * startup["failureThreshold"] >= (
            plain["periodSeconds"] * plain["failureThreshold"])  # fmt: skip
        assert (startup["timeoutSeconds"], container["readinessProbe"]["failureThreshold"]) == (9, 1)
        assert (live["periodSeconds"], live["timeoutSeconds"], live["failureThreshold"]) == (30, 20, 9)
    assert "hostIPC is not admitted" in notes(merge(BASE, PODS))


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_patch_is_the_last_resort(render: Renderer, workload: str) -> None:
    patch: dict[str, Any] = {
        "metadata": {"annotations": {"own": "x"}},
        "spec": {
            "hostNetwork": True,
            "securityContext": {"fsGroup": None},
            "nodeSelector": {"a": "b"},
            "containers": [
                {"name": "engine", "stdin": True, "env": [{"name": "HOME", "value": "/x"}, {"name": "A", "value": "1"}],
                 "volumeMounts": [{"mountPath": "/tmp", "$patch": "delete"}], "lifecycle": None},
                {"name": "second", "image": "i"},
            ],
            "volumes": [{"name": "tmp", "$patch": "delete"}, {"name": "own", "emptyDir": {}}],
        },
    }  # fmt: skip
    values = merge(BASE, WORKLOADS[workload])
    plain, patched = templates(render(values)), templates(render(merge(values, {"podPatch": patch})))
    for before, after in zip(plain, patched, strict=True):
        spec = after["spec"]
        assert after["metadata"]["annotations"]["own"] == "x"
        assert after["metadata"]["labels"] == before["metadata"]["labels"]
        assert spec["hostNetwork"] is True
        assert "fsGroup" not in spec["securityContext"]
        assert spec["securityContext"]["runAsUser"] == 2000
        first, second = spec["containers"]
        assert second == {"name": "second", "image": "i"}
        assert first["stdin"] is True
        assert "lifecycle" not in first
        env = {entry["name"]: entry.get("value") for entry in first["env"]}
        assert (env["HOME"], env["A"]) == ("/x", "1")
        assert len(first["env"]) == len(before["spec"]["containers"][0]["env"]) + 1
        assert "/tmp" not in {mount["mountPath"] for mount in first["volumeMounts"]}
        names = [volume["name"] for volume in spec["volumes"]]
        assert "tmp" not in names
        assert names[-1] == "own"
        untouched = ("args", "command", "image", "resources", "ports")
        assert all(first[key] == before["spec"]["containers"][0][key] for key in untouched)
    assert "WARNING: podPatch changes the pods behind the chart's back" in notes(merge(values, {"podPatch": patch}))


def policy(manifests: list[Manifest]) -> Manifest:
    """The engine's; every other role has its own."""
    return find([one for one in manifests if one["metadata"]["name"].endswith("-api")], "NetworkPolicy")


def test_options_of_the_service(render: Renderer) -> None:
    own = {
        "type": "LoadBalancer", "nodePort": 30080, "loadBalancerClass": "example.com/lb",
        "loadBalancerSourceRanges": ["10.0.0.0/8"], "externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local",
        "sessionAffinity": "ClientIP", "ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6", "IPv4"],
        "allocateLoadBalancerNodePorts": False, "labels": {"a": "b"},
        "extraPorts": [{"name": "debug", "port": 5678, "targetPort": "debug"}],
    }  # fmt: skip
    ports = {"engine": {"extraPorts": [{"name": "debug", "containerPort": 5678}]}}
    manifests = render(merge(BASE, {"service": own, **ports, **ISOLATED}))
    service = find(manifests, "Service")
    assert service["metadata"]["labels"]["a"] == "b"
    for key, value in own.items():
        if key not in {"nodePort", "labels", "extraPorts"}:
            assert service["spec"][key] == value, key
    http, debug = service["spec"]["ports"]
    assert http["nodePort"] == 30080
    assert debug == {"name": "debug", "port": 5678, "targetPort": "debug", "protocol": "TCP"}
    assert "WARNING" not in notes(merge(BASE, {"service": own, **ports}))
    clients = policy(manifests)["spec"]["ingress"][0]
    assert {"port": "debug", "protocol": "TCP"} in clients["ports"]


@pytest.mark.parametrize(
    ("changes", "address"),
    [
        ({}, "0.0.0.0"),
        ({"network": {"ipFamily": "IPv6"}}, "::"),
        ({"service": {"ipFamilies": ["IPv6"]}}, "::"),
        ({"service": {"ipFamilyPolicy": "PreferDualStack"}}, "::"),
        ({"service": {"ipFamilies": ["IPv6"]}, "network": {"ipFamily": "IPv4"}}, "0.0.0.0"),
    ],
    ids=str,
)
def test_the_engine_listens_where_its_family_is(render: Renderer, changes: dict[str, Any], address: str) -> None:
    for workload in WORKLOADS.values():
        args = engine(render(merge(merge(BASE, workload), changes)))["args"]
        assert args[args.index("--host") + 1] == address
    assert f"--hostname={address}" in engine(render(merge(merge(BASE, TGI), changes)))["args"]


@pytest.mark.parametrize("kind", ["pvc", "perReplica"])
def test_claims(render: Renderer, kind: str) -> None:
    storage = {"type": kind, "labels": {"a": "b"}, "annotations": {"c": "d"}, "selector": {"matchLabels": {"e": "f"}}}
    if kind == "pvc":
        claim = find(render(merge(BASE, {"storage": {**storage, "volumeName": "v"}})), "PersistentVolumeClaim")
        assert claim["spec"]["volumeName"] == "v"
        assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    else:
        spec = find(render(merge(merge(BASE, STATEFULSET), {"storage": storage})), "StatefulSet")["spec"]
        (claim,) = spec["volumeClaimTemplates"]
        group = find(render(merge(merge(BASE, LWS), {"storage": storage})), "LeaderWorkerSet")["spec"]
        assert group["leaderWorkerTemplate"]["volumeClaimTemplates"] == [claim]
    assert claim["metadata"]["labels"]["a"] == "b"
    assert claim["metadata"]["annotations"]["c"] == "d"
    assert claim["spec"]["selector"] == {"matchLabels": {"e": "f"}}


def test_scalers_take_more(render: Renderer) -> None:
    behavior = {"scaling": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 60, "selectPolicy": "Disabled"}}}}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization",
                                                                         "averageUtilization": 50}}}  # fmt: skip
    spec = find(
        render(merge(merge(BASE, HPA), merge(behavior, {"scaling": {"hpa": {"extraMetrics": [metric]}}}))),
        "HorizontalPodAutoscaler",
    )["spec"]
    assert spec["metrics"][-1] == metric
    assert spec["behavior"]["scaleDown"] == {"stabilizationWindowSeconds": 60, "selectPolicy": "Disabled"}
    assert spec["behavior"]["scaleUp"]["policies"]
    more: dict[str, Any] = {"fallback": {"failureThreshold": 3, "replicas": 2}, "unsafeSsl": True,
            "extraTriggers": [{"type": "cron", "metadata": {"start": "0 8 * * *"}}]}  # fmt: skip
    scaled = find(render(merge(merge(BASE, KEDA), merge(behavior, {"scaling": {"keda": more}}))), "ScaledObject")[
        "spec"
    ]
    assert scaled["fallback"] == more["fallback"]
    assert scaled["triggers"][-1] == more["extraTriggers"][0]
    assert scaled["triggers"][0]["metadata"]["unsafeSsl"] == "true"
    assert scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == spec["behavior"]


@pytest.mark.parametrize("kind", ["serviceMonitor", "podMonitor"])
def test_monitors_take_more(render: Renderer, kind: str) -> None:
    more = {"namespace": "monitoring", "scrapeTimeout": "10s", "relabelings": [{"action": "drop"}],
            "metricRelabelings": [{"action": "keep"}], "enabled": True}  # fmt: skip
    monitor = find(render(merge(BASE, {"monitoring": {kind: more}})), kind[0].upper() + kind[1:])
    assert monitor["metadata"]["namespace"] == "monitoring"
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["llm"]}
    (endpoint,) = monitor["spec"]["endpoints" if kind == "serviceMonitor" else "podMetricsEndpoints"]
    assert {key: endpoint[key] for key in more if key in endpoint} == {
        key: value for key, value in more.items() if key not in {"namespace", "enabled"}
    }


def test_alerts_have_switches_and_labels(render: Renderer) -> None:
    rule = {"enabled": True, "namespace": "monitoring", "alertLabels": {"team": "a"}, "alertAnnotations": {"book": "u"},
            "alerts": {"LlmPreemptions": {"enabled": False},
                       "LlmErrors": {"severity": "page", "for": "1m", "labels": {"team": "b"}}},
            "extraRules": [{"alert": "Own", "expr": "up == 0"}]}  # fmt: skip
    manifest = find(render(merge(BASE, {"monitoring": {"prometheusRule": rule}})), "PrometheusRule")
    assert manifest["metadata"]["namespace"] == "monitoring"
    rules = {one["alert"]: one for one in manifest["spec"]["groups"][0]["rules"]}
    assert "LlmPreemptions" not in rules
    assert rules.pop("Own") == {"alert": "Own", "expr": "up == 0"}
    assert all(one["annotations"]["book"] == "u" for one in rules.values())
    assert {one["labels"]["team"] for name, one in rules.items() if name != "LlmErrors"} == {"a"}
    errors = rules["LlmErrors"]
    assert (errors["for"], errors["labels"]["severity"], errors["labels"]["team"]) == ("1m", "page", "b")


def test_every_alert_has_its_switch(render: Renderer) -> None:
    schema = yaml.safe_load((CHART.parent.parent / "schema" / "values.schema.yaml").read_text())
    rule = schema["properties"]["monitoring"]["properties"]["prometheusRule"]["properties"]["alerts"]
    goals = {"enabled": True, "timeToFirstTokenSeconds": 1, "interTokenLatencySeconds": 1}
    manifest = find(render(merge(BASE, {"monitoring": {"prometheusRule": goals}})), "PrometheusRule")
    made = [one["alert"] for one in manifest["spec"]["groups"][0]["rules"]]
    assert sorted(made) == sorted(rule["propertyNames"]["enum"])
    off = {"alerts": {name: {"enabled": False} for name in made[1:]}}
    manifest = find(render(merge(BASE, {"monitoring": {"prometheusRule": {**goals, **off}}})), "PrometheusRule")
    assert [one["alert"] for one in manifest["spec"]["groups"][0]["rules"]] == made[:1]


TRACES = {"monitoring": {"tracing": {"endpoint": "http://otel.monitoring:4317", "to": [{"podSelector": {}}]}}}


@pytest.mark.parametrize("workload", WORKLOADS)
def test_traces_leave_every_pod(render: Renderer, workload: str) -> None:
    more = {"monitoring": {"tracing": {"detailed": ["model", "worker"], "serviceName": "chat"}}}
    manifests = render(merge(merge(merge(BASE, WORKLOADS[workload]), ISOLATED), merge(TRACES, more)))
    args = engine(manifests)["args"]
    assert args[args.index("--otlp-traces-endpoint") + 1] == "http://otel.monitoring:4317"
    assert args[args.index("--collect-detailed-traces") + 1] == "model,worker"
    for template in templates(manifests):
        env = {entry["name"]: entry.get("value") for entry in template["spec"]["containers"][0]["env"]}
        assert env["OTEL_SERVICE_NAME"] == "chat"
        assert env["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] == "grpc"
        assert env["OTEL_EXPORTER_OTLP_TRACES_INSECURE"] == "true"
    policy = next(m for m in manifests if m["kind"] == "NetworkPolicy" and m["metadata"]["name"].endswith("-api"))
    ways = [rule for rule in policy["spec"]["egress"] if {"port": 4317, "protocol": "TCP"} in rule.get("ports", [])]
    assert [rule["to"] for rule in ways] == [[{"podSelector": {}}]]


@pytest.mark.parametrize(
    ("endpoint", "protocol", "port"),
    [("https://otel.example", "grpc", 4317), ("http://otel.example/v1/traces", "http/protobuf", 4318),
     ("http://[fd00::1]:9000", "grpc", 9000), ("https://otel.example:443/x", "grpc", 443)],
)  # fmt: skip
def test_the_collectors_port_is_opened(render: Renderer, endpoint: str, protocol: str, port: int) -> None:
    tracing = {"monitoring": {"tracing": {"endpoint": endpoint, "protocol": protocol}}}
    manifests = render(merge(merge(BASE, ISOLATED), tracing))
    opened = {p["port"] for rule in policy(manifests)["spec"]["egress"] for p in rule.get("ports", [])}
    assert port in opened
    env = {entry["name"]: entry.get("value") for entry in engine(manifests)["env"]}
    assert env["OTEL_EXPORTER_OTLP_TRACES_INSECURE"] == str(endpoint.startswith("http:")).lower()
    bare = policy(render(merge(BASE, ISOLATED)))["spec"]["egress"]
    assert not [rule for rule in bare for p in rule.get("ports", []) if p["port"] in {4317, 4318, 9000}]


@pytest.mark.parametrize("host", ["[0]", "[:::]", "[1:2]", "[fd00::1", "a b"])
def test_an_address_of_a_collector_that_is_none_is_refused(host: str) -> None:
    tracing = {"monitoring": {"tracing": {"endpoint": f"http://{host}:4317", "to": [{"podSelector": {}}]}}}
    with pytest.raises(RefusedError, match=r"monitoring.tracing.endpoint|/monitoring/tracing/endpoint"):
        in_process(merge(BASE, tracing))


def test_other_engines_trace_too(render: Renderer) -> None:
    args = engine(render(merge(merge(BASE, TGI), TRACES)))["args"]
    assert {"--otlp-endpoint=http://otel.monitoring:4317", "--otlp-service-name=mistral-llm-serving"} <= set(args)
    env = {e["name"]: e.get("value") for e in engine(render(merge(merge(BASE, TGIS), TRACES)))["env"]}
    assert env["OTLP_ENDPOINT"] == "http://otel.monitoring:4317"


HELPER: dict[str, Any] = {
    "labels": {"a": "b"}, "annotations": {"sidecar.istio.io/inject": "false"}, "tolerations": [{"operator": "Exists"}],
    "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "3", "memory": "1Gi"}},
}  # fmt: skip


def helper_pod(manifests: list[Manifest], key: str) -> Manifest:
    if key == "test":
        return find(manifests, "Pod")
    template: Manifest = find([m for m in manifests if m["kind"] == "Job"], "Job")["spec"]["template"]
    return template


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("test", {"test": HELPER}),
        ("prePull", {"prePull": {"enabled": True, **HELPER}}),
        ("job", {"model": {"download": {"mode": "job", **HELPER}},
                 "storage": {"type": "existingClaim", "existingClaim": "c"}}),
        ("hook", {"model": {"download": {"mode": "hook", **HELPER}},
                  "storage": {"type": "existingClaim", "existingClaim": "c"}}),
    ],
)  # fmt: skip
def test_helpers_have_their_own(render: Renderer, key: str, values: dict[str, Any]) -> None:
    reach = {"schedulerName": "kai-scheduler", "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}]}
    pod = helper_pod(render(merge(merge(BASE, values), reach)), key)
    assert pod["metadata"]["labels"]["a"] == "b"
    assert pod["metadata"]["annotations"]["sidecar.istio.io/inject"] == "false"
    spec = pod["spec"]
    assert {"operator": "Exists"} in spec["tolerations"]
    assert spec["schedulerName"] == "kai-scheduler"
    assert spec["hostAliases"] == reach["hostAliases"]
    (container,) = spec["containers"]
    assert container["resources"]["requests"]["cpu"] == "2"
    assert container["resources"]["requests"]["memory"]
    assert container["resources"]["limits"] == {"cpu": "3", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("values", "key", "near"),
    [
        ({"paralelism": {"tensor": 2}}, "paralelism", "parallelism"),
        ({"parallelism": {"tensr": 2}}, "tensr", "tensor"),
        ({"monitoring": {"serviceMonitor": {"enable": True}}}, "enable", "enabled"),
        ({"engine": {"image": {"repo": "x"}}}, "repo", "repository"),
        ({"expose": {"gateway": {"parent": []}}}, "parent", "parents"),
    ],
    ids=str,
)
def test_an_unknown_key_is_named_with_its_nearest(render: Renderer, values: Any, key: str, near: str) -> None:
    from llm_serving_planner.base.errors import SchemaError
    from llm_serving_planner.output.schema import validate

    text = refusal(render, merge(BASE, values))
    assert f"additional properties '{key}' not allowed" in text
    assert f"'{near}'" in text
    with pytest.raises(SchemaError, match=f"{key}: unknown key; did you mean {near}"):
        validate(values, "document")


IDIOMS = yaml.safe_load((CHART.parent.parent / "schema" / "idioms.yaml").read_text())


@pytest.mark.parametrize("entry", IDIOMS, ids=lambda entry: entry["key"])
def test_names_of_other_charts_get_ours(entry: dict[str, str]) -> None:
    from llm_serving_planner.base.errors import SchemaError
    from llm_serving_planner.output.schema import validate

    node: Any = {"x": 1}
    for part in reversed(entry["key"].split(".")):
        node = {part: node}
    with pytest.raises(RefusedError) as refused:
        in_process(merge(BASE, node))
    assert f"{entry['key']} is set, which is no key of this chart. Use {entry['use']}." in str(refused.value)
    with pytest.raises(SchemaError, match="no key of this chart; use "):
        validate(node, "document")


def test_keys_that_begin_with_x_are_free(render: Renderer) -> None:
    from llm_serving_planner.output.schema import validate

    free = {"x-anchors": {"any": [1, None]}, "model": {"x-note": "why"}, "engine": {"image": {"x-a": 1}}}
    assert render(merge(BASE, free)) == render(BASE)
    validate(merge(BASE, free), "document")


CASES: dict[str, Refusal] = {
    "load balancer without one": (
        {"service": {"loadBalancerSourceRanges": ["10.0.0.0/8"]}},
        'service.loadBalancerSourceRanges (["10.0.0.0/8"]) is set, but service.type is ClusterIP. Set '
        "service.type=LoadBalancer, or clear it.",
        {"service": {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/8"]}},
    ),
    "port of no node": (
        {"service": {"nodePort": 30080}},
        "service.nodePort (30080) is set, but service.type is ClusterIP. Set service.type=NodePort or LoadBalancer, or "
        "clear it.",
        {"service": {"type": "NodePort", "nodePort": 30080}},
    ),
    "two families of one": (
        {"service": {"ipFamilies": ["IPv4", "IPv6"]}},
        "service.ipFamilies has two families (IPv4, IPv6), but service.ipFamilyPolicy is empty. Set it to "
        "PreferDualStack or RequireDualStack.",
        {"service": {"ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "PreferDualStack"}},
    ),
    "the chart's own port": (
        {"engine": {"extraPorts": [{"name": "http", "containerPort": 9000}]}},
        "engine.extraPorts name a port http (9000/TCP), whose name or number is the chart's own or stands twice. "
        "Choose another.",
        {"engine": {"extraPorts": [{"name": "own", "containerPort": 8000, "protocol": "UDP"}]}},
    ),
    "a port to nowhere": (
        {"service": {"extraPorts": [{"name": "a", "port": 1, "targetPort": "debug"}]}},
        "service.extraPorts lead a to the port debug, which no container has. Add it to engine.extraPorts.",
        {"service": {"extraPorts": [{"name": "a", "port": 1, "targetPort": "http"}]}},
    ),
    "no server of names": (
        {"dnsPolicy": "None"},
        "dnsPolicy is None, but dnsConfig.nameservers is empty: the pods would find no name. Name a server.",
        {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["10.0.0.10"]}},
    ),
    "GPUs twice": (
        {"extraResources": {"nvidia.com/gpu": "1"}},
        "extraResources.nvidia.com/gpu is asked for by gpu.resourceName or network.rdma already. Clear it there, and "
        "set parallelism.gpusPerNode or network.rdma.count.",
        {"extraResources": {"example.com/fpga": "1"}},
    ),
    "claim of nothing": (
        {"extraResourceClaims": [{"name": "nic"}]},
        "extraResourceClaims.nic needs either resourceClaimName or resourceClaimTemplateName. Give one.",
        {"extraResourceClaims": [{"name": "nic", "resourceClaimName": "c"}]},
    ),
    "traces that nobody lets out": (
        merge(ISOLATED, {"monitoring": {"tracing": {"endpoint": "http://otel:4317", "to": []}}}),
        "monitoring.tracing.endpoint is set and networkPolicy.enabled is true, but monitoring.tracing.to is empty: no "
        "trace would get out. Name the collector's namespace or addresses.",
        merge(ISOLATED, TRACES),
    ),
    "traces of TGI over HTTP": (
        merge(TGI, {"monitoring": {"tracing": {"endpoint": "http://otel:4318", "protocol": "http/protobuf"}}}),
        "monitoring.tracing.protocol is http/protobuf, but engine.type tgi sends traces by gRPC alone. Set it to grpc.",
        merge(TGI, TRACES),
    ),
    "IPv6 of TGIS": (
        merge(TGIS, {"network": {"ipFamily": "IPv6"}}),
        "network.ipFamily or service.ipFamilies asks for IPv6, but tgis listens on IPv4 alone. Use another "
        "engine.type, or IPv4.",
        merge(TGIS, {"network": {"ipFamily": "IPv4"}}),
    ),
}  # fmt: skip
test_refused_with_the_exact_text, test_the_neighbour_passes = refusal_tests(BASE, CASES)
