"""Refusals about data and expert parallel: exact text, and a neighbour that passes."""

from typing import Any

from support.helm import engine, find, flags, in_process, merge
from support.refusals import Refusal, refusal_tests

BASE: dict[str, Any] = {"model": {"id": "org/model"}, "storage": {"type": "emptyDir"}}
TWO: dict[str, Any] = {"parallelism": {"data": 2, "gpusPerNode": 2}}
PODS: dict[str, Any] = {"parallelism": {"data": 2, "nodes": 2, "controller": "statefulset"}}
RAY: dict[str, Any] = {"engine": {"hasRay": True}, "parallelism": {"executor": "ray"}}
TGI: dict[str, Any] = {"engine": {"type": "tgi", "version": "3.3.7"}, "security": {"allowRoot": True}}
CASES: dict[str, Refusal] = {
    "sizes": (
        {"parallelism": {"data": 4, "gpusPerNode": 2}},
        "parallelism.tensor (1) x parallelism.pipeline (1) x parallelism.data (4) needs 4 GPUs, but nodes (1) x "
        "gpusPerNode (2) gives 2. Make both products equal.",
        {"parallelism": {"data": 4, "gpusPerNode": 4}},
    ),
    "another engine": (
        merge(TGI, TWO),
        "parallelism.data is 2, but engine.type tgi knows no data parallel. Set parallelism.data=1 and replicas=2, or "
        "engine.type=vllm.",
        TWO,
    ),
    "an old engine": (
        merge(TWO, {"engine": {"version": "0.8.5"}, "drain": {"shutdownTimeoutSeconds": 0}}),
        "parallelism.data is 2, but vllm 0.8.5 cannot be started that way (0.9.2 and newer can). Set "
        "parallelism.data=1 and replicas=2, or a newer engine.version.",
        merge(TWO, {"engine": {"version": "0.9.2"}, "drain": {"shutdownTimeoutSeconds": 0}}),
    ),
    "Ray": (
        merge(PODS, RAY),
        "parallelism.data is 2, but with parallelism.executor ray the engines of several pods wait for each other for "
        "ever (vLLM issue 44878). Set parallelism.executor=mp and parallelism.controller to statefulset or "
        "leaderworkerset.",
        PODS,
    ),
    "RayCluster": (
        merge(merge(PODS, RAY), {"parallelism": {"controller": "raycluster"}}),
        "parallelism.data is 2, but with parallelism.executor ray the engines of several pods wait for each other for "
        "ever (vLLM issue 44878). Set parallelism.executor=mp and parallelism.controller to statefulset or "
        "leaderworkerset.",
        merge(PODS, {"parallelism": {"controller": "leaderworkerset"}}),
    ),
    "half an engine in a pod": (
        merge(PODS, {"parallelism": {"data": 3, "tensor": 2, "gpusPerNode": 3}}),
        "parallelism.data (3) does not divide by parallelism.nodes (2): every pod holds whole engines. Set "
        "parallelism.data to a multiple of parallelism.nodes, or parallelism.data=1.",
        merge(PODS, {"parallelism": {"data": 4, "tensor": 2, "gpusPerNode": 4}}),
    ),
    "API servers of one engine": (
        {"parallelism": {"apiServers": 2}},
        "parallelism.apiServers is 2, but parallelism.data is 1: one engine needs one API server. Set "
        "parallelism.apiServers=1.",
        merge(TWO, {"parallelism": {"apiServers": 2}}),
    ),
    "experts of another engine": (
        merge(TGI, {"parallelism": {"tensor": 2, "gpusPerNode": 2, "expert": True}}),
        "parallelism.expert is true, but engine.type tgi knows no expert parallel. Set parallelism.expert=false, or "
        "engine.type=vllm.",
        {"parallelism": {"tensor": 2, "gpusPerNode": 2, "expert": True}},
    ),
    "experts over one rank": (
        {"parallelism": {"expert": True}},
        "parallelism.expert is true, but parallelism.tensor and parallelism.data are 1: there is no rank to divide "
        "experts over. Set parallelism.expert=false, or raise one of them.",
        merge(TWO, {"parallelism": {"expert": True}}),
    ),
    "flag": (
        {"engine": {"args": {"data-parallel-size": 2}}},
        "engine.args.data-parallel-size is set by the chart. Use parallelism.data.",
        TWO,
    ),
    "flag of experts": (
        {"engine": {"args": {"enable-expert-parallel": True}}},
        "engine.args.enable-expert-parallel is set by the chart. Use parallelism.expert.",
        {"engine": {"args": {"enable-eplb": True}}},
    ),
}


test_refused_with_the_exact_text, test_the_neighbour_passes = refusal_tests(BASE, CASES)


def test_one_pod_has_all_flags_in_its_command_line() -> None:
    manifests = in_process(merge(BASE, merge(TWO, {"parallelism": {"expert": True, "apiServers": 2}})))
    found = flags(manifests)
    assert (found["--data-parallel-size"], found["--api-server-count"]) == ("2", "2")
    assert found["--enable-expert-parallel"] == ""
    assert engine(manifests)["command"] == ["vllm", "serve"]


def test_several_pods_leave_what_differs_to_their_supervisor() -> None:
    manifests = in_process(merge(BASE, merge(PODS, {"networkPolicy": {"enabled": True}})))
    container = engine(manifests)
    words = ["python3", "/llm/group/group.py", "--executor", "mp", "--data", "2", "--api-servers", "1", "--"]
    assert container["command"] == [*words, "vllm", "serve"]
    assert "--api-server-count" not in container["args"]  # a member without API refuses it
    assert {"name": "data-parallel", "containerPort": 29550, "protocol": "TCP"} in container["ports"]
    services = {one["metadata"]["name"]: one["spec"] for one in manifests if one["kind"] == "Service"}
    assert {"name": "data-parallel", "port": 29550, "protocol": "TCP"} in services["mistral-llm-serving-group"]["ports"]
    assert all(port["name"] != "data-parallel" for port in services["mistral-llm-serving"]["ports"])


def test_the_network_policy_lets_members_talk_and_nobody_else_reach_their_ports() -> None:
    manifests = in_process(merge(BASE, merge(PODS, {"networkPolicy": {"enabled": True}})))
    policies = {one["metadata"]["name"]: one["spec"] for one in manifests if one["kind"] == "NetworkPolicy"}
    (members,) = policies["mistral-llm-serving-group-0"]["ingress"]
    assert "ports" not in members  # besides 29550 the engines choose theirs at random
    assert members["from"][0]["podSelector"]["matchLabels"]["llm-serving/group"] == "0"
    for rule in policies["mistral-llm-serving-api"]["ingress"]:
        assert {port["port"] for port in rule["ports"]} <= {"http", "group"}


def test_nothing_of_it_is_there_by_default() -> None:
    manifests = in_process(BASE)
    assert not {"--data-parallel-size", "--api-server-count", "--enable-expert-parallel"} & set(flags(manifests))
    assert find(manifests, "Deployment")
