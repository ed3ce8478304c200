"""What a test changes about a node that others share: a resource and a label that no one else asks for.

A cordon would keep everybody's pods away, and taking all GPUs would too. A made-up resource is as scarce as the test
wants it, and a label that only this release's pods demand is taken away as a cordon would take the whole node away.
Both names carry the run's, so that the end of the run finds what an interrupted test left.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from cluster.needs import kubectl
from testbed.node_resources import nodes, patch_status, real_nodes

DOMAIN = "llm-serving.test"


def real_node() -> str:
    """The first node that runs pods for real."""
    found = real_nodes()
    assert found, "no node is ready"
    return found[0]


def own_name() -> str:
    """A name for a label or a resource of this run, qualified as Kubernetes wants it."""
    return f"{os.environ.get('LLM_SERVING_TEST_RUN', 'alone')}.{DOMAIN}/gpu-{time.time_ns() % 10**9}"


@contextmanager
def own_gpus(count: int) -> Iterator[str]:
    """The name of a resource of which one node has so many pieces."""
    node, name = real_node(), own_name()
    patch_status(node, "add", name, count)
    try:
        yield name
    finally:
        patch_status(node, "remove", name)


class OwnLabel:
    """A label on one node, which stands for "this node takes new pods of the release"."""

    def __init__(self) -> None:
        self.node, self.name = real_node(), own_name()

    def uncordon(self) -> None:
        """New pods find the node."""
        assert kubectl("label", "node", self.node, f"{self.name}=yes").returncode == 0

    def cordon(self) -> None:
        """New pods find no node; running ones stay, as on a cordoned node."""
        assert kubectl("label", "node", self.node, f"{self.name}-").returncode == 0


def forget(run: str) -> None:
    """Take away what tests of the run left on nodes when they were interrupted."""
    start = f"{run}.{DOMAIN}/"
    for node in nodes():
        name = node["metadata"]["name"]
        for label in node["metadata"].get("labels", {}):
            if label.startswith(start):
                kubectl("label", "node", name, f"{label}-")
        for resource in node["status"].get("capacity", {}):
            if resource.startswith(start):
                patch_status(name, "remove", resource)
