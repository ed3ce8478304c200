"""From the previous version of the chart, packaged as users got it, to the present one, while callers wait."""

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.conftest import Release
from cluster.faults import one, only_pod, traffic
from pytest_helm_charts.clusters import Cluster
from support.helm import merge
from testbed.previous import extract, previous_revision

CHANGE = {"engine": {"args": {"max-model-len": 4096}}}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of the previous version, made by Helm from git."""
    folder = tmp_path_factory.mktemp("previous")
    chart = extract(previous_revision(), folder)
    words = ["helm", "package", str(chart), "--destination", str(folder)]
    subprocess.run(words, check=True, capture_output=True)
    return next(folder.glob("*.tgz"))


def install_previous(release: Release, package: Path, *values: dict[str, Any]) -> None:
    async def go() -> None:
        chart = await release.client.get_chart(str(package))
        await release.client.install_or_upgrade_release(
            release.name, chart, *values, namespace=release.namespace, create_namespace=False, wait=True, timeout="6m"
        )

    asyncio.run(go())


@pytest.mark.parametrize("mode", ["recreate", "replaceOneByOne", pytest.param("surge", marks=pytest.mark.smoke)])
def test_a_release_of_the_previous_version_is_upgraded(
    kube_cluster: Cluster, namespace: str, helm: str, mistral: dict[str, Any], package: Path, mode: str
) -> None:
    """surge keeps serving; the two others free the GPU first and serve again."""
    release = Release(helm, "mistral", namespace)
    values = one({"rollout": {"mode": mode}})
    install_previous(release, package, mistral, values)
    before = only_pod(kube_cluster, namespace)
    with traffic(kube_cluster, namespace, "mistral") as callers:
        callers.until_served()
        release.apply(mistral, merge(values, CHANGE))
        callers.until_served(after_error=mode != "surge")
        after = only_pod(kube_cluster, namespace)
        assert after.name != before.name
        callers.checked("deployment", f"upgrade from the previous version, {mode}", lost=mode != "surge")
    assert "OK" in release.test()
    assert release.history() == ["superseded", "deployed"]
    release.uninstall(wait=False)


def test_the_package_is_of_another_revision(package: Path) -> None:
    """Else the tests above would upgrade a chart to itself and prove nothing."""
    assert (
        yaml.safe_load((package.parent / "charts" / "llm-serving" / "Chart.yaml").read_text())["name"] == "llm-serving"
    )
    assert (
        previous_revision()
        != subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    )
