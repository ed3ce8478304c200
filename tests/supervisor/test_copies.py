"""The chart's copies: current, complete, readable by old Pythons, and whole where a ConfigMap is mounted."""

import ast
import sys
from pathlib import Path
from typing import Any

import pytest
from derived.supervisor_files import supervisor_files
from support.helm import ROOT, Manifest, in_process
from support.programs import BARE, FILES, mounted, run_program

OLDEST = (3, 9)
LARGEST_BYTES = 64 * 1024  # the API server takes 1 MiB, and Helm keeps every object in a Secret of that size
BASE: dict[str, Any] = {"model": {"id": "org/model"}, "storage": {"type": "emptyDir"}}
GROUP = {**BASE, "parallelism": {"pipeline": 2, "nodes": 2, "controller": "statefulset"}}
DOWNLOAD = {**BASE, "model": {"id": "org/model", "download": {"mode": "init"}}}
TGIS = {**BASE, "engine": {"type": "tgis", "version": "1db8cf0", "image": {"tag": "1db8cf0"}}}
# Values, the ConfigMap's suffix, the program that its pods start, and what an engine's image must bring for it.
MAPS = {
    "group": (GROUP, "-group", "group.py", {"ray"}),
    "download": (DOWNLOAD, "-download", "download.py", {"huggingface_hub"}),
    "api": (BASE, "-test-api", "test_api.py", set[str]()),
    "tgis": (TGIS, "-test-api", "test_tgis.py", {"grpc", "google"}),
}


def config_map(values: dict[str, Any], suffix: str) -> Manifest:
    found = [m for m in in_process(values) if m["kind"] == "ConfigMap" and m["metadata"]["name"].endswith(suffix)]
    assert len(found) == 1
    return found[0]


def imported(text: str) -> set[str]:
    """Top-level packages that a module imports, inside functions too, but for the type checker's alone."""
    tree = ast.parse(text)
    typing = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    nodes = set(ast.walk(tree)) - typing
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    found |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in found}


def test_each_copy_is_current_and_says_what_it_is_made_from() -> None:
    expected = supervisor_files(ROOT)
    assert set(expected) == set(FILES.glob("*.py"))
    for path, text in expected.items():
        assert path.read_text() == text, "run make generate"
        assert text.startswith("# Made by `make generate` from generator/")


@pytest.mark.parametrize("name", MAPS)
def test_a_config_map_holds_its_program_with_all_that_it_imports(name: str) -> None:
    values, suffix, program, brought = MAPS[name]
    data = config_map(values, suffix)["data"]
    assert data == {file: (FILES / file).read_text() for file in data}
    modules = {file.removesuffix(".py") for file in data}
    needed = {package for text in data.values() for package in imported(text)}
    assert needed - modules - sys.stdlib_module_names == brought
    assert program in data
    assert sum(map(len, data.values())) < LARGEST_BYTES


@pytest.mark.parametrize("path", sorted(FILES.glob("*.py")), ids=lambda path: path.name)
def test_the_oldest_python_of_an_image_can_read_it(path: Path) -> None:
    """Syntax alone; `make types` holds names of the library against 3.10, vermin found none above 3.9 (2026-11-29)."""
    ast.parse(path.read_text(), feature_version=OLDEST)


def test_a_mounted_group_finds_its_modules(tmp_path: Path) -> None:
    folder = mounted(config_map(GROUP, "-group"), tmp_path / "group")
    done = run_program("group.py", "--help", env={}, folder=folder, python=BARE)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: group.py [--executor mp|ray]")


def test_a_mounted_test_of_tgis_finds_its_messages(tmp_path: Path) -> None:
    folder = mounted(config_map(TGIS, "-test-api"), tmp_path / "test")
    done = run_program("test_tgis.py", env={"TARGET": "127.0.0.1:1", "DEADLINE_SECONDS": "0"}, folder=folder)
    assert done.stdout == "FAILED: 127.0.0.1:1 is not ready before the deadline: no answer\n", done.stderr


def test_tgis_is_tested_in_its_own_image_and_the_others_in_a_small_one() -> None:
    def tested(values: dict[str, Any]) -> str:
        (pod,) = [manifest for manifest in in_process(values) if manifest["kind"] == "Pod"]
        image: str = pod["spec"]["containers"][0]["image"]
        return image

    (workload,) = [manifest for manifest in in_process(TGIS) if manifest["kind"] == "Deployment"]
    assert tested(TGIS) == workload["spec"]["template"]["spec"]["containers"][0]["image"]
    assert tested(BASE) == "docker.io/library/python:3.12-slim"
