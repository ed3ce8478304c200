"""The chart's defaults in the package, and what machineset makes of a file that leaves keys out."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from llm_serving_planner.base.documents import load_values
from llm_serving_planner.cli.main import main
from llm_serving_planner.nodes.workload import read_workload
from llm_serving_planner.output import chart
from support.helm import ROOT, merge

MODEL = {"model": {"id": "org/model"}}


def test_a_key_that_the_chart_lacks_is_an_error_of_ours() -> None:
    with pytest.raises(KeyError):
        chart.pick({}, "storage.sise")
    assert chart.pick({"storage": {"size": None}}, "storage.size") == chart.pick({}, "storage.size")


# What machineset reads of a file, with a value that is not the chart's default.
READ: dict[str, Any] = {
    "replicas": 2, "cpu.request": "6", "memory.host.request": "20Gi", "storage.size": "9Gi",
    "storage.type": "emptyDir", "parallelism.gpusPerNode": 2,
}  # fmt: skip
WHOLE: dict[str, Any] = {"plan": {"profile": "1xa10g"}, "auth": {"apiKey": {"existingSecret": "s"}}, **MODEL}


def with_key(path: str, value: Any) -> dict[str, Any]:
    *parents, last = path.split(".")
    node: dict[str, Any] = {last: value}
    for part in reversed(parents):
        node = {part: node}
    return merge(WHOLE, node)


@pytest.mark.parametrize("path", READ)
def test_a_missing_key_is_the_charts_default(tmp_path: Path, path: str) -> None:
    """A file without the key is read as the same file with the chart's default."""
    default: Any = load_values(ROOT / "charts" / "llm-serving" / "values.yaml")
    for part in path.split("."):
        default = default[part]
    assert default != READ[path]
    file = tmp_path / "v.yaml"
    read = []
    for values in (WHOLE, with_key(path, default), with_key(path, READ[path])):
        file.write_text(yaml.safe_dump(values))
        read.append(read_workload(file))
    assert read[0] == read[1]
    assert read[0] != read[2]


def test_an_empty_dir_of_the_charts_size_lies_on_the_root_volume(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "p.yaml"
    words = ["machineset", "--values", str(file), "--form", "eksctl", "--cluster-name", "c", "--region", "us-east-1"]
    for storage in ({"type": "emptyDir"}, {"type": "emptyDir", "size": "50Gi"}):
        file.write_text(yaml.safe_dump({**MODEL, "plan": {"profile": "1xa10g"}, "storage": storage}))
        assert main(words) == 0
        shown = capsys.readouterr()
        assert "root volume 150 GiB (assumption)" in shown.out + shown.err
        assert "50 GiB of storage.type emptyDir lie on it" in shown.out + shown.err
        (group,) = yaml.safe_load(shown.out)["managedNodeGroups"]
        assert group["volumeSize"] == 150
