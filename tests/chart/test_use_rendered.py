"""Adapters, drafts, templates, tasks: what is rendered."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.helm import Renderer, engine, find, flags, in_process, merge, notes

BASE: dict[str, Any] = {"model": {"id": "org/model"}, "storage": {"type": "emptyDir"}}
SQL = {"name": "sql", "id": "org/sql", "revision": "v1"}
MOUNTED = {"name": "de", "path": "/llm/source/de", "base": "chat"}
HEAD = {"method": "eagle3", "id": "org/head"}


def pod(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = find(manifests, "Deployment")["spec"]["template"]["spec"]
    return spec


def env(container: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}


def test_nothing_is_rendered_unless_asked_for() -> None:
    manifests = in_process(BASE)
    spec = pod(manifests)
    assert "initContainers" not in spec
    assert not {"template", "download"} & {volume["name"] for volume in spec["volumes"]}
    assert not [word for word in engine(manifests)["args"] if "lora" in word or "runner" in word]


def test_only_adapters_of_the_hub_are_downloaded(render: Renderer) -> None:
    manifests = render(merge(BASE, {"engine": {"lora": {"adapters": [SQL, MOUNTED]}, "speculative": HEAD}}))
    containers = pod(manifests)["initContainers"]
    asked = [(env(c)["DOWNLOAD_MODEL"], env(c)["DOWNLOAD_REVISION"], env(c)["DOWNLOAD_LINK"]) for c in containers]
    assert asked == [
        ("org/sql", "v1", "/llm/models/adapters/org--sql@v1"),
        ("org/head", "", "/llm/models/adapters/org--head@main"),
    ]
    assert all(env(c)["HF_HUB_OFFLINE"] == "0" for c in containers)
    assert find([m for m in manifests if m["metadata"]["name"].endswith("-download")], "ConfigMap")


@pytest.mark.parametrize(("mode", "names"), [("none", ["fetch-extra-0"]), ("init", ["fetch-model", "fetch-extra-0"])])
def test_pods_fetch_what_no_job_does(mode: str, names: list[str]) -> None:
    manifests = in_process(merge(BASE, {"model": {"download": {"mode": mode}}, "engine": {"speculative": HEAD}}))
    assert [container["name"] for container in pod(manifests)["initContainers"]] == names


def test_the_job_fetches_and_the_pods_wait() -> None:
    shared = {"storage": {"type": "pvc", "accessMode": "ReadWriteMany"}}
    changes = {"model": {"download": {"mode": "job"}}, "engine": {"speculative": HEAD}, **shared}
    manifests = in_process(merge(BASE, changes))
    assert [c["name"] for c in pod(manifests)["initContainers"]] == ["wait-model", "wait-extra-0"]
    manifests = [one for one in manifests if not one["metadata"]["name"].endswith("-guard")]
    job = find(manifests, "Job")["spec"]["template"]["spec"]
    assert [c["name"] for c in (*job["initContainers"], *job["containers"])] == ["fetch-extra-0", "fetch-model"]


def test_a_hook_leaves_the_pods_nothing_to_do() -> None:
    storage = {"type": "existingClaim", "existingClaim": "c"}
    changes = {"model": {"download": {"mode": "hook"}}, "engine": {"lora": {"adapters": [SQL]}}, "storage": storage}
    manifests = in_process(merge(BASE, changes))
    assert "initContainers" not in pod(manifests)
    assert find(manifests, "Job")["spec"]["template"]["spec"]["initContainers"][0]["name"] == "fetch-extra-0"


@pytest.mark.parametrize("controller", ["statefulset", "leaderworkerset"])
def test_every_member_of_a_group_has_the_adapters(controller: str) -> None:
    layout = {"tensor": 2, "nodes": 2, "controller": controller}
    manifests = in_process(merge(BASE, {"parallelism": layout, "engine": {"lora": {"adapters": [SQL]}}}))
    pods = [spec for spec in _pod_specs(manifests) if any(c["name"] == "engine" for c in spec["containers"])]
    assert pods
    assert all([c["name"] for c in spec["initContainers"]] == ["fetch-extra-0"] for spec in pods)


def _pod_specs(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if "containers" in node:
            yield node
        node = list(node.values())
    for child in node if isinstance(node, list) else []:
        yield from _pod_specs(child)


def test_the_hub_stays_reachable_for_adapters_of_a_mounted_model() -> None:
    source = {"model": {"source": {"type": "pvc", "claim": "c"}}, "networkPolicy": {"enabled": True}}
    ports = {443}

    def out(values: dict[str, Any]) -> set[int]:
        policies = [
            m for m in in_process(values) if m["kind"] == "NetworkPolicy" and "guard" not in m["metadata"]["name"]
        ]
        rules = [rule for policy in policies for rule in policy["spec"].get("egress", [])]
        return {port["port"] for rule in rules for port in rule.get("ports", [])} & ports

    assert out(merge(BASE, source)) == set()
    assert out(merge(BASE, merge(source, {"engine": {"lora": {"adapters": [SQL]}}}))) == ports


def test_modules_are_json_and_numbers_are_whole() -> None:
    manifests = in_process(merge(BASE, {"engine": {"lora": {"adapters": [MOUNTED], "maxLoras": 16, "maxRank": 320}}}))
    words = engine(manifests)["args"]
    found = flags(manifests)
    assert (found["--max-loras"], found["--max-lora-rank"], found["--max-cpu-loras"]) == ("16", "320", "16")
    assert json.loads(words[words.index("--lora-modules") + 1]) == {
        "name": "de", "path": "/llm/source/de", "base_model_name": "chat",
    }  # fmt: skip


def test_a_changed_template_starts_the_pods_anew() -> None:
    def rendered(text: str) -> tuple[str, str]:
        manifests = in_process(merge(BASE, {"engine": {"chatTemplate": {"text": text}}}))
        (config,) = [m for m in manifests if "template.jinja" in m.get("data", {})]
        assert config["data"]["template.jinja"] == text
        volumes = {volume["name"]: volume for volume in pod(manifests)["volumes"]}
        assert volumes["template"]["configMap"]["name"] == config["metadata"]["name"]
        return config["metadata"]["name"], flags(manifests)["--chat-template"]

    braces = "{{- x }}\n{% if y %}\t\"quoted\" 'and' {{ .Values.z }}\n{% endif %}\n"
    assert rendered("a") != rendered(braces)
    assert rendered(braces)[1] == "/llm/template/template.jinja"


@pytest.mark.parametrize(
    ("task", "path"), [("embed", "/v1/embeddings"), ("rerank", "/v1/rerank"), ("classify", "/classify")]
)
def test_notes_call_what_the_task_offers(task: str, path: str) -> None:
    text = notes(merge(BASE, {"model": {"task": task}}))
    assert f":8000{path} " in text
    assert "/v1/chat/completions" not in text


def test_what_the_pod_of_the_test_is_told() -> None:
    values = {"model": {"task": "embed", "aliases": ["a"]}, "engine": {"lora": {"adapters": [SQL]}}}
    (test,) = [m for m in in_process(merge(BASE, values)) if m["kind"] == "Pod"]
    told = env(test["spec"]["containers"][0])
    assert (told["TASK"], json.loads(told["NAMES"]), told["ADAPTERS"]) == ("embed", ["a", "sql"], "1")
