"""Networks, users, tokens and images: what a pod may reach, be and carry."""

import json
import re
import shlex
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.helm import CHART, RefusedError, Renderer, find, in_process, merge, notes, templates
from support.laws import law
from support.pod_rules import RANGE, containers, restricted, restricted_v2
from support.releases import BASE, ENGINES, LWS, RAY, STATEFULSET, TGI, TGIS

ISOLATED = {"networkPolicy": {"enabled": True}}
LAYOUTS: dict[str, dict[str, Any]] = {"one": {}, "lws": LWS, "statefulset": STATEFULSET, "ray": RAY}
CI = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((CHART / "ci").glob("*-values.yaml"))}
NEEDS_MORE = {
    "tgi-values": "runAsNonRoot", "tgi-hook-values": "runAsNonRoot", "leaderworkerset-values": "adds IPC_LOCK",
}  # fmt: skip


def policies(manifests: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found = [m for m in manifests if m["kind"] == "NetworkPolicy"]
    return {m["metadata"]["name"].removeprefix("mistral-llm-serving-"): m["spec"] for m in found}


def pods(manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [t["spec"] for t in templates(manifests)] + [m["spec"] for m in manifests if m["kind"] == "Pod"]


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    return bool(selector["matchLabels"].items() <= labels.items())


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("engine", ENGINES)
def test_only_the_api_is_open_and_only_to_the_listed(render: Renderer, layout: str, engine: str) -> None:
    if engine != "vllm" and layout != "one":
        return  # refused: these shard inside one node
    client = {"namespaceSelector": {"matchLabels": {"team": "a"}}}
    changes = merge(merge(ISOLATED, LAYOUTS[layout]), ENGINES[engine])
    manifests = render(merge(merge(BASE, changes), {"networkPolicy": {"clients": [client]}}))
    api = policies(manifests)["api"]
    assert api["policyTypes"] == ["Ingress", "Egress"]
    for template in templates(manifests):
        assert selects(api["podSelector"], template["metadata"]["labels"])
    clients, metrics = api["ingress"]
    assert clients["from"][0] == client
    test = find(manifests, "Pod")["metadata"]["labels"]
    assert selects(clients["from"][1]["podSelector"], test)
    assert not selects(clients["from"][1]["podSelector"], templates(manifests)[0]["metadata"]["labels"])
    wanted = {"http", "grpc"} if engine == "tgis" else {"http"}
    assert {port["port"] for port in clients["ports"]} == wanted
    assert wanted <= {port["name"] for port in templates(manifests)[0]["spec"]["containers"][0]["ports"]}
    assert metrics["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    assert [port["port"] for port in metrics["ports"]] == ["http"]


@pytest.mark.parametrize(
    ("layout", "names"),
    [("one", set()), ("lws", {"group"}), ("statefulset", {"group-0", "group-1"}), ("ray", {"group-0", "group-1"})],
)
def test_a_groups_ports_are_its_own(render: Renderer, layout: str, names: set[str]) -> None:
    """29400, 29401, 29501, Ray's ports and NCCL's random ones are in no rule but that among the group's members."""
    manifests = render(merge(merge(merge(BASE, LAYOUTS[layout]), ISOLATED), {"replicas": 2}))
    found = policies(manifests)
    guard = (
        {"guard"} if any(m["metadata"]["name"].endswith("-guard") and m["kind"] == "Job" for m in manifests) else set()
    )
    assert set(found) == {"api", "test", *guard, *names}
    workloads = [m for m in manifests if templates([m])]
    for name in names:
        spec = found[name]
        (peer,) = spec["ingress"][0]["from"]
        assert spec["ingress"] == [{"from": [peer]}]
        assert spec["egress"] == [{"to": [peer]}]
        assert peer["podSelector"] == spec["podSelector"]
        members = [w for w in workloads if all(
            selects(spec["podSelector"], t["metadata"]["labels"]) for t in templates([w]))]  # fmt: skip
        assert len(members) == 1, "a policy is that of one group"


def test_the_hub_is_closed_where_nothing_is_downloaded(render: Renderer) -> None:
    hub = {"hub": {"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}], "ports": [3128]}}
    proxied = policies(render(merge(BASE, {"networkPolicy": {"enabled": True, **hub}})))["api"]["egress"]
    assert proxied[1] == {"to": hub["hub"]["to"], "ports": [{"port": 3128, "protocol": "TCP"}]}
    ports = {(port["port"], port["protocol"]) for port in proxied[0]["ports"]}
    assert ports == {(53, "UDP"), (53, "TCP"), (5353, "UDP"), (5353, "TCP")}
    local = merge(merge(BASE, ISOLATED), {"model": {"path": "/opt/model"}})
    assert policies(render(local))["api"]["egress"] == []
    more = merge(local, {"networkPolicy": {"extraEgress": [{"to": [{"podSelector": {}}]}], "dns": []}})
    assert policies(render(more))["api"]["egress"] == [{"to": [{"podSelector": {}}]}]


def peers(rules: list[dict[str, Any]]) -> list[Any]:
    """What egress rules open, DNS left out."""
    return [
        (rule["to"], rule.get("ports"))
        for rule in rules
        if {"port": 53, "protocol": "UDP"} not in rule.get("ports", [])
    ]


CLAIM = {"storage": {"type": "existingClaim", "existingClaim": "c"}}
TOKEN_OF_HUB = {"auth": {"hfToken": {"existingSecret": "hf"}}}
# values; which pods of the release reach the hub; which containers have its token
WHO: dict[str, tuple[dict[str, Any], set[str], set[str]]] = {
    "the engine itself": ({}, {"engine"}, {"engine"}),
    "init container": ({"model": {"download": {"mode": "init"}}}, {"engine"}, {"fetch-model"}),
    "job": (merge(CLAIM, {"model": {"download": {"mode": "job"}}}), {"download"}, {"fetch-model"}),
    "hook": (merge(CLAIM, {"model": {"download": {"mode": "hook"}}}), {"download"}, {"fetch-model"}),
    "folder": ({"model": {"path": "/opt/model"}}, set(), set()),
    "claim": ({"model": {"source": {"type": "pvc", "claim": "c"}}}, set(), set()),
    "image": ({"model": {"source": {"type": "oci", "image": "r/m:1"}}}, set(), set()),
    "adapter of a folder": (
        {"model": {"path": "/opt/m"}, "engine": {"lora": {"adapters": [{"name": "a", "id": "org/a"}]}}},
        {"engine"}, {"fetch-extra-0"},
    ),
    "tgis": (TGIS, {"engine"}, {"download"}),
    "tgi": (TGI, {"engine"}, {"engine"}),
}  # fmt: skip


@pytest.mark.parametrize("name", WHO)
def test_each_pod_has_what_it_needs_and_no_more(name: str) -> None:
    """Hooks and tests included: a policy selects every pod, and only who downloads reaches out and has a token."""
    changes, reach, token = WHO[name]
    extras = merge(merge(ISOLATED, TOKEN_OF_HUB), {"prePull": {"enabled": True}})
    manifests = in_process(merge(merge(BASE, changes), extras))
    found = [m for m in manifests if m["kind"] == "NetworkPolicy"]
    seen, holders = set(), set()
    for pod in all_pods(manifests):
        labels = pod["metadata"]["labels"]
        own = [m["spec"] for m in found if selects(m["spec"]["podSelector"], labels)]
        assert own, f"no policy selects {labels}"
        role = labels["app.kubernetes.io/component"]
        seen.add(role)
        outside = [to for spec in own for to, _ in peers(spec["egress"]) if any("ipBlock" in peer for peer in to)]
        assert bool(outside) == (role in reach), role
        assert role == "engine" or all(spec["ingress"] == [] for spec in own)
        holders |= {c["name"] for c in containers(pod["spec"]) if "HF_TOKEN" in {e["name"] for e in c.get("env", [])}}
    assert holders == token
    assert {"engine", "prepull", "test"} <= seen


def all_pods(manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every pod of a release, whoever makes it."""
    jobs = [m["spec"]["template"] for m in manifests if m["kind"] == "Job"]
    return [*templates(manifests), *jobs, *(m for m in manifests if m["kind"] == "Pod")]


@pytest.mark.parametrize("name", ["folder", "hook"])
def test_a_hooks_policy_is_there_before_its_pod(name: str) -> None:
    manifests = in_process(merge(merge(BASE, WHO[name][0]), merge(ISOLATED, {"prePull": {"enabled": True}})))

    def weights(kind: str) -> list[int]:
        notes = [m["metadata"].get("annotations", {}) for m in manifests if m["kind"] == kind]
        return [int(note["helm.sh/hook-weight"]) for note in notes if "helm.sh/hook" in note]

    assert len(weights("NetworkPolicy")) == len(weights("Job")) > 0
    assert max(weights("NetworkPolicy")) < min(weights("Job"))


def namespace(name: str) -> list[Any]:
    return [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}]


def port(number: int) -> list[Any]:
    return [{"port": number, "protocol": "TCP"}]


def store(endpoint: str) -> dict[str, Any]:
    return {"model": {"source": {"type": "s3", "uri": "s3://b/m", "existingSecret": "s", "endpoint": endpoint}}}


def env(name: str, value: str) -> dict[str, Any]:
    return {"engine": {"env": {name: value}}}


def block(cidr: str, number: int) -> tuple[Any, Any]:
    return [{"ipBlock": {"cidr": cidr}}], port(number)


def streamed(kind: str, uri: str, **more: str) -> dict[str, Any]:
    return {"model": {"source": {"type": kind, "uri": uri, **more}}}


OPENED: dict[str, tuple[dict[str, Any], tuple[Any, Any]]] = {
    "store in the cluster": (store("http://minio.minio:9000"), (namespace("minio"), None)),
    "store by its whole name": (store("https://s.data.svc.cluster.local/x"), (namespace("data"), None)),
    "store beside it": (store("http://minio:9000"), ([{"podSelector": {}}], None)),
    "store by address": (store("http://10.1.2.3:9000"), block("10.1.2.3/32", 9000)),
    "mirror": (env("HF_ENDPOINT", "http://hub.mirror.svc:8080"), (namespace("mirror"), None)),
    "proxy": (
        {"engine": {"extraEnv": [{"name": "HTTPS_PROXY", "value": "http://squid.proxy:3128"}]}},
        (namespace("proxy"), None),
    ),
    "collector by variable": (
        env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel.obs.svc:4318"),
        (namespace("obs"), None),
    ),
    "identity of AWS": (streamed("s3", "s3://b/m"), block("169.254.170.23/32", 80)),
    "identity of Google": (streamed("gcs", "gs://b/m"), block("169.254.169.252/32", 988)),
    "identity of Azure": (streamed("azure", "az://b/m", account="acc"), block("169.254.169.254/32", 80)),
}


@pytest.mark.parametrize("name", OPENED)
def test_what_a_feature_needs_is_opened_by_it(name: str) -> None:
    changes, expected = OPENED[name]
    found = policies(in_process(merge(merge(BASE, ISOLATED), changes)))["api"]["egress"]
    assert expected in peers(found)
    assert {"port": 53, "protocol": "UDP"} in found[0]["ports"]


def test_a_collector_does_not_open_the_hub_and_a_proxy_is_the_downloads_alone() -> None:
    changes = {"model": {"path": "/m"}, "engine": {"env": {"HTTPS_PROXY": "http://squid.proxy:3128"}}}
    assert policies(in_process(merge(merge(BASE, ISOLATED), changes)))["api"]["egress"] == []


ROUTED: dict[str, dict[str, Any]] = {
    "gateway": {"gateway": {"enabled": True, "parents": [{"name": "gw"}]}},
    "ingress": {"ingress": {"enabled": True}},
}


@pytest.mark.parametrize("kind", ROUTED)
def test_a_controller_in_another_namespace_is_named_or_the_pair_refused(kind: str) -> None:
    values = merge(merge(BASE, ISOLATED), {"expose": {"host": "h.example.com", **ROUTED[kind]}, "skipApiCheck": True})
    with pytest.raises(RefusedError, match=f"expose.{kind}.enabled are true, but networkPolicy.routers is empty"):
        in_process(values)
    for key in ("routers", "clients"):
        named = in_process(merge(values, {"networkPolicy": {key: namespace("traefik")}}))
        assert namespace("traefik")[0] in policies(named)["api"]["ingress"][0]["from"]


def test_openshifts_routers_are_let_in_by_themselves() -> None:
    values = merge(
        merge(BASE, ISOLATED), {"expose": {"host": "h.example.com", "route": {"enabled": True}}, "skipApiCheck": True}
    )
    (peer,) = policies(in_process(values))["api"]["ingress"][0]["from"][1:2]
    assert peer == {"namespaceSelector": {"matchLabels": {"policy-group.network.openshift.io/ingress": ""}}}


CA = {
    "extraVolumes": [
        {"name": "ca", "configMap": {"name": "ca"}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "d"}},
    ],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca"}, {"name": "data", "mountPath": "/data"}],
    "engine": {"env": {"SSL_CERT_FILE": "/ca/ca.crt", "HTTPS_PROXY": "http://p:1"}},
}


@pytest.mark.parametrize("name", ["init container", "job", "hook", "adapter of a folder", "tgis"])
def test_an_authority_reaches_every_container_that_asks_the_hub(name: str) -> None:
    manifests = in_process(merge(merge(BASE, WHO[name][0]), CA))
    asked = 0
    for template in all_pods(manifests):
        for container in containers(template["spec"]):
            if container["name"].startswith(("fetch", "download")):
                asked += 1
                assert {"name": "ca", "mountPath": "/ca"} in container["volumeMounts"]
                assert {"name": "SSL_CERT_FILE", "value": "/ca/ca.crt"} in container["env"]
                assert "ca" in {volume["name"] for volume in template["spec"]["volumes"]}
                assert "data" not in {mount["name"] for mount in container["volumeMounts"]}
    assert asked


def test_the_load_format_reaches_the_download_of_the_model_alone() -> None:
    values = {"engine": {"args": {"load-format": "mistral"}, "lora": {"adapters": [{"name": "a", "id": "org/a"}]}},
              "model": {"download": {"mode": "init"}}}  # fmt: skip
    (template,) = templates(in_process(merge(BASE, values)))
    told = {c["name"]: {e["name"]: e.get("value") for e in c["env"]} for c in template["spec"]["initContainers"]}
    assert told["fetch-model"]["DOWNLOAD_FORMAT"] == "mistral"
    assert "DOWNLOAD_FORMAT" not in told["fetch-extra-0"]


def test_the_test_of_tgis_finds_the_engines_image() -> None:
    """Where GPU nodes are tainted, and where the account holds the registry's password."""
    gpu = {"gpu": {"nodeSelector": {"gpu": "t4"}, "tolerations": [{"key": "gpu", "operator": "Exists"}]}}
    (pod,) = [m for m in in_process(merge(merge(BASE, TGIS), gpu)) if m["kind"] == "Pod"]
    assert pod["spec"]["nodeSelector"] == {"gpu": "t4"}
    assert {"key": "gpu", "operator": "Exists"} in pod["spec"]["tolerations"]
    assert pod["spec"]["serviceAccountName"]


@pytest.mark.parametrize("layout", ["lws", "statefulset", "ray"])
def test_a_groups_secret_reaches_every_member(layout: str) -> None:
    changes = merge(LAYOUTS[layout], {"auth": {"group": {"existingSecret": "trust"}}})
    for values, expected in ((merge(BASE, changes), True), (merge(BASE, LAYOUTS[layout]), False)):
        for template in templates(in_process(values)):
            env = {entry["name"]: entry for entry in template["spec"]["containers"][0]["env"]}
            assert ("GROUP_SECRET" in env) == expected
            if expected:
                assert env["GROUP_SECRET"]["valueFrom"]["secretKeyRef"] == {"name": "trust", "key": "secret"}
        assert ("auth.group.existingSecret is empty" in notes(values)) != expected


@pytest.mark.parametrize("served", ["Bob's model", 'a "b" c', "x'; rm -rf /; '"])
@pytest.mark.parametrize("task", ["generate", "embed"])
def test_commands_of_notes_are_quoted(served: str, task: str) -> None:
    printed = notes(merge(BASE, {"model": {"servedName": served, "task": task}}))
    command = next(line for line in printed.splitlines() if line.lstrip().startswith("-d "))
    assert json.loads(shlex.split(command)[1])["model"] == served


@pytest.mark.parametrize(("changes", "port"), [({}, "http"), (LWS, "group")])
def test_probes_of_nodes_are_let_in_where_the_network_does_not(
    render: Renderer, changes: dict[str, Any], port: str
) -> None:
    given_nodes = {"networkPolicy": {"enabled": True, "nodes": ["10.0.0.0/24"]}}
    manifests = render(merge(merge(BASE, changes), given_nodes))
    assert policies(manifests)["api"]["ingress"][-1] == {
        "from": [{"ipBlock": {"cidr": "10.0.0.0/24"}}],
        "ports": [{"port": port, "protocol": "TCP"}],
    }
    container = templates(manifests)[0]["spec"]["containers"][0]
    assert container["readinessProbe"]["httpGet"]["port"] == port


@pytest.mark.parametrize("name", CI)
def test_every_pod_meets_pod_security_restricted(render: Renderer, name: str) -> None:
    specs = pods(render(CI[name]))
    assert len(specs) >= 2
    found = [problem for spec in specs for problem in restricted(spec)]
    if name in NEEDS_MORE:
        assert found
        assert all(NEEDS_MORE[name] in problem or "runAsUser 0" in problem for problem in found)
    else:
        assert found == []


@pytest.mark.parametrize("name", sorted(set(CI) - set(NEEDS_MORE)))
def test_every_pod_meets_restricted_v2_of_openshift(render: Renderer, name: str) -> None:
    specs = pods(render(merge(CI[name], {"platform": "openshift"})))
    assert [problem for spec in specs for problem in restricted_v2(spec)] == []
    fixed = merge(CI[name], {"security": {"runAsUser": RANGE[5], "fsGroup": RANGE[5]}})
    assert [problem for spec in pods(render(fixed)) for problem in restricted_v2(spec)] == []
    plain = pods(render(merge(CI[name], {"platform": "kubernetes"})))
    assert "outside" in " ".join(restricted_v2(plain[0]))


@pytest.mark.parametrize("name", CI)
def test_no_pod_carries_a_token_of_the_cluster(render: Renderer, name: str) -> None:
    manifests = render(CI[name])
    for spec in pods(manifests):
        # a hook's Job asks the API server, with an account and a Role of its own
        asks = spec["containers"][0]["command"][:2] == ["python3", "/release/release.py"]
        assert spec["automountServiceAccountToken"] is asks
        assert spec["enableServiceLinks"] is False
        assert not [v for v in spec.get("volumes", []) for s in v.get("projected", {}).get("sources", []) if
                    "serviceAccountToken" in s]  # fmt: skip
    accounts = [one for one in manifests if one["kind"] == "ServiceAccount"]
    assert accounts
    assert all(one["automountServiceAccountToken"] is False for one in accounts)
    assert not [m for m in manifests if m["kind"] in {"ClusterRole", "ClusterRoleBinding", "Secret"}]
    for role in (m for m in manifests if m["kind"] == "Role"):
        assert all(rule["verbs"] == ["get"] and rule["resourceNames"] for rule in role["rules"])


@pytest.mark.parametrize("name", CI)
def test_every_image_comes_from_the_mirror_and_may_be_a_digest(render: Renderer, name: str) -> None:
    digests = {
        "engine": {"image": {"digest": "sha256:" + "a" * 64}},
        "test": {"image": {"digest": "sha256:" + "b" * 64}},
        "initContainers": [],  # containers of the user's own name their images whole
        "sidecars": [],
    }
    changes = merge(merge(CI[name], {"global": {"imageRegistry": "mirror.local:5000/all"}}), digests)
    images = [container["image"] for spec in pods(render(changes)) for container in containers(spec)]
    assert images
    for image in images:
        assert image.startswith("mirror.local:5000/all/"), image
        assert "@sha256:" in image, image


TOKEN = re.compile(r"hf_[A-Za-z0-9]{20,}")  # names such as hf_hub_download are none


@given(secret=st.from_regex(r"hf_[A-Za-z0-9]{34}", fullmatch=True), name=st.sampled_from(sorted(CI)))
@law(5, nightly=15)
def test_a_token_has_no_way_into_what_is_rendered(secret: str, name: str) -> None:
    """Tokens come by reference: where a user writes one in their place, nothing is rendered; NOTES show none."""
    for changes in (
        {"engine": {"env": {"HF_TOKEN": secret}}},
        {"engine": {"env": {"VLLM_API_KEY": secret}}},
        {"engine": {"extraEnv": [{"name": "HUGGING_FACE_HUB_TOKEN", "value": secret}]}},
        {"engine": {"args": {"api-key": secret}}},
        {"engine": {"args": {"hf-token": secret}}},
        {"engine": {"extraArgs": [f"--hf-token={secret}"]}},
        {"podAnnotations": {"token": f"Bearer {secret}"}},
        {"service": {"annotations": {"token": secret}}},
        {"plan": {"summary": secret}},
        {"auth": {"hfToken": {"value": secret}}},
        {"scaling": {"keda": {"enabled": True, "serverAddress": f"http://a:{secret}@p"}}},
    ):
        with pytest.raises(RefusedError) as refused:
            in_process(merge(CI[name], changes))
        # what the schema refuses is quoted to the user who wrote it
        assert secret not in str(refused.value) or "specifications of the schema" in str(refused.value)
    by_reference = {"auth": {"hfToken": {"existingSecret": "hf"}}}
    for manifest in in_process(merge(CI[name], by_reference)):
        assert not TOKEN.search(json.dumps(manifest))
    assert not TOKEN.search(notes(merge(CI[name], by_reference)))


@pytest.mark.parametrize("layout", ["lws", "statefulset", "ray"])
def test_a_hook_makes_a_groups_secret_and_may_do_nothing_else(layout: str) -> None:
    values = merge(merge(BASE, LAYOUTS[layout]), merge(ISOLATED, {"auth": {"group": {"create": True}}}))
    manifests = in_process(values)
    (role,) = [m for m in manifests if m["kind"] == "Role" and m["metadata"]["name"].endswith("-secret")]
    assert role["rules"] == [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}]
    (job,) = [m for m in manifests if m["kind"] == "Job" and m["metadata"]["name"].endswith("-secret")]
    pod = job["spec"]["template"]
    name, key = pod["spec"]["containers"][0]["command"][-2:]
    for template in templates([m for m in manifests if m["kind"] != "Job"]):
        env = {entry["name"]: entry for entry in template["spec"]["containers"][0]["env"]}
        assert env["GROUP_SECRET"]["valueFrom"]["secretKeyRef"] == {"name": name, "key": key}
        assert template["spec"]["automountServiceAccountToken"] is False
    assert restricted(pod["spec"]) == []
    policed = [m for m in manifests if m["kind"] == "NetworkPolicy"]
    own = [m for m in policed if selects(m["spec"]["podSelector"], pod["metadata"]["labels"])]
    assert [m["spec"]["ingress"] for m in own] == [[]]
    hooks = [m for m in manifests if m["metadata"]["name"].endswith("-secret")]
    weights = {m["kind"]: int(m["metadata"]["annotations"]["helm.sh/hook-weight"]) for m in hooks}
    assert weights.pop("Job") > max(weights.values())
    assert "helm uninstall keeps the Secret" in notes(values)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (merge(LWS, {"auth": {"group": {"create": True, "existingSecret": "s"}}}), "would come from two places"),
        ({"auth": {"group": {"create": True}}}, "auth.group is set, but parallelism.nodes is 1"),
        ({"auth": {"group": {"existingSecret": "s"}}}, "auth.group is set, but parallelism.nodes is 1"),
    ],
)
def test_a_secret_without_a_group_or_from_two_places_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(RefusedError, match=text):
        in_process(merge(BASE, changes))
