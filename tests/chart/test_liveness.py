"""When the liveness probe judges the engine's steps, and what it is told."""

from typing import Any

import pytest
from support.helm import Renderer, engine, find, merge

BASE: dict[str, Any] = {"model": {"id": "org/model"}, "storage": {"type": "emptyDir"}}


@pytest.mark.parametrize(
    ("changes", "judges"),
    [
        ({}, True),
        ({"liveness": {"stalledSeconds": 0}}, False),
        ({"gpu": {"resourceName": ""}, "engine": {"image": {"repository": "vllm/vllm-openai-cpu"}}}, False),
        ({"engine": {"command": ["vllm", "serve"]}}, False),
        ({"engine": {"args": {"enable-sleep-mode": True}}}, False),
        ({"engine": {"type": "tgi", "version": "3.3.7", "rootless": True}}, False),
    ],
)
def test_it_is_off_where_it_could_end_a_healthy_engine(
    render: Renderer, changes: dict[str, Any], *, judges: bool
) -> None:
    manifests = render(merge(BASE, changes))
    container = engine(manifests)
    assert ("exec" in container["livenessProbe"]) is judges
    assert ("httpGet" in container["livenessProbe"]) is not judges
    assert container["readinessProbe"]["httpGet"]["path"] == "/health"
    names = {one["name"] for one in container["volumeMounts"]}
    assert ("liveness" in names) is judges
    maps = [one for one in manifests if one["metadata"]["name"].endswith("-liveness")]
    assert bool(maps) is judges


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, {"HEALTH_URL=http://localhost:8000/health", "STALL_SECONDS=180",
              'COMPLETION={"max_tokens":1,"model":"org/model","prompt":"a"}'}),
        ({"tls": {"existingSecret": "c"}}, {"METRICS_URL=https://localhost:8000/metrics"}),
        ({"model": {"task": "embed"}}, {"COMPLETION="}),
        ({"model": {"servedName": "Bob's model"}}, {'COMPLETION={"max_tokens":1,"model":"Bob\'s model","prompt":"a"}'}),
        ({"parallelism": {"pipeline": 2, "nodes": 2, "controller": "statefulset"}},
         {"HEALTH_URL=http://localhost:29401/health", "METRICS_URL=http://localhost:8000/metrics"}),
    ],
)  # fmt: skip
def test_what_the_probe_is_told(render: Renderer, changes: dict[str, Any], words: set[str]) -> None:
    manifests = render(merge(BASE, changes))
    command = engine(manifests)["livenessProbe"]["exec"]["command"]
    assert words <= set(command)
    assert command[-2:] == ["python3", "/llm/liveness/stall.py"]
    name = find([one for one in manifests if one["metadata"]["name"].endswith("-liveness")], "ConfigMap")["metadata"][
        "name"
    ]
    spec = next(one for one in manifests if one["kind"] in {"Deployment", "StatefulSet"})["spec"]["template"]["spec"]
    assert {"name": "liveness", "configMap": {"name": name}} in spec["volumes"]
