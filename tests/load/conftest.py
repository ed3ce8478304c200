"""The load test needs a cluster and minutes of a whole core: it has a marker and a make target of its own."""

import os
from pathlib import Path

import pytest
from cluster.conftest import helm, namespace, standin

__all__ = ["helm", "namespace", "standin"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.load)
            if "KUBECONFIG" not in os.environ:
                item.add_marker(pytest.mark.skip(reason="KUBECONFIG names no cluster"))
