"""What docs/pains.md promises and no other test holds."""

import itertools
from typing import Any

import pytest
from llm_serving_planner.models import embedded
from llm_serving_planner.planner.resources import plan_resources
from support.helm import Renderer, merge, templates

GROUP: dict[str, Any] = {
    "model": {"id": "org/model"},
    "parallelism": {"pipeline": 2, "nodes": 2, "controller": "statefulset"},
    "storage": {"type": "emptyDir"},
}
MODELS = [spec for name in embedded.model_ids() if (spec := embedded.find(name)) is not None]


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ({}, {}),
        ({"ncclInterface": "^lo,docker0"}, {"NCCL_SOCKET_IFNAME": "^lo,docker0"}),
        ({"glooInterface": "eth0"}, {"GLOO_SOCKET_IFNAME": "eth0"}),
        (
            {"ncclInterface": "=eth1", "glooInterface": "eth0"},
            {"NCCL_SOCKET_IFNAME": "=eth1", "GLOO_SOCKET_IFNAME": "eth0"},
        ),
    ],
)
def test_nccl_and_gloo_have_an_interface_each(
    render: Renderer, network: dict[str, str], expected: dict[str, str]
) -> None:
    for template in templates(render(merge(GROUP, {"network": network}))):
        assert not template["spec"].get("hostNetwork")
        env = {entry["name"]: entry.get("value") for entry in template["spec"]["containers"][0]["env"]}
        assert {name: value for name, value in env.items() if name.endswith("_SOCKET_IFNAME")} == expected


def test_shared_memory_grows_with_the_ranks_and_counts_in_the_pod() -> None:
    sizes = [plan_resources(MODELS[0], gpus, enforce_eager=False, download_gbps=None) for gpus in (1, 2, 4, 8, 16)]
    for fewer, more in itertools.pairwise(sizes):
        assert fewer.shared_memory <= more.shared_memory
        assert more.memory_request - fewer.memory_request >= more.shared_memory - fewer.shared_memory
    assert sizes[3].shared_memory > sizes[0].shared_memory


def test_the_disk_holds_the_checkpoint_and_the_budget_its_way_there() -> None:
    assert len(MODELS) > 20
    for spec in MODELS:
        found = plan_resources(spec, 1, enforce_eager=False, download_gbps=None)
        assert found.disk > spec.weights.file_bytes * 1.1
        assert found.startup.budget >= spec.weights.file_bytes * 8 / 1e9
