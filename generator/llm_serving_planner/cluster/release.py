"""Logs and plan of a release in a cluster, through kubectl: reads only."""

import itertools
from dataclasses import dataclass
from typing import Any

from llm_serving_planner.base.documents import parse_documents
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.shapes import check_shape
from llm_serving_planner.cluster.kubectl import Client

_CONTAINER = "engine"
_PLAN_KEY = "plan.yaml"


@dataclass(frozen=True, slots=True)
class Release:
    """What a cluster knows of one release.

    Attributes:
        logs: text by pod; of a pod that keeps restarting the log of the start before.
        plan: the `plan` block of the values, None when they had none.
        killed: pods whose engine the kernel ended for host memory.
        args: flags of the first pod's engine, without dashes, as numbers where they are such.
    """

    logs: dict[str, str]
    plan: dict[str, Any] | None
    killed: tuple[str, ...]
    args: dict[str, Any]


def read_release(name: str, namespace: str) -> Release:
    """Ask the cluster that kubectl or oc is logged in to.

    Raises:
        InputError: no client, no answer, or no pods of that release.
    """
    client = Client.find(option="--release", missing="give the log as a file, or - for stdin", way_out=None)
    selector = f"app.kubernetes.io/instance={name},app.kubernetes.io/component"
    pods = client.items("pods", namespace, selector=f"{selector}=engine")
    if not pods:
        raise InputError(
            f"--release {name}: namespace {namespace} has no pods of it",
            hint=f"`helm list -n {namespace}` shows the releases; --namespace names another",
        )
    logs: dict[str, str] = {}
    killed = []
    for pod in sorted(pods, key=lambda item: str(item["metadata"]["name"])):
        pod_name = str(pod["metadata"]["name"])
        restarting, reason = _state(pod)
        if reason == "OOMKilled":
            killed.append(pod_name)
        logs[pod_name] = client.logs(pod_name, _CONTAINER, namespace, previous=restarting)
    maps = client.items("configmaps", namespace, selector=f"{selector}=plan")
    plan = None
    if maps:
        where = f"ConfigMap {maps[0]['metadata']['name']}"
        documents = parse_documents(str((maps[0].get("data") or {}).get(_PLAN_KEY, "")), where)
        plan = documents[0] if documents and isinstance(documents[0], dict) else None
        if plan is not None:
            check_shape("planBlock", plan, where)
    return Release(logs, plan, tuple(killed), _args(pods[0]))


def _args(pod: dict[str, Any]) -> dict[str, Any]:
    """`--max-model-len 8192` of the engine's container as {"max-model-len": 8192}."""
    found: dict[str, Any] = {}
    for container in (pod.get("spec") or {}).get("containers") or []:
        words = [str(word) for word in container.get("args") or []] if container.get("name") == _CONTAINER else []
        for flag, value in itertools.pairwise(words):
            if flag.startswith("--") and not value.startswith("--"):
                found[flag.removeprefix("--")] = _number(value)
    return found


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _state(pod: dict[str, Any]) -> tuple[bool, str]:
    """(the log of the start before is the telling one, why that start ended)."""
    for status in (pod.get("status") or {}).get("containerStatuses") or []:
        if status.get("name") == _CONTAINER:
            last = (status.get("lastState") or {}).get("terminated") or {}
            waiting = (status.get("state") or {}).get("waiting") or {}
            restarting = bool(last) and waiting.get("reason") == "CrashLoopBackOff"
            ended = (status.get("state") or {}).get("terminated") or last
            return restarting, str(ended.get("reason", ""))
    return False, ""
