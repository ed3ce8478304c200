"""`make kind` against programs that only write down what they were asked: not everybody has kind and Docker."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.helm import ROOT
from testbed import kind_cluster

NODES: dict[str, Any] = {
    "items": [
        {
            "metadata": {"name": "llm-serving-control-plane"},
            "spec": {},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        },
        {
            "metadata": {"name": "simulated", "annotations": {"kwok.x-k8s.io/node": "fake"}},
            "spec": {},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        },
        {
            "metadata": {"name": "closed"},
            "spec": {"taints": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        },
    ]
}
FAKE = """#!{python}
import json, os, sys
name, words = os.path.basename(sys.argv[0]), sys.argv[1:]
with open({calls!r}, "a") as file:
    file.write(json.dumps([name, *words, os.environ.get("KUBECONFIG", "")]) + "\\n")
if words[:2] == ["get", "clusters"]:
    print(os.environ.get("FAKE_CLUSTERS", ""))
if words[:2] == ["get", "nodes"]:
    print({nodes!r})
if os.environ.get("FAKE_FAILS") == words[0]:
    sys.exit("it does not work: " + words[0])
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the fake programs were asked, one JSON list a line; the last entry is their KUBECONFIG."""
    recorded, folder = tmp_path / "calls.jsonl", tmp_path / "bin"
    folder.mkdir()
    text = FAKE.format(python=sys.executable, calls=str(recorded), nodes=json.dumps(NODES))
    for name in ("kind", "docker", "kubectl", "helm"):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    context = tmp_path / "build_context.py"
    context.write_text("import pathlib, sys; pathlib.Path(sys.argv[1], 'Dockerfile').write_text(sys.argv[2])\n")
    monkeypatch.setattr(kind_cluster, "CONTEXT", context)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    return recorded


def made(calls: Path) -> list[list[str]]:
    return [json.loads(line) for line in calls.read_text().splitlines()]


def create(tmp_path: Path, *words: str) -> int:
    return kind_cluster.main(["create", "--kubeconfig", str(tmp_path / "sub" / "config"), *words])


def test_a_cluster_is_made_from_nothing(calls: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert create(tmp_path, "--gpus", "6", "--node-image", "kindest/node:v1.34.0") == 0
    config = str(tmp_path / "sub" / "config")
    assert capsys.readouterr().out == config + "\n"
    done = made(calls)
    image = "localhost/stand-in-engine:1"
    assert done[0][:3] == ["kind", "get", "clusters"]
    assert done[1][:-1] == [
        "kind", "create", "cluster", "--name", "llm-serving", "--config", str(ROOT / "tests" / "cluster" / "kind.yaml"),
        "--kubeconfig", config, "--image", "kindest/node:v1.34.0", "--wait", "120s",
    ]  # fmt: skip
    assert done[2][:4] == ["docker", "build", "--tag", image]
    assert done[3][:-1] == ["docker", "tag", image, f"{image}-next"]
    assert done[4][:-1] == ["kind", "load", "docker-image", image, f"{image}-next", "--name", "llm-serving"]
    assert done[5][:-1] == [
        "kubectl", "apply", "--server-side", "--filename",
        "https://github.com/kubernetes-sigs/lws/releases/download/v0.9.0/manifests.yaml",
    ]  # fmt: skip
    assert done[6][:4] == ["kubectl", "rollout", "status", "deployment/lws-controller-manager"]
    assert done[7][:-1] == [
        "helm", "upgrade", "--install", "kuberay-operator", "kuberay-operator", "--repo",
        "https://ray-project.github.io/kuberay-helm/", "--version", "1.6.0", "--namespace", "ray-system",
        "--create-namespace", "--wait", "--timeout", "300s",
    ]  # fmt: skip
    assert {entry[-1] for entry in done[2:]} == {config}, "another cluster than the new one was touched"


def test_only_real_nodes_get_gpus(calls: Path, tmp_path: Path) -> None:
    create(tmp_path, "--gpus", "6")
    (patch,) = [entry for entry in made(calls) if entry[1] == "patch"]
    assert patch[1:5] == ["patch", "node", "llm-serving-control-plane", "--subresource=status"]
    operations = json.loads(patch[patch.index("-p") + 1])
    assert operations == [
        {"op": "add", "path": f"/status/{part}/nvidia.com~1gpu", "value": "6"} for part in ("capacity", "allocatable")
    ]
    (label,) = [entry for entry in made(calls) if entry[1] == "label"]
    assert label[3] == "llm-serving-control-plane"
    assert "nvidia.com/gpu.product=Tesla-T4" in label


def test_a_cluster_that_is_there_is_kept(calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CLUSTERS", "other\nllm-serving")
    assert create(tmp_path) == 0
    words = [entry[1:3] for entry in made(calls)]
    assert ["create", "cluster"] not in words
    assert ["export", "kubeconfig"] in words
    assert ["load", "docker-image"] in words


def test_other_programs_can_take_their_place(calls: Path, tmp_path: Path) -> None:
    (calls.parent / "bin" / "docker").rename(calls.parent / "bin" / "podman")
    assert create(tmp_path, "--docker", "podman") == 0
    assert [entry[1] for entry in made(calls) if entry[0] == "podman"] == ["build", "tag"]


def test_a_program_that_is_missing_is_named(calls: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (calls.parent / "bin" / "docker").unlink()
    assert create(tmp_path) == 1
    told = capsys.readouterr().err
    assert "error: docker is not on PATH" in told
    assert "hint: install it, or name another one with --docker" in told


def test_a_program_that_fails_is_quoted(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAKE_FAILS", "upgrade")
    assert create(tmp_path) == 1
    assert "error: helm upgrade --install kuberay-operator: exit 1: it does not work" in capsys.readouterr().err
    assert [entry for entry in made(calls) if entry[1] == "patch"] == []


def test_delete_takes_the_kubeconfig_too(calls: Path, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("x")
    assert kind_cluster.main(["delete", "--kubeconfig", str(config), "--name", "mine"]) == 0
    assert made(calls)[0][:-1] == ["kind", "delete", "cluster", "--name", "mine"]
    assert not config.exists()


@pytest.mark.parametrize("target", ["kind", "kind-delete"])
def test_make_calls_it(target: str) -> None:
    words = ["make", "--dry-run", target, "GPUS=8", "NODE_IMAGE=kindest/node:v1.34.0"]
    done = subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, check=True, env={**os.environ, "MAKEFLAGS": ""}
    )
    command = "delete" if target == "kind-delete" else "create"
    assert f"testbed.kind_cluster {command}" in done.stdout
    if command == "create":
        assert "--gpus 8 --node-image kindest/node:v1.34.0" in done.stdout
