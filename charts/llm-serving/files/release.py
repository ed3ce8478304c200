# Made by `make generate` from generator/supervisor/release.py; change that file.
"""What Helm's hooks do beside a live release: refuse a change that would break it, and wait until it serves.

    release.py guard   before an upgrade or a rollback: the objects as they are against those that are to come
    release.py wait    after an install, an upgrade or a rollback: until every workload is as its object says

It only reads, through the API server of its own cluster, what its Role names. EXPECTED is a JSON list, an object each:
{"kind", "name", "path" (of the API), and, for a guard, "claim" (spec of a claim), "claims" (its claim templates),
"autoscaled" (it names no number of replicas)}. What it may not read or cannot reach refuses nothing.
"""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT = Path(os.environ.get("ACCOUNT_FOLDER", "/var/run/secrets/kubernetes.io/serviceaccount"))
ANSWER_SECONDS = 10.0
PAUSE_SECONDS = float(os.environ.get("PAUSE_SECONDS", "3"))
MOST_BYTES = 4 * 1024 * 1024
# Suffixes of k8s.io/apimachinery pkg/api/resource/suffix.go (Kubernetes 1.35, read 2026-11-29).
SUFFIXES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18,
            "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}  # fmt: skip
PAGE = "see docs/operations.md, Changing storage"


class UnknownError(Exception):
    """The API server does not tell."""


def read(path: str) -> dict[str, Any] | None:
    """An object of the API, None where there is none."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    scheme = os.environ.get("API_SCHEME", "https")
    address = f"{scheme}://[{host}]:{port}{path}" if ":" in host else f"{scheme}://{host}:{port}{path}"
    try:
        token = (ACCOUNT / "token").read_text().strip()  # anew each time: it is rotated
        context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt")) if scheme == "https" else None
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - no file:
        handlers: list[Any] = [urllib.request.ProxyHandler({})]  # the API server is in the cluster: no proxy
        if context is not None:
            handlers.append(urllib.request.HTTPSHandler(context=context))
        with urllib.request.build_opener(*handlers).open(request, timeout=ANSWER_SECONDS) as answer:
            found = json.loads(answer.read(MOST_BYTES))
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise UnknownError(f"HTTP {error.code}") from error
    except (OSError, ValueError) as error:
        raise UnknownError(str(error)) from error
    if not isinstance(found, dict):
        raise UnknownError("the answer is no object")
    return found


def size(text: Any) -> float:
    """Bytes of a quantity; 0 of what is none."""
    found = re.fullmatch(r"([0-9.]+)([A-Za-z]{0,2})", str(text))
    return float(found[1]) * SUFFIXES.get(found[2], 1) if found else 0.0


def storage(spec: dict[str, Any]) -> Any:
    """The size that a claim's spec asks for."""
    return ((spec.get("resources") or {}).get("requests") or {}).get("storage", "0")


def claim_problems(name: str, now: dict[str, Any], then: dict[str, Any]) -> Iterator[str]:
    """What a claim cannot become: its size only grows, its class and access modes stay."""
    spec = now.get("spec") or {}
    if size(storage(then)) < size(storage(spec)):
        yield (f"storage.size is {storage(then)}, but the claim {name} has {storage(spec)}, and a claim only grows. "
               f"Set storage.size={storage(spec)}, or make another claim: {PAGE}.")  # fmt: skip
    for field, key in (("storageClassName", "storage.storageClass"), ("accessModes", "storage.accessMode")):
        wanted, there = then.get(field), spec.get(field)
        if wanted and wanted != there:
            yield (f"{key} is {words(wanted)}, but the claim {name} has {words(there)}, which never changes. Set "
                   f"{key} to {words(there)}, or make another claim: {PAGE}.")  # fmt: skip


def words(value: Any) -> str:
    """A value as people write it."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def template_problems(kind: str, name: str, now: dict[str, Any], then: list[dict[str, Any]]) -> Iterator[str]:
    """Claims of a controller's pods: the API server refuses others, and the operator of a group fails for ever."""
    spec = now.get("spec") or {}
    there = (spec.get("leaderWorkerTemplate") or spec).get("volumeClaimTemplates") or []
    before, after = ([shape(one) for one in templates] for templates in (there, then))
    if before != after:
        yield (f"{kind} {name} has {shown(there)} for its pods, and is to have {shown(then)}: that never changes in "
               f"place. Keep storage.type, size, class and access mode, or make it anew: {PAGE}.")  # fmt: skip


def shape(template: dict[str, Any]) -> tuple[Any, ...]:
    """What must be equal of a claim template; a class that is left away is the cluster's default."""
    spec = template.get("spec") or {}
    return (template["metadata"].get("name"), tuple(spec.get("accessModes") or ()), spec.get("storageClassName") or "",
            size(storage(spec)))  # fmt: skip


def shown(templates: list[dict[str, Any]]) -> str:
    """Claim templates in words."""
    return ", ".join(f"a claim of {storage(one.get('spec') or {})}" for one in templates) or "no claim"


def replica_problems(kind: str, name: str, now: dict[str, Any]) -> Iterator[str]:
    """An object that names no replicas any more has one at once, before an autoscaler acts."""
    replicas = int((now.get("spec") or {}).get("replicas", 1))
    owners = {
        str(entry.get("manager"))
        for entry in now["metadata"].get("managedFields") or []
        if "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
    }
    if replicas > 1 and owners and all(owner.startswith("helm") for owner in owners):
        own = {"apiVersion": now["apiVersion"], "kind": kind, "metadata": {"name": name},
               "spec": {"replicas": replicas}}  # fmt: skip
        yield (f"scaling is switched on, but Helm owns the {replicas} replicas of {kind} {name}: {replicas - 1} of "
               f"them would end before the autoscaler acts. First: echo '{json.dumps(own)}' | kubectl apply "
               f"--server-side --field-manager=autoscaling -n {now['metadata'].get('namespace')} -f -  Then upgrade "
               "with Helm 4 and --server-side=true.")  # fmt: skip


def problems(wanted: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """Everything that stands against one object."""
    kind, name = str(wanted["kind"]), str(wanted["name"])
    if "claim" in wanted:
        yield from claim_problems(name, now, wanted["claim"])
    if "claims" in wanted:
        yield from template_problems(kind, name, now, wanted["claims"])
    if wanted.get("autoscaled"):
        yield from replica_problems(kind, name, now)


def guard(expected: list[dict[str, Any]]) -> int:
    """1 where a change would break what runs."""
    found: list[str] = []
    for wanted in expected:
        what = f"{wanted['kind']} {wanted['name']}"
        try:
            now = read(wanted["path"])
        except UnknownError as error:
            print(f"guard: {what} is not known ({error}): nothing is refused for it", flush=True)
            continue
        if now is not None:
            found += problems(wanted, now)
    for number, text in enumerate(found, 1):
        print(f"{number}. {text}", flush=True)
    if found:
        print("Nothing was changed: the release serves on. hooks.guard.enabled=false goes on all the same.", flush=True)
    else:
        print("guard: nothing stands against the change", flush=True)
    return 1 if found else 0


def unready(wanted: dict[str, Any], now: dict[str, Any] | None) -> str:
    """What a workload still lacks; empty when every engine of its newest form serves."""
    if now is None:
        return "is not there"
    spec, status = now.get("spec") or {}, now.get("status") or {}
    generation = now["metadata"].get("generation")
    seen = status.get("observedGeneration", generation)
    if seen != generation:
        return f"its controller has seen generation {seen} of {generation}"
    if wanted["kind"] == "RayCluster":
        return ray_unready(spec, status)
    replicas = int(spec.get("replicas", 1))
    counts = {"ready": status.get("readyReplicas", 0), "updated": status.get("updatedReplicas", 0),
              "there": status.get("replicas", 0)}  # fmt: skip
    if wanted["kind"] == "StatefulSet" and status.get("currentRevision") == status.get("updateRevision"):
        counts["updated"] = status.get("replicas", 0)
    late = [f"{count} {word}" for word, count in counts.items() if int(count or 0) != replicas]
    return f"of {replicas} replicas {', '.join(late)}" if late else ""


def ray_unready(spec: dict[str, Any], status: dict[str, Any]) -> str:
    """The same of a RayCluster: the head, which is the group's leader, and every worker."""
    conditions = {str(one.get("type")): one.get("status") for one in status.get("conditions") or []}
    workers = sum(int(group.get("replicas") or 0) for group in spec.get("workerGroupSpecs") or [])
    ready = int(status.get("readyWorkerReplicas") or 0)
    if conditions.get("HeadPodReady") != "True":
        return "its head is not ready"
    return "" if ready == workers else f"of {workers} workers {ready} ready"


def wait(expected: list[dict[str, Any]], seconds: float) -> int:
    """0 when all are ready, two times in a row: a controller may not have seen a change yet."""
    deadline = time.monotonic() + seconds
    told, calm = "", 0
    while time.monotonic() < deadline:
        late = []
        for wanted in expected:
            try:
                lack = unready(wanted, read(wanted["path"]))
            except UnknownError as error:
                lack = f"is not known ({error})"
            if lack:
                late.append(f"{wanted['kind']} {wanted['name']}: {lack}")
        calm = 0 if late else calm + 1
        if calm > 1:
            print("wait: every engine serves", flush=True)
            return 0
        if late and "; ".join(late) != told:
            told = "; ".join(late)
            print(f"wait: {told}", flush=True)
        time.sleep(PAUSE_SECONDS)
    print(f"wait: not within {seconds:g} s: {told}", flush=True)
    return 1


def main(arguments: list[str]) -> int:
    """The exit code; 2 for a wrong call."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as PID 1 it would be ignored
    expected = json.loads(os.environ.get("EXPECTED", "[]"))
    if arguments == ["guard"]:
        return guard(expected)
    if arguments == ["wait"]:
        return wait(expected, float(os.environ.get("DEADLINE_SECONDS", "600")))
    print("usage: release.py guard|wait", file=sys.stderr)
    return 2


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        raise SystemExit(143) from None
