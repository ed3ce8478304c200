"""Huge pages and accelerators of other vendors, against a recorded cluster that a test changes."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from llm_serving_planner.base.documents import load_values
from llm_serving_planner.hardware.profiles import parse_profile
from support.helm import ROOT, merge
from support.recorded import Recorded


@pytest.fixture
def cluster(tmp_path: Path) -> Recorded:
    return Recorded(tmp_path)


def other_nodes(cluster: Recorded, allocatable: dict[str, str], labels: dict[str, str]) -> None:
    def edit(items: list[Any]) -> None:
        items[0]["status"]["allocatable"].pop("nvidia.com/gpu")
        items[0]["status"]["allocatable"].update(allocatable)
        kept = {key: value for key, value in items[0]["metadata"]["labels"].items() if "nvidia" not in key}
        items[0]["metadata"]["labels"] = {**kept, **labels}

    cluster.change("nodes", edit)


def committed(cluster: Recorded, name: str, **changes: Any) -> int:
    """Exit code of preflight for a committed values file that asks for less of the node; its table is in `told`."""
    values = merge(load_values(ROOT / "values" / f"{name}.yaml"), merge(LESS, changes))
    (cluster.folder / "values.yaml").write_text(yaml.safe_dump(values))
    done = cluster.run("preflight", "-f", "values.yaml", "--release", "m")
    (cluster.folder / "told").write_text(done.stdout + done.stderr)
    return done.returncode


LESS = {"cpu": {"request": "500m"}, "memory": {"host": {"request": "4Gi"}}}


def test_preflight_counts_amd_gpus_and_asks_for_no_nvidia_driver(cluster: Recorded) -> None:
    other_nodes(cluster, {"amd.com/gpu": "8"}, {"amd.com/gpu.product-name": "AMD_Instinct_MI300X_OAM"})
    assert committed(cluster, "mistral-1xmi300x", nodeSelector={"amd.com/gpu.product-name": "x"}) == 1
    told = (cluster.folder / "told").read_text()
    assert "amd.com/gpu.product-name=x (they have AMD_Instinct_MI300X_OAM)" in told
    assert committed(cluster, "mistral-1xmi300x") == 0, (cluster.folder / "told").read_text()
    told = (cluster.folder / "told").read_text()
    assert "8 x amd.com/gpu" in told
    assert "driver" not in told


def test_preflight_asks_for_huge_pages(cluster: Recorded) -> None:
    other_nodes(cluster, {"habana.ai/gaudi": "8", "hugepages-2Mi": "900Mi"}, {})
    assert committed(cluster, "mistral-2xgaudi2") == 1
    assert "MiB of huge pages do not fit on node-1" in (cluster.folder / "told").read_text()
    cluster.change("nodes", lambda items: items[0]["status"]["allocatable"].update({"hugepages-2Mi": "95Gi"}))
    assert committed(cluster, "mistral-2xgaudi2") == 0, (cluster.folder / "told").read_text()
    cluster.change("nodes", lambda items: items[0]["status"]["allocatable"].pop("hugepages-2Mi"))
    assert committed(cluster, "mistral-2xgaudi2") == 1
    assert "no ready node offers hugepages-2Mi" in (cluster.folder / "told").read_text()


@pytest.mark.parametrize(
    ("allocatable", "labels", "words", "gpu"),
    [
        ({"amd.com/gpu": "8"}, {"amd.com/gpu.product-name": "AMD_Instinct_MI300X_OAM"}, (), "mi300x"),
        ({"amd.com/gpu": "8"}, {"beta.amd.com/gpu.product-name": "AMD_Instinct_MI210"}, (), "mi210"),
        ({"habana.ai/gaudi": "8"}, {"node.kubernetes.io/instance-type": "dl1.24xlarge"}, (), "gaudi1"),
        ({"habana.ai/gaudi": "8"}, {}, ("--product", "gaudi2"), "gaudi2"),
    ],
)
def test_a_profile_from_nodes_of_other_vendors(
    cluster: Recorded, allocatable: dict[str, str], labels: dict[str, str], words: tuple[str, ...], gpu: str
) -> None:
    other_nodes(cluster, allocatable, labels)
    done = cluster.run("profiles", "--from-cluster", "-o", "gpus.yaml", *words)
    assert done.returncode == 0, done.stderr
    profile = parse_profile(str(cluster.folder / "gpus.yaml"))
    assert (profile.gpu.id, profile.gpus_per_node) == (gpu, 8)


@pytest.mark.parametrize(
    ("allocatable", "labels", "text"),
    [
        ({"habana.ai/gaudi": "8"}, {}, "no label says which Gaudi it is\nhint: name it: --product gaudi1"),
        (
            {"amd.com/gpu": "1"}, {"amd.com/gpu.product-name": "AMD_Radeon_780M"},
            "AMD_Radeon_780M is no AMD GPU that is known here, and no label tells its generation\nhint: describe it",
        ),
    ],
)  # fmt: skip
def test_a_node_that_says_too_little(
    cluster: Recorded, allocatable: dict[str, str], labels: dict[str, str], text: str
) -> None:
    other_nodes(cluster, allocatable, labels)
    done = cluster.run("profiles", "--from-cluster")
    assert done.returncode == 1
    assert text in done.stderr
