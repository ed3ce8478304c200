"""What `make ct-install` makes of the ci values: installable without foreign APIs, and no file is forgotten."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from llm_serving_planner.base.errors import InputError
from support.helm import CHART, ROOT, in_process
from testbed import chart_testing, previous

OVERLAY: dict[str, Any] = yaml.safe_load((ROOT / "tests" / "cluster" / "ct-overlay.yaml").read_text())
FILES = {path.name.removesuffix("-values.yaml"): path for path in sorted((CHART / "ci").glob("*-values.yaml"))}
SERVED = ("leaderworkerset.x-k8s.io/v1", "ray.io/v1")
BUILT_IN = {
    "v1", "apps/v1", "batch/v1", "autoscaling/v2", "networking.k8s.io/v1", "policy/v1", "rbac.authorization.k8s.io/v1",
    *SERVED,
}  # fmt: skip


def changed(name: str) -> dict[str, Any]:
    return chart_testing.changed(name, yaml.safe_load(FILES[name].read_text()), OVERLAY, "example.com/gpu")


@pytest.mark.parametrize("name", FILES)
def test_every_file_needs_the_two_operators_at_most(name: str) -> None:
    objects = in_process(changed(name), apis=SERVED, kube="v1.35.0")
    assert {entry["apiVersion"] for entry in objects} <= BUILT_IN
    text = yaml.safe_dump_all(objects)
    assert "nvidia.com/gpu" not in text
    assert "vllm/vllm-openai" not in text
    assert "registry.example.com" not in text.replace("registry.example.com/models", "")
    assert "image: IMAGE" not in text


def test_the_overlay_names_files_that_are_there() -> None:
    assert set(OVERLAY["files"]) <= set(FILES)


@pytest.mark.parametrize("name", OVERLAY["files"])
def test_every_key_of_the_overlay_changes_something(name: str) -> None:
    """A line that no longer does anything would hide what the file has become."""

    def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
        if isinstance(value, dict) and value:
            return [leaf for key, below in value.items() for leaf in leaves(below, (*path, key))]
        return [path]

    def without(value: Any, path: tuple[str, ...]) -> Any:
        if len(path) == 1:
            return {key: below for key, below in value.items() if key != path[0]}
        return {**value, path[0]: without(value[path[0]], path[1:])}

    def rendered(files: dict[str, Any]) -> Any:
        values = yaml.safe_load(FILES[name].read_text())
        overlay = {**OVERLAY, "files": {name: files}}
        try:
            return in_process(
                chart_testing.changed(name, values, overlay, "example.com/gpu"), apis=SERVED, kube="v1.35.0"
            )
        except Exception as refused:  # noqa: BLE001
            return str(refused)

    whole = rendered(OVERLAY["files"][name])
    idle = [path for path in leaves(OVERLAY["files"][name]) if rendered(without(OVERLAY["files"][name], path)) == whole]
    assert idle == []


def test_an_image_of_another_name_is_taken_everywhere() -> None:
    values = chart_testing.changed("tls-route", {}, OVERLAY, "example.com/gpu", "localhost/mine:2")
    assert values["engine"]["image"]["tag"] == values["test"]["image"]["tag"] == "2"
    assert values["sidecars"][0]["image"] == values["initContainers"][0]["image"] == "localhost/mine:2"
    with pytest.raises(InputError, match="--image mine is not registry/repository:tag"):
        chart_testing.changed("cpu", {}, OVERLAY, "example.com/gpu", "mine")


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    done = subprocess.run(["git", "-C", str(folder), *who, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """main with two commits of a chart, and a branch with a third one."""
    git(tmp_path, "init", "-q", "-b", "main")
    chart = tmp_path / previous.CHART
    chart.mkdir(parents=True)
    for number in range(3):
        if number == 2:
            git(tmp_path, "switch", "-q", "-c", "branch")
        (chart / "Chart.yaml").write_text(f"version: 0.{number}.0\n")
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-q", "-m", str(number))
    return tmp_path


def version(history: Path, tmp_path: Path) -> str:
    chart = previous.extract(previous.previous_revision(history), tmp_path / "out", history)
    return (chart / "Chart.yaml").read_text().strip()


def test_without_a_release_a_branch_comes_from_its_merge_base(history: Path, tmp_path: Path) -> None:
    assert version(history, tmp_path) == "version: 0.1.0"


def test_without_a_release_main_comes_from_the_commit_before(history: Path, tmp_path: Path) -> None:
    git(history, "switch", "-q", "main")
    assert version(history, tmp_path) == "version: 0.0.0"


def test_the_newest_release_before_this_commit_is_the_previous_version(history: Path, tmp_path: Path) -> None:
    git(history, "tag", "v0.0.0", "HEAD~2")
    git(history, "tag", "v0.2.0")  # the commit itself is a release
    assert previous.previous_revision(history) == "v0.0.0"
    assert version(history, tmp_path) == "version: 0.0.0"


def test_a_lone_commit_has_nothing_before_it(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "1")
    with pytest.raises(InputError, match="fetch the history"):
        previous.previous_revision(tmp_path)
    with pytest.raises(InputError, match="HEAD holds no charts/llm-serving"):
        previous.extract("HEAD", tmp_path / "out", tmp_path)


def test_a_repository_for_ct_holds_both_versions(tmp_path: Path) -> None:
    folder = tmp_path / "0"
    chart_testing.prepare(folder, "HEAD", "example.com/gpu", "", {"cpu", "tgi"})
    assert git(folder, "rev-list", "--count", "HEAD") == "2"
    for revision in ("origin/main", "HEAD"):
        files = git(folder, "ls-tree", "--name-only", revision, "charts/llm-serving/ci/").splitlines()
        assert [Path(file).name for file in files] == ["cpu-values.yaml", "tgi-values.yaml"]
    values = yaml.safe_load(git(folder, "show", "origin/main:charts/llm-serving/ci/tgi-values.yaml"))
    assert values["gpu"]["resourceName"] == "example.com/gpu"
