"""What the manifests tell the members of a group: rank, leader, size, and whom the API's Service reaches."""

import re
from typing import Any

import pytest
from support.helm import Renderer, find, merge, templates
from support.releases import BASE, LWS, RAY, STATEFULSET

GROUPS: dict[str, dict[str, Any]] = {"lws": LWS, "statefulset": STATEFULSET, "ray": RAY}
TWO = {"replicas": 2}
FIELD = re.compile(r"metadata\.labels\['(.+)'\]")


def environment(template: dict[str, Any], labels: dict[str, str]) -> dict[str, str]:
    """The engine's variables as the kubelet fills them: fields from the pod's labels, $(NAME) from those before."""
    found = {"LWS_WORKER_INDEX": labels.get("leaderworkerset.sigs.k8s.io/worker-index", ""),
             "LWS_LEADER_ADDRESS": "leader-of-the-operator"}  # fmt: skip
    for entry in template["spec"]["containers"][0]["env"]:
        if "value" in entry:
            found[entry["name"]] = re.sub(r"\$\((\w+)\)", lambda m: found.get(m[1], m[0]), entry["value"])
        elif label := FIELD.fullmatch(entry["valueFrom"].get("fieldRef", {}).get("fieldPath", "")):
            found[entry["name"]] = labels[label[1]]
    return found


def members(manifests: list[dict[str, Any]], layout: str, rank: int) -> list[dict[str, str]]:
    """Variables of the member `rank` of each group, with the labels that its controller gives it."""
    found = []
    for workload in (m for m in manifests if templates([m])):
        own = templates([workload])
        template = own[min(rank, len(own) - 1)]
        given = {"lws": "leaderworkerset.sigs.k8s.io/worker-index", "statefulset": "apps.kubernetes.io/pod-index"}
        labels = {**template["metadata"]["labels"], **({given[layout]: str(rank)} if layout in given else {})}
        found.append(environment(template, labels))
    return found


@pytest.mark.parametrize("layout", GROUPS)
def test_each_member_knows_its_rank_and_its_leader(render: Renderer, layout: str) -> None:
    manifests = render(merge(merge(BASE, GROUPS[layout]), TWO))
    names = {m["metadata"]["name"] for m in manifests if m["kind"] == "Service"}
    for rank in (0, 1):
        for index, found in enumerate(members(manifests, layout, rank)):
            assert (found["GROUP_RANK"], found["GROUP_SIZE"], found["GROUP_GPUS"]) == (str(rank), "2", "1")
            leader = found["GROUP_LEADER"]
            if layout == "lws":
                assert leader == "leader-of-the-operator"
            elif layout == "statefulset":
                pod, service, namespace, kind = leader.split(".")
                assert pod == f"mistral-llm-serving-{index}-0"
                assert service in names
                assert (namespace, kind) == ("llm", "svc")
            else:
                assert leader == f"mistral-llm-serving-{index}-leader.llm.svc"
                assert leader.split(".")[0] in names


@pytest.mark.parametrize("layout", ["statefulset", "ray"])
def test_members_find_a_leader_that_is_not_ready(render: Renderer, layout: str) -> None:
    manifests = render(merge(BASE, GROUPS[layout]))
    (service,) = [m for m in manifests if m["kind"] == "Service" and m["spec"].get("clusterIP") == "None"]
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert [port["port"] for port in service["spec"]["ports"]] == [29400]
    leader = templates(manifests)[0]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= leader.items()


@pytest.mark.parametrize("layout", GROUPS)
def test_a_group_has_as_many_pods_as_the_engine_has_nodes(render: Renderer, layout: str) -> None:
    three = {"parallelism": {"tensor": 3, "nodes": 3}}
    (workload,) = [m for m in render(merge(merge(BASE, GROUPS[layout]), three)) if templates([m])]
    spec = workload["spec"]
    if layout == "lws":
        assert spec["leaderWorkerTemplate"]["size"] == 3
        assert spec["leaderWorkerTemplate"]["restartPolicy"] == "RecreateGroupOnPodRestart"
    elif layout == "statefulset":
        assert (spec["replicas"], spec["podManagementPolicy"]) == (3, "Parallel")
    else:
        (workers,) = spec["workerGroupSpecs"]
        assert [workers[key] for key in ("replicas", "minReplicas", "maxReplicas")] == [2, 2, 2]


@pytest.mark.parametrize("layout", ["one", *GROUPS])
def test_the_api_is_the_leaders_alone(render: Renderer, layout: str) -> None:
    """A worker has no API: a request that reaches one fails."""
    manifests = render(merge(BASE, GROUPS.get(layout, {})))
    service = next(m for m in manifests if m["kind"] == "Service" and m["metadata"]["name"] == "mistral-llm-serving")
    assert {port["name"]: port["targetPort"] for port in service["spec"]["ports"]} == {"http": "http"}
    selector = service["spec"]["selector"]
    leader, *others = [template["metadata"]["labels"] for template in templates(manifests)]
    marks = {
        "lws": {"leaderworkerset.sigs.k8s.io/worker-index": "0"},
        "statefulset": {"apps.kubernetes.io/pod-index": "0"},
    }.get(layout, {})
    assert selector.items() <= {**leader, **marks}.items()
    workers = [{**labels, **dict.fromkeys(marks, "1")} for labels in (others or ([leader] if marks else []))]
    assert not [labels for labels in workers if selector.items() <= labels.items()]


def test_the_container_offers_the_ports_that_services_and_probes_name(render: Renderer) -> None:
    manifests = render(merge(BASE, STATEFULSET))
    ports = {port["name"]: port["containerPort"] for port in templates(manifests)[0]["spec"]["containers"][0]["ports"]}
    assert ports == {"http": 8000, "group": 29401}
    assert find(manifests, "StatefulSet")["spec"]["serviceName"] in {
        m["metadata"]["name"] for m in manifests if m["kind"] == "Service"
    }
