"""What Helm's hooks say to objects of an API server that a test plays."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from supervisor import release
from support.local_server import LocalServer
from support.programs import run_program

CLAIM = "/api/v1/namespaces/n/persistentvolumeclaims/m-models"
GROUP = "/apis/leaderworkerset.x-k8s.io/v1/namespaces/n/leaderworkersets/m-lws"
SETS = "/apis/apps/v1/namespaces/n/statefulsets/m-0"
DEPLOYMENT = "/apis/apps/v1/namespaces/n/deployments/m"


class Handler(BaseHTTPRequestHandler):
    """Objects by path; 404 for others."""

    def log_message(self, *_: Any) -> None:
        """Silent."""

    def do_GET(self) -> None:
        """One object."""
        owner: Any = self.owner  # type: ignore[attr-defined]
        owner.seen.append((self.path, self.headers.get("Authorization")))
        found = owner.objects.get(self.path, 404)
        if callable(found):
            found = found()
        text = json.dumps(found if isinstance(found, dict) else {}).encode()
        self.send_response(200 if isinstance(found, dict) else found)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


class Server(LocalServer):
    """An API server with these objects."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self.seen: list[tuple[str, str | None]] = []
        super().__init__(Handler)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "token").write_text("a-token\n")
    server = Server()
    yield server
    server.close()


def run(api: Server, folder: Path, *words: str, expected: list[dict[str, Any]], **more: str) -> tuple[int, str]:
    host, _, port = api.url.removeprefix("http://").rpartition(":")
    env = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port, "API_SCHEME": "http",
           "ACCOUNT_FOLDER": str(folder), "EXPECTED": json.dumps(expected), "HTTP_PROXY": "http://127.0.0.1:1",
           **more}  # fmt: skip
    done = run_program("release.py", *words, env=env)
    assert done.stderr == ""
    return done.returncode, done.stdout


def claim(size: str, modes: list[str] | None = None, name: str = "") -> dict[str, Any]:
    own = {"accessModes": modes or ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return own | ({"storageClassName": name} if name else {})


def template(size: str, name: str = "") -> dict[str, Any]:
    return {"metadata": {"name": "models"}, "spec": claim(size, name=name)}


@pytest.mark.parametrize(
    ("then", "text"),
    [
        (claim("50Gi"), ""),
        (claim("51200Mi"), ""),
        (claim("60Gi"), ""),
        (claim("50Gi", name="standard"), ""),
        (claim("20Gi"), "storage.size is 20Gi, but the claim m-models has 50Gi, and a claim only grows. Set "
                        "storage.size=50Gi, or make another claim: see docs/operations.md, Changing storage."),
        (claim("50Gi", ["ReadWriteMany"]), "storage.accessMode is ReadWriteMany, but the claim m-models has "
                                           "ReadWriteOnce, which never changes."),
        (claim("50Gi", name="fast"), "storage.storageClass is fast, but the claim m-models has standard, which never "
                                     "changes."),
    ],
)  # fmt: skip
def test_what_a_claim_cannot_become(api: Server, tmp_path: Path, then: dict[str, Any], text: str) -> None:
    api.objects[CLAIM] = {"metadata": {"name": "m-models"}, "spec": claim("50Gi", name="standard")}
    wanted = {"kind": "PersistentVolumeClaim", "name": "m-models", "path": CLAIM, "claim": then}
    code, told = run(api, tmp_path, "guard", expected=[wanted])
    assert code == bool(text)
    assert text in told
    assert ("Nothing was changed" in told) is bool(text)
    assert api.seen == [(CLAIM, "Bearer a-token")]


@pytest.mark.parametrize(
    ("path", "wrap"), [(GROUP, lambda spec: {"leaderWorkerTemplate": spec}), (SETS, lambda spec: spec)]
)
@pytest.mark.parametrize(
    ("now", "then", "text"),
    [
        ([], [], ""),
        ([template("9Gi")], [template("9Gi")], ""),
        (
            [],
            [template("9Gi")],
            "has no claim for its pods, and is to have a claim of 9Gi: that never changes in place.",
        ),
        ([template("9Gi")], [], "has a claim of 9Gi for its pods, and is to have no claim"),
        ([template("9Gi")], [template("12Gi")], "has a claim of 9Gi for its pods, and is to have a claim of 12Gi"),
        ([template("9Gi")], [template("9Gi", "fast")], "that never changes in place"),
    ],
)
def test_claims_of_pods(
    api: Server, tmp_path: Path, path: str, wrap: Any, now: list[Any], then: list[Any], text: str
) -> None:
    api.objects[path] = {"metadata": {"name": "m"}, "spec": wrap({"volumeClaimTemplates": now})}
    code, told = run(api, tmp_path, "guard", expected=[{"kind": "X", "name": "m", "path": path, "claims": then}])
    assert code == bool(text)
    assert text in told


def live(replicas: int, *managers: str) -> dict[str, Any]:
    fields = [{"manager": name, "fieldsV1": {"f:spec": {"f:replicas": {}}}} for name in managers]
    meta = {"name": "m", "namespace": "n", "managedFields": fields}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {"replicas": replicas}}


@pytest.mark.parametrize(
    ("now", "refused"),
    [
        (live(3, "helm"), True),
        (live(1, "helm"), False),
        (live(3, "helm", "autoscaling"), False),
        (live(3, "kube-controller-manager"), False),
        (live(3), False),
    ],
)
def test_an_autoscaler_switched_on(api: Server, tmp_path: Path, now: dict[str, Any], *, refused: bool) -> None:
    api.objects[DEPLOYMENT] = now
    wanted = {"kind": "Deployment", "name": "m", "path": DEPLOYMENT, "autoscaled": True}
    code, told = run(api, tmp_path, "guard", expected=[wanted])
    assert code == refused
    assert ("Helm owns the 3 replicas of Deployment m: 2 of them would end before" in told) is refused
    assert (
        '"spec": {"replicas": 3}}\' | kubectl apply --server-side --field-manager=autoscaling -n n' in told
    ) is refused


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_what_is_not_there_or_not_told_refuses_nothing(api: Server, tmp_path: Path, status: int) -> None:
    """A rollback must not fail because a network policy keeps the hook from the API server."""
    api.objects[CLAIM] = status
    wanted = {"kind": "PersistentVolumeClaim", "name": "m", "path": CLAIM, "claim": claim("1Gi")}
    code, told = run(api, tmp_path, "guard", expected=[wanted])
    assert code == 0
    assert ("is not known" in told) is (status != 404)


def test_an_api_server_that_is_away_refuses_nothing(api: Server, tmp_path: Path) -> None:
    api.close()
    wanted = {"kind": "PersistentVolumeClaim", "name": "m", "path": CLAIM, "claim": claim("1Gi")}
    code, told = run(api, tmp_path, "guard", expected=[wanted])
    assert code == 0
    assert "is not known" in told


def workload(kind: str, spec: dict[str, Any], generation: int = 2, **status: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"generation": generation}, "spec": spec, "status": status}


RAY = {"workerGroupSpecs": [{"replicas": 1}, {"replicas": 2}]}
HEAD = [{"type": "HeadPodReady", "status": "True"}]


@pytest.mark.parametrize(
    ("now", "lack"),
    [
        (None, "is not there"),
        (workload("Deployment", {"replicas": 2}, observedGeneration=1), "its controller has seen generation 1 of 2"),
        (workload("Deployment", {"replicas": 2}, observedGeneration=2, replicas=3, updatedReplicas=2, readyReplicas=2),
         "of 2 replicas 3 there"),
        (workload("Deployment", {"replicas": 2}, observedGeneration=2, replicas=2, updatedReplicas=1, readyReplicas=2),
         "of 2 replicas 1 updated"),
        (workload("Deployment", {"replicas": 2}, observedGeneration=2, replicas=2, updatedReplicas=2, readyReplicas=2),
         ""),
        (workload("Deployment", {"replicas": 0}, observedGeneration=2), ""),
        (workload("LeaderWorkerSet", {"replicas": 1}), "of 1 replicas 0 ready, 0 updated, 0 there"),
        (workload("LeaderWorkerSet", {"replicas": 1}, replicas=1, updatedReplicas=1, readyReplicas=1), ""),
        (workload("StatefulSet", {"replicas": 2}, observedGeneration=2, replicas=2, readyReplicas=2,
                  currentRevision="a", updateRevision="a"), ""),
        (workload("StatefulSet", {"replicas": 2}, observedGeneration=2, replicas=2, readyReplicas=2, updatedReplicas=1,
                  currentRevision="a", updateRevision="b"), "of 2 replicas 1 updated"),
        (workload("RayCluster", RAY, observedGeneration=2), "its head is not ready"),
        (workload("RayCluster", RAY, observedGeneration=2, conditions=HEAD, readyWorkerReplicas=2),
         "of 3 workers 2 ready"),
        (workload("RayCluster", RAY, observedGeneration=2, conditions=HEAD, readyWorkerReplicas=3), ""),
    ],
)  # fmt: skip
def test_what_a_workload_lacks(now: dict[str, Any] | None, lack: str) -> None:
    assert release.unready({"kind": (now or {}).get("kind", "Deployment"), "name": "m"}, now) == lack


def test_waiting_ends_when_all_serve_or_the_time_is_over(api: Server, tmp_path: Path) -> None:
    answers = iter([404, 404])
    ready = workload("LeaderWorkerSet", {"replicas": 1}, replicas=1, updatedReplicas=1, readyReplicas=1)
    api.objects[GROUP] = lambda: next(answers, ready)
    wanted = [{"kind": "LeaderWorkerSet", "name": "m-lws", "path": GROUP}]
    code, told = run(api, tmp_path, "wait", expected=wanted, DEADLINE_SECONDS="30", PAUSE_SECONDS="0.05")
    assert (code, told) == (0, "wait: LeaderWorkerSet m-lws: is not there\nwait: every engine serves\n")
    api.objects[GROUP] = workload("LeaderWorkerSet", {"replicas": 1})
    code, told = run(api, tmp_path, "wait", expected=wanted, DEADLINE_SECONDS="0.3", PAUSE_SECONDS="0.05")
    assert code == 1
    assert told.endswith("wait: not within 0.3 s: LeaderWorkerSet m-lws: of 1 replicas 0 ready, 0 updated, 0 there\n")


def test_a_wrong_call(api: Server, tmp_path: Path) -> None:
    done = run_program("release.py", "other", env={"EXPECTED": "[]"})
    assert (done.returncode, done.stderr) == (2, "usage: release.py guard|wait\n")
