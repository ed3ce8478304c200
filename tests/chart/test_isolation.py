"""Networks, users, tokens and images: what a pod may reach, be and carry."""

import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.helm import CHART, RefusedError, Renderer, find, in_process, merge, notes, templates
from support.laws import law
from support.pod_rules import RANGE, containers, restricted, restricted_v2
from support.releases import BASE, ENGINES, LWS, RAY, STATEFULSET

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
    assert set(found) == {"api", *names}
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
    local = merge(merge(BASE, ISOLATED), {"model": {"path": "/opt/model"}})
    (dns,) = policies(render(local))["api"]["egress"]
    assert {(port["port"], port["protocol"]) for port in dns["ports"]} == {
        (53, "UDP"), (53, "TCP"), (5353, "UDP"), (5353, "TCP"),
    }  # fmt: skip
    more = merge(local, {"networkPolicy": {"extraEgress": [{"to": [{"podSelector": {}}]}], "dns": []}})
    assert policies(render(more))["api"]["egress"] == [{"to": [{"podSelector": {}}]}]


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
