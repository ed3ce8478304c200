"""What the cluster suite says before its first test where something is missing; and its report."""

import hashlib
import json
import subprocess
from typing import Any

import pytest
from cluster import needs, report

GPUS = {"nvidia.com/gpu.product": "Tesla-T4"}
APIS = "v1\nleaderworkerset.x-k8s.io/v1\nray.io/v1\n"
SUMS = "\n".join(f"{hashlib.sha256((needs.ENGINE / file).read_bytes()).hexdigest()}  {file}" for file in needs.FILES)


class FakeCluster:
    """Answers of kubectl, by their first two words."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = [node("4", GPUS)]
        self.apis, self.sums = APIS, SUMS
        self.state: dict[str, Any] = {"terminated": {"exitCode": 0}}

    def kubectl(self, *words: str, given: str | None = None, seconds: float = 0) -> subprocess.CompletedProcess[str]:
        answers = {
            "get nodes": json.dumps({"items": self.nodes}),
            "get pod": json.dumps({"status": {"containerStatuses": [{"name": "image-0", "state": self.state}]}}),
            "api-versions": self.apis,
            "logs images": self.sums,
        }
        return subprocess.CompletedProcess(words, 0, answers.get(" ".join(words[:2]), ""), "")


def node(count: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"labels": labels}, "status": {"allocatable": {"nvidia.com/gpu": count}}}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    cluster = FakeCluster()
    monkeypatch.setattr(needs, "kubectl", cluster.kubectl)
    return cluster


def missing() -> list[str]:
    return needs.missing(("localhost/e:1",), "ns", 4)


def test_a_cluster_that_has_everything_is_taken(fake: FakeCluster) -> None:
    assert missing() == []


@pytest.mark.parametrize("nodes", [[], [node("2", GPUS)], [node("2", GPUS), node("8", {})]])
def test_too_few_gpus(fake: FakeCluster, nodes: list[dict[str, Any]]) -> None:
    fake.nodes = nodes
    (problem,) = missing()
    assert problem.startswith("Nodes with the label nvidia.com/gpu.product=Tesla-T4 offer")
    assert "4 are needed" in problem
    assert problem.endswith("PYTHONPATH=tools python -m testbed.kind_cluster gpus writes them into the nodes' status.")


def test_operators_that_are_not_there(fake: FakeCluster) -> None:
    fake.apis = "v1\n"
    assert missing() == [
        "The API leaderworkerset.x-k8s.io/v1 is not served. Install LeaderWorkerSet 0.9.0 (`make kind` does).",
        "The API ray.io/v1 is not served. Install KubeRay 1.6.0 (`make kind` does).",
    ]


def test_an_image_that_is_not_there(fake: FakeCluster) -> None:
    fake.state = {"waiting": {"reason": "ErrImageNeverPull"}}
    (problem,) = missing()
    assert problem.startswith(
        "The nodes do not hold the image localhost/e:1 (ErrImageNeverPull). python tests/cluster/"
    )


def test_an_image_of_older_sources(fake: FakeCluster) -> None:
    fake.sums = SUMS.replace("a", "b")
    (problem,) = missing()
    assert problem.startswith("The image localhost/e:1 was not built from tests/cluster/engine as it is now.")


def test_the_table_tells_an_outage_from_none() -> None:
    lines = [
        {"layout": "b", "fault": "x", "seconds": 12.4, "heals": "itself", "right": 5, "errors": 2, "wrong": 0},
        {"layout": "a", "fault": "y", "seconds": 0.0, "heals": "itself", "right": 9, "errors": 0, "wrong": 0},
        {"layout": "a", "fault": "z", "seconds": 30.0, "heals": "upgrade"},
    ]
    assert report.table(lines)[2:] == [
        "| a | y | never stopped | itself | 9 | 0 | 0 |",
        "| a | z | 30 | upgrade |  |  |  |",
        "| b | x | 12 | itself | 5 | 2 | 0 |",
    ]
