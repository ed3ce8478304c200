"""Releases of the chart on a real Kubernetes: any one that KUBECONFIG names."""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pykube import HTTPClient, Namespace
from pytest_helm_charts.clusters import Cluster

from chart.helm import CHART, ROOT

STANDIN = yaml.safe_load((Path(__file__).parent / "standin-values.yaml").read_text())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs a cluster."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            if "KUBECONFIG" not in os.environ:
                item.add_marker(pytest.mark.skip(reason="KUBECONFIG names no cluster"))


class Release:
    """One release in one namespace, through pyhelm3."""

    def __init__(self, name: str, namespace: str) -> None:
        from pyhelm3 import Client

        self.name, self.namespace = name, namespace
        self.client = Client(kubeconfig=Path(os.environ["KUBECONFIG"]))

    def apply(self, *values: dict[str, Any]) -> Any:
        """Install or upgrade, and wait until it serves."""

        async def go() -> Any:
            chart = await self.client.get_chart(str(CHART))
            return await self.client.install_or_upgrade_release(
                self.name, chart, *values, namespace=self.namespace, create_namespace=False, wait=True, timeout="3m"
            )

        return asyncio.run(go())

    def revision(self) -> int:
        """Number of the current revision."""

        async def go() -> int:
            current = await self.client.get_current_revision(self.name, namespace=self.namespace)
            return int(current.revision)

        return asyncio.run(go())

    def test(self) -> str:
        """`helm test` with its logs."""
        command = ["helm", "test", self.name, "--namespace", self.namespace, "--timeout", "2m", "--logs"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def uninstall(self) -> None:
        """Remove it and wait."""
        asyncio.run(self.client.uninstall_release(self.name, namespace=self.namespace, wait=True, timeout="2m"))


@pytest.fixture
def namespace(kube_cluster: Cluster) -> Iterator[str]:
    """A namespace that enforces Pod Security restricted, removed afterwards."""
    client: HTTPClient = kube_cluster.kube_client
    name = f"llm-serving-{time.time_ns() % 10**9}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    Namespace(client, {"metadata": {"name": name, "labels": labels}}).create()
    yield name
    Namespace(client, {"metadata": {"name": name}}).delete()
    deadline = time.monotonic() + 120
    while Namespace.objects(client).get_or_none(name=name) and time.monotonic() < deadline:
        time.sleep(1)
    assert Namespace.objects(client).get_or_none(name=name) is None, f"{name} is still there"


@pytest.fixture
def mistral() -> dict[str, Any]:
    """The committed values file of the README's example."""
    values: dict[str, Any] = yaml.safe_load((ROOT / "values" / "mistral-2xt4.yaml").read_text())
    return values
