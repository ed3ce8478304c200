"""Every switch beside every other: refused with its name, or manifests that mean what they should.

The documents are committed (`make pairs` writes them): to choose them takes longer than to render them.
"""

import copy
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from support import kube_schemas
from support.helm import OPERATORS, ROOT, Manifest, RefusedError, in_process, merge
from support.laws import NIGHTLY
from support.meaning import CHECKS, Release, faults, pods_of
from support.pairs import NAMES, SWITCHES, document, every_pair, named, pairs, read, told, written
from support.releases import BASE, KEDA, LWS, STATEFULSET, TGIS

FILE = ROOT / "tests" / "data" / "pairs.json"
PARTS = 6
ORDINARY = 90  # documents of an ordinary run; the others at night
STALE = "the switches have changed: run make pairs"


@cache
def committed() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Sizes of the switches, and for each document what was chosen and what of it is rendered."""
    found = json.loads(FILE.read_text(encoding="utf-8"))
    return found["switches"], [(chosen, taken) for chosen, taken in found["rows"]]


def other_pods(rows: list[tuple[str, str]], turn: int) -> tuple[Any, ...]:
    """Pods of the document before, under the other name: a second release in the namespace."""
    taken = read(rows[turn - 1][1])
    manifests = in_process(document(taken), name=NAMES[(turn - 1) % 2])
    return tuple(pod for manifest in manifests for pod in pods_of(manifest))


def test_the_committed_documents_hold_every_pair() -> None:
    sizes, rows = committed()
    assert sizes == {path: len(levels) for path, levels in SWITCHES.items()}, STALE
    chosen = [pairs(read(digits)) for digits, _ in rows]
    assert every_pair() - set[Any]().union(*chosen) == set(), STALE
    taken = set[Any]().union(*(pairs(read(digits)) for _, digits in rows))
    assert len(taken) > len(every_pair()) * 17 // 20


@pytest.mark.parametrize("part", range(PARTS))
def test_each_document_is_refused_or_means_what_it_should(part: int) -> None:
    _, rows = committed()
    found = []
    for turn in range(part, len(rows) if NIGHTLY else ORDINARY, PARTS):
        chosen, taken = map(read, rows[turn])
        if chosen != taken and (NIGHTLY or turn % 10 == 0):
            with pytest.raises(RefusedError) as refused:
                in_process(document(chosen), name=NAMES[turn % 2])
            problems = told(str(refused.value))
            assert problems, f"no refusal of ours: {refused.value}"
            assert any(named(chosen, problem) for problem in problems), f"nothing set is named: {refused.value}"
        values = document(taken)
        try:
            manifests = in_process(values, name=NAMES[turn % 2])
        except RefusedError as refused_now:
            pytest.fail(f"{STALE}, or the chart refuses more than it did: {refused_now}")
        for manifest in manifests:
            if manifest["apiVersion"] not in OPERATORS:
                kube_schemas.validate(manifest, kube_schemas.NEWEST)
        release = Release(manifests, values, neighbours=other_pods(rows, turn))
        found += [f"document {turn} ({written(taken)}): {line}" for line in faults(release)]
    assert found == []


def test_the_same_values_render_the_same() -> None:
    """The renderer keeps what it has rendered: a label of an object in extraObjects makes it render anew."""
    _, rows = committed()
    for _, digits in rows[::40]:
        first, second = (in_process(merge(document(read(digits)), {"x-anew": number})) for number in range(2))
        assert first == second


# The checks themselves: each finds what is planted, and nothing in what was not touched.

WATCHED: dict[str, Any] = {
    "tls": {"existingSecret": "engine-tls", "ca": {"existingConfigMap": "engine-ca"}},
    "monitoring": {"serviceMonitor": {"enabled": True}, "tracing": {"endpoint": "http://otel.monitoring:4317"}},
    "networkPolicy": {"enabled": True, "routers": [{"podSelector": {"matchLabels": {"app": "gateway"}}}]},
    "podDisruptionBudget": {"enabled": True},
    "expose": {"host": "llm.example.com", "ingress": {"enabled": True},
               "gateway": {"enabled": True, "parents": [{"name": "gw"}]},
               "route": {"enabled": True, "termination": "reencrypt"}},
    "prePull": {"enabled": True},
    "hooks": {"wait": {"enabled": True}},
}  # fmt: skip
SOUND: dict[str, dict[str, Any]] = {
    "one": merge(merge(BASE, KEDA), WATCHED),
    "group": merge(merge(BASE, STATEFULSET), merge(WATCHED, {"auth": {"group": {"create": True}}})),
    "leaders": merge(merge(BASE, LWS), {
        "monitoring": {"podMonitor": {"enabled": True}}, "networkPolicy": {"enabled": True},
        "gpu": {"dra": {"deviceClassName": "gpu.example.com"}}}),
    "pool": merge(BASE, {"expose": {"inferencePool": {"enabled": True, "picker": "picker"}}}),
    "tgis": merge(merge(BASE, TGIS), {"networkPolicy": {"enabled": True}}),
    "job": merge(BASE, {"model": {"download": {"mode": "job"}},
                        "storage": {"type": "existingClaim", "existingClaim": "c"}}),
}  # fmt: skip
OTHER_TEAMS: dict[str, Any] = {"podSelector": {"matchLabels": {"team": "other"}}}


@cache
def once(name: str, release: str) -> list[Manifest]:
    return in_process(SOUND[name], name=release)


def sound(name: str) -> Release:
    neighbours = tuple(pod for one in once("one", "chat-2") for pod in pods_of(one))
    return Release(copy.deepcopy(once(name, "chat")), SOUND[name], neighbours=neighbours)


def place(release: Release, kind: str, end: str = "") -> Manifest:
    found = [one for one in release.manifests if one["kind"] == kind and one["metadata"]["name"].endswith(end)]
    assert found, (kind, end)
    return found[0]


def pod_spec(release: Release, kind: str = "Deployment", end: str = "") -> dict[str, Any]:
    spec = place(release, kind, end)["spec"]
    return spec["template"]["spec"] if kind != "Pod" else spec  # type: ignore[no-any-return]


def engine(release: Release) -> dict[str, Any]:
    return pod_spec(release)["containers"][0]  # type: ignore[no-any-return]


def metadata(release: Release, kind: str, end: str = "") -> dict[str, Any]:
    return place(release, kind, end)["metadata"]  # type: ignore[no-any-return]


def spec(release: Release, kind: str, end: str = "") -> dict[str, Any]:
    return place(release, kind, end)["spec"]  # type: ignore[no-any-return]


def role_policy(release: Release, end: str) -> dict[str, Any]:
    return spec(release, "NetworkPolicy", f"chat-llm-serving-{end}")


PLANTED: dict[str, tuple[str, str, Callable[[Release], Any]]] = {
    "probe of a port that is not there": ("probes", "one",
        lambda r: engine(r)["readinessProbe"]["httpGet"].update(port="web")),
    "probe in plain text of TLS": ("probes", "one",
        lambda r: engine(r)["startupProbe"]["httpGet"].update(scheme="HTTP")),
    "liveness asks plain text of TLS": ("addresses", "one",
        lambda r: engine(r)["livenessProbe"]["exec"]["command"].append(
        "METRICS_URL=http://localhost:8000/metrics")),
    "liveness asks another port": ("addresses", "one", lambda r: engine(r)["livenessProbe"]["exec"]["command"].append(
        "HEALTH_URL=http://localhost:9000/health")),
    "test asks plain text of TLS": ("addresses", "one", lambda r: pod_spec(r, "Pod")["containers"][0]["env"][0].update(
        value="http://chat-llm-serving.llm.svc:8000")),
    "test asks a port of the Service that is not there": (
        "addresses", "one", lambda r: pod_spec(r, "Pod")["containers"][0]["env"][0].update(
            value="https://chat-llm-serving.llm.svc:80")),
    "Service to a port that is not there": ("services", "one",
        lambda r: spec(r, "Service")["ports"][0].update(targetPort="web")),
    "Service silent about TLS": ("services", "one", lambda r: spec(r, "Service")["ports"][0].pop("appProtocol")),
    "Service wrong about TLS": ("services", "one", lambda r: spec(r, "Service")["ports"][0].update(appProtocol="http")),
    "monitor scrapes plain text of TLS": ("monitors", "one",
        lambda r: spec(r, "ServiceMonitor")["endpoints"][0].pop("scheme")),
    "monitor without authority": ("monitors", "one",
        lambda r: spec(r, "ServiceMonitor")["endpoints"][0].pop("tlsConfig")),
    "monitor of a port that is not there": ("monitors", "one",
        lambda r: spec(r, "ServiceMonitor")["endpoints"][0].update(port="web")),
    "monitor of no Service": ("monitors", "one",
        lambda r: spec(r, "ServiceMonitor")["selector"]["matchLabels"].update(a="b")),
    "monitor of members that do not answer": (
        "monitors", "leaders",
        lambda r: spec(r, "PodMonitor")["selector"]["matchLabels"].pop("leaderworkerset.sigs.k8s.io/worker-index")),
    "monitor in another namespace": ("monitors", "one",
        lambda r: metadata(r, "ServiceMonitor").update(namespace="watch")),
    "Ingress to another Service": ("routes", "one",
        lambda r: spec(r, "Ingress")["rules"][0]["http"]["paths"][0]["backend"][
        "service"].update(name="web")),
    "Ingress to another port": ("routes", "one",
        lambda r: spec(r, "Ingress")["rules"][0]["http"]["paths"][0]["backend"][
        "service"].update(port={"name": "web"})),
    "HTTPRoute to another port": ("routes", "one",
        lambda r: spec(r, "HTTPRoute")["rules"][0]["backendRefs"][0].update(port=80)),
    "HTTPRoute without TLS to the engine": ("routes", "one",
        lambda r: r.manifests.remove(place(r, "BackendTLSPolicy"))),
    "Route that ends TLS before TLS": ("routes", "one", lambda r: spec(r, "Route")["tls"].update(termination="edge")),
    "pool of another port": ("routes", "pool", lambda r: spec(r, "InferencePool")["targetPorts"][0].update(number=80)),
    "pool of other pods": ("routes", "pool",
        lambda r: spec(r, "InferencePool")["selector"]["matchLabels"].update(a="b")),
    "autoscaler of nothing": ("targets", "one", lambda r: spec(r, "ScaledObject")["scaleTargetRef"].update(name="web")),
    "Secret of nobody": ("references", "one", lambda r: pod_spec(r)["volumes"].append(
        {"name": "x", "secret": {"secretName": "nobodys"}})),
    "ConfigMap of nobody": ("references", "one", lambda r: r.manifests.remove(place(r, "ConfigMap", "-liveness"))),
    "claim of nobody": ("references", "one", lambda r: pod_spec(r)["volumes"].append(
        {"name": "x", "persistentVolumeClaim": {"claimName": "nobodys"}})),
    "account of nobody": ("references", "one", lambda r: pod_spec(r).update(serviceAccountName="nobodys")),
    "variable of nobody's Secret": ("references", "one", lambda r: engine(r)["env"].append(
        {"name": "X", "valueFrom": {"secretKeyRef": {"name": "nobodys", "key": "k"}}})),
    "environment of nobody's ConfigMap": ("references", "one", lambda r: engine(r).update(
        envFrom=[{"configMapRef": {"name": "nobodys"}}])),
    "pull secret of nobody": ("references", "one",
        lambda r: pod_spec(r).update(imagePullSecrets=[{"name": "nobodys"}])),
    "claim template of nobody": ("references", "leaders",
        lambda r: r.manifests.remove(place(r, "ResourceClaimTemplate"))),
    "Role of nobody": ("references", "one", lambda r: r.manifests.remove(place(r, "Role"))),
    "Secret that no hook makes": ("references", "group", lambda r: r.manifests.remove(place(r, "Job", "secret"))),
    "Service of another release too": ("selectors", "one", lambda r: spec(r, "Service")["selector"].pop(
        "app.kubernetes.io/instance")),
    "Service of members that do not answer": ("selectors", "group",
        lambda r: spec(r, "Service", "serving")["selector"].pop(
        "apps.kubernetes.io/pod-index")),
    "budget of no pod": ("selectors", "one",
        lambda r: spec(r, "PodDisruptionBudget")["selector"]["matchLabels"].update(a="b")),
    "policy of another release too": ("selectors", "one",
        lambda r: role_policy(r, "api")["podSelector"]["matchLabels"].pop(
        "app.kubernetes.io/instance")),
    "policy of no pod": ("selectors", "one",
        lambda r: role_policy(r, "test")["podSelector"]["matchLabels"].update(a="b")),
    "Deployment of helpers too": ("selectors", "one", lambda r: spec(r, "Deployment")["selector"]["matchLabels"].pop(
        "app.kubernetes.io/component")),
    "members that keep off another release": ("selectors", "group", lambda r: pod_spec(r, "StatefulSet")["affinity"][
        "podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]["labelSelector"].update(
            matchLabels={"app.kubernetes.io/name": "llm-serving"})),
    "no way to the hub": ("egress", "one", lambda r: role_policy(r, "api")["egress"].pop(1)),
    "no way to the collector": ("egress", "one", lambda r: role_policy(r, "api")["egress"].pop()),
    "no names": ("egress", "one", lambda r: role_policy(r, "api")["egress"].pop(0)),
    "no way to the API server": ("egress", "one", lambda r: role_policy(r, "wait").update(egress=[])),
    "no way of the test to the engine": ("egress", "one", lambda r: role_policy(r, "test")["egress"].pop()),
    "no way of the test in": ("egress", "one",
        lambda r: role_policy(r, "api")["ingress"][0].update({"from": [OTHER_TEAMS]})),
    "no way among members": ("egress", "group", lambda r: role_policy(r, "group-0").update(egress=[])),
    "no way in among members": ("egress", "group", lambda r: role_policy(r, "group-0").update(ingress=[])),
    "pod under no policy": ("egress", "one", lambda r: r.manifests.remove(place(r, "NetworkPolicy", "-prepull"))),
    "everybody comes in": ("strangers", "one", lambda r: role_policy(r, "api")["ingress"].append({})),
    "a group's ports are open": ("strangers", "group", lambda r: role_policy(r, "api")["ingress"][0].pop("ports")),
    "another namespace comes in": ("strangers", "tgis", lambda r: role_policy(r, "api")["ingress"][0]["from"].append(
        {"namespaceSelector": {}})),
    "a helper is reached": ("strangers", "one", lambda r: role_policy(r, "wait").update(ingress=[{}])),
    "opening of a port that is not there": ("openings", "one",
        lambda r: role_policy(r, "api")["ingress"][0]["ports"].append(
        {"port": "grpc"})),
    "object twice": ("names", "one", lambda r: r.manifests.append(place(r, "Service"))),
    "volume twice": ("names", "one", lambda r: pod_spec(r)["volumes"].append(pod_spec(r)["volumes"][0])),
    "variable twice": ("names", "one", lambda r: engine(r)["env"].append(engine(r)["env"][0])),
    "port twice": ("names", "one", lambda r: engine(r)["ports"].append({"name": "more", "containerPort": 8000})),
    "mount twice": ("names", "one", lambda r: engine(r)["volumeMounts"].append(engine(r)["volumeMounts"][0])),
    "volume that nobody mounts": ("names", "one",
        lambda r: pod_spec(r)["volumes"].append({"name": "x", "emptyDir": {}})),
    "mount of no volume": ("names", "one",
        lambda r: engine(r)["volumeMounts"].append({"name": "x", "mountPath": "/x"})),
    "device claim that nobody uses": ("names", "one", lambda r: pod_spec(r).update(
        resourceClaims=[{"name": "gpus", "resourceClaimTemplateName": "x"}])),
    "name that is too long": ("names", "group", lambda r: metadata(r, "StatefulSet").update(name="a" * 53)),
    "hook that finds its last object": ("hooks", "one", lambda r: metadata(r, "Job", "-wait")["annotations"].update(
        {"helm.sh/hook-delete-policy": "hook-succeeded"})),
    "test that Argo CD runs": ("hooks", "one",
        lambda r: metadata(r, "Pod")["annotations"].pop("argocd.argoproj.io/hook")),
    "Job that goes by itself": ("hooks", "job", lambda r: spec(r, "Job").update(ttlSecondsAfterFinished=1)),
    "hook before its account": ("hooks", "group", lambda r: metadata(r, "ServiceAccount", "secret").pop("annotations")),
    "hook before its script": ("hooks", "group", lambda r: metadata(r, "ConfigMap", "secret")["annotations"].update(
        {"helm.sh/hook-weight": "0"})),
    "hook before its policy": ("hooks", "one", lambda r: metadata(r, "NetworkPolicy", "-prepull").pop("annotations")),
}  # fmt: skip


@pytest.mark.parametrize("name", SOUND)
def test_sound_manifests_have_no_faults(name: str) -> None:
    assert faults(sound(name)) == []


@pytest.mark.parametrize("defect", PLANTED)
def test_a_planted_defect_is_found(defect: str) -> None:
    check, name, plant = PLANTED[defect]
    release = sound(name)
    plant(release)
    assert list(CHECKS[check](release)), f"{check} does not see: {defect}"


def test_each_check_is_shown_to_fail() -> None:
    assert {check for check, _, _ in PLANTED.values()} == set(CHECKS)


@pytest.mark.parametrize(
    ("refusal", "problems"),
    [
        ("llm-serving: 2 problems with the values:\n  1. a.b is x. Clear it.\n  2. c.d is y.",
         ["a.b is x. Clear it.", "c.d is y."]),
        ("values don't meet the specifications of the schema(s):\nllm-serving:\n- at '/a/b': value must be",
         ["- at '.a.b': value must be"]),
        ("template: llm-serving/templates/x.tpl:3:4: nil pointer evaluating interface {}.a", []),
    ],
)  # fmt: skip
def test_a_crash_is_no_refusal(refusal: str, problems: list[str]) -> None:
    assert told(refusal) == problems


def test_a_problem_names_what_was_set() -> None:
    levels = {**dict.fromkeys(SWITCHES, 0), "tls": 1, "expose.health": 1}
    assert named(levels, "tls.existingSecret (engine-tls) is set.") == ["tls"]
    assert named(levels, "expose.health is true.") == ["expose.health"]
    assert named(levels, "expose.healthy is true.") == []
    assert named(levels, "storage.type is pvc.") == []
