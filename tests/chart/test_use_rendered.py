"""Adapters, drafts, templates, tasks: what is rendered, and what the pods' own scripts do."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from chart.test_download import SCRIPT, cache, download, files_asked, hub, snapshot  # noqa: F401
from support.fake_hub import FakeHub, FakeModel
from support.helm import CHART, Renderer, engine, find, flags, in_process, merge, notes

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
        policies = [m for m in in_process(values) if m["kind"] == "NetworkPolicy"]
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


# The test's pod
VECTORS = {"data": [{"embedding": [0.1, 0.2]}, {"embedding": [0.3, 0.4]}]}
GOOD: dict[str, Any] = {
    "/v1/embeddings": VECTORS,
    "/v1/rerank": {"results": [{"relevance_score": 0.9}, {"relevance_score": 0.1}]},
    "/classify": {"data": [{"probs": [0.5, 0.5]}]},
    "/pooling": {"data": [{"data": [1]}]},
    "/v1/completions": {"choices": [{"text": "x"}]},
}
Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A server with given models and answers; gives what the test prints."""
    servers: list[ThreadingHTTPServer] = []

    def run(answers: dict[str, Any], names: list[str], **settings: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer({"data": [{"id": name} for name in names]})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                known = self.path in answers and body["model"] in names
                self.answer(answers[self.path] if known else {"error": "x"}, 200 if known else 404)

            def answer(self, document: Any, status: int = 200) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(document).encode())

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = {"PATH": os.environ["PATH"], "BASE_URL": f"http://127.0.0.1:{server.server_port}", "MODEL": "m"}
        words = [sys.executable, "-I", str(CHART / "files" / "test_api.py")]
        done = subprocess.run(words, capture_output=True, text=True, check=False, env={**base, **settings})
        assert done.stderr == ""
        return done.stdout

    yield run
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("embed", "embeddings: 2 vectors of 2"),
        ("rerank", "rerank: 2 scores"),
        ("classify", "classify: 2 classes"),
        ("pooling", "pooling: 1 values"),
    ],
)
def test_the_test_asks_for_what_the_task_promises(serve: Serve, task: str, said: str) -> None:
    printed = serve(GOOD, ["m"], TASK=task)
    assert said in printed
    assert printed.endswith("OK\n")
    assert "FAILED" in serve({}, ["m"], TASK=task)


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        ("embed", {"/v1/embeddings": {"data": [{"embedding": [0.1]}, {"embedding": [0.3, 0.4]}]}}),
        ("embed", {"/v1/embeddings": {"data": [{"embedding": []}, {"embedding": []}]}}),
        ("rerank", {"/v1/rerank": {"results": [{"relevance_score": 0.9}]}}),
        ("rerank", {"/v1/rerank": {"results": [{"relevance_score": None}, {"relevance_score": 1}]}}),
        ("classify", {"/classify": {"data": [{"probs": []}]}}),
        ("pooling", {"/pooling": {"data": [{"data": []}]}}),
    ],
)
def test_a_poor_answer_fails_the_test(serve: Serve, task: str, answer: dict[str, Any]) -> None:
    printed = serve(answer, ["m"], TASK=task)
    assert "FAILED:" in printed
    assert "OK" not in printed


def test_every_name_must_be_on_offer(serve: Serve) -> None:
    printed = serve(GOOD, ["m", "alias"], NAMES='["alias", "sql"]', ADAPTERS="1", TASK="embed")
    assert "FAILED: sql is not served; the engine offers ['m', 'alias']" in printed
    chat = {**GOOD, "/v1/chat/completions": {}}
    printed = serve(chat, ["m", "alias", "sql"], NAMES='["alias", "sql"]', ADAPTERS="1")
    assert "completion of sql: 'x'" in printed
    assert "completion of alias" not in printed


def test_what_the_pod_of_the_test_is_told() -> None:
    values = {"model": {"task": "embed", "aliases": ["a"]}, "engine": {"lora": {"adapters": [SQL]}}}
    (test,) = [m for m in in_process(merge(BASE, values)) if m["kind"] == "Pod"]
    told = env(test["spec"]["containers"][0])
    assert (told["TASK"], json.loads(told["NAMES"]), told["ADAPTERS"]) == ("embed", ["a", "sql"], "1")


# The download's link
def test_the_link_leads_to_the_files_and_follows_another_download(hub: FakeHub, cache: Path) -> None:  # noqa: F811
    link = cache.parent / "adapters" / "org--tiny@main"
    for _ in range(2):
        done = download(hub, cache, env={"DOWNLOAD_LINK": str(link)})
        assert done.returncode == 0, done.stdout + done.stderr
        assert link.resolve() == snapshot(cache).resolve()
    asked = len(files_asked(hub))
    assert (link / "config.json").read_bytes() == b"{}"
    link.unlink()
    assert download(hub, cache, env={"DOWNLOAD_LINK": str(link)}).returncode == 0
    assert link.exists()
    assert len(files_asked(hub)) == asked  # a marked download is not made again


def test_an_adapter_needs_no_config_of_a_model(hub: FakeHub, cache: Path) -> None:  # noqa: F811
    hub.models["org/sql"] = FakeModel(
        {"adapter_config.json": b'{"r": 8}', "adapter_model.bin": b"x", "README.md": b"y"}
    )
    link = cache.parent / "sql"
    done = download(hub, cache, env={"DOWNLOAD_MODEL": "org/sql", "DOWNLOAD_LINK": str(link)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((link / "adapter_config.json").read_text()) == {"r": 8}
    assert SCRIPT.exists()
