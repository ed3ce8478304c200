"""Keys and tokens as text, by every spelling that an engine takes: Helm and `llm-serving validate` refuse the same."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from llm_serving_planner.output.committed import load_catalog
from llm_serving_planner.output.secrets import secret_problems
from support.helm import CHART, ROOT, RefusedError, in_process, merge
from support.releases import BASE

SECRET = "s3cretS3cret"
ARGUMENTS = [
    ["--api-key", SECRET], ["--api_key", SECRET], [f"--api-key={SECRET}"], [f"--api_key={SECRET}"],
    [f"--API-KEY={SECRET}"],
    ["--api-k", SECRET], [f"--api_ke={SECRET}"], ["--hf-token", SECRET], ["--hf_token", SECRET], [f"--hf-tok={SECRET}"],
    [f"-api-key={SECRET}"], ["--kv-transfer-config", f'{{"api_key": "{SECRET}"}}'],
    ["--model-loader-extra-config", f'{{"aws_secret_access_key": "{SECRET}"}}'], [f"--api-key.x={SECRET}"],
]  # fmt: skip
REFUSED: dict[str, dict[str, Any]] = {
    **{f"extraArgs {' '.join(words)}": {"engine": {"extraArgs": words}} for words in ARGUMENTS},
    "command": {"engine": {"command": ["vllm", "serve", "--api-key", SECRET]}},
    "shell": {"engine": {"command": ["sh", "-c", f"exec vllm serve m --api_key {SECRET}"]}},
    "assignment": {"engine": {"command": ["sh", "-c", f"VLLM_API_KEY={SECRET} vllm serve m"]}},
    "exported": {"engine": {"command": ["sh", "-c", f"export HF_TOKEN='{SECRET}'; vllm serve m"]}},
    "download": {"model": {"download": {"command": ["env", f"HF_TOKEN={SECRET}", "python3"]}}},
    "args": {"engine": {"args": {"kv-transfer-config": {"kv_connector_extra_config": {"api_key": SECRET}}}}},
    "args as text": {"engine": {"args": {"kv-transfer-config": f'{{"password": "{SECRET}"}}'}}},
    **{
        f"env {name}": {"engine": {"env": {name: SECRET}}}
        for name in (
            "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AZURE_CLIENT_SECRET",
            "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_CONNECTION_STRING", "OPENAI_API_KEY", "WANDB_API_KEY",
            "REDIS_PASSWORD", "VLLM_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "lmcache_token",
        )
    },
    "extraEnv": {"engine": {"extraEnv": [{"name": "AWS_SECRET_ACCESS_KEY", "value": SECRET}]}},
    "endpoint": {"model": {"source": {"type": "s3", "uri": "s3://b/m", "endpoint": f"http://user:{SECRET}@host"}}},
    "proxy": {"engine": {"env": {"HTTPS_PROXY": f"http://user:{SECRET}@proxy:3128"}}},
    "annotation": {"podAnnotations": {"a": f"postgres://user:{SECRET}@db/x"}},
    "access key id": {"podAnnotations": {"a": "AKIA" + "A" * 16}},
    "git token": {"podAnnotations": {"a": "ghp_" + "a" * 36}},
    "private key": {"plan": {"summary": "-----BEGIN RSA PRIVATE KEY-----"}},
    "hub token": {"podLabels": {"a": "hf_" + "a" * 34}},
}  # fmt: skip
FINE: dict[str, dict[str, Any]] = {
    "neighbours of the flags": {"engine": {"extraArgs": ["--api-keyless", "--hf-tokenizer", "x"]}},
    "tokens that are none": {"engine": {"args": {"max-num-batched-tokens": 2048}, "env": {"MAX_TOKENS": "5"}}},
    "paths and switches": {"engine": {"env": {"HF_TOKEN_PATH": "/run/token", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
                                              "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token"}}},
    "by reference": {"engine": {"extraEnv": [{"name": "AWS_SECRET_ACCESS_KEY", "valueFrom": {
        "secretKeyRef": {"name": "s", "key": "k"}}}]}},
    "another variable": {"engine": {"env": {"LMCACHE_TOKEN": "$(OWN)"}}},
    "a shell that reads": {"engine": {"command": ["sh", "-c", "VLLM_API_KEY=$(cat /run/key) vllm serve m"]}},
    "addresses": {"engine": {"env": {"HTTPS_PROXY": "http://proxy:3128", "NOTE": "see https://h/a@b, user@host:22"}}},
    "bos token": {"engine": {"args": {"hf-overrides": {"bos_token": "<s>", "bos_token_id": 1}}}},
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_key_as_text_is_refused_by_both(name: str) -> None:
    values = merge(BASE, REFUSED[name])
    with pytest.raises(RefusedError) as refused:
        in_process(values)
    assert SECRET not in str(refused.value)
    found = secret_problems(REFUSED[name])
    assert found
    assert not any(SECRET in text for text in found)


@pytest.mark.parametrize("name", FINE)
def test_what_is_no_key_is_let_through_by_both(name: str) -> None:
    assert secret_problems(FINE[name]) == []
    in_process(merge(BASE, FINE[name]))


def committed() -> list[Path]:
    names = [f"{entry.model}" for entry in load_catalog(ROOT / "values" / "catalog.yaml")]
    assert names
    return [
        *(CHART / "ci").glob("*-values.yaml"),
        *(path for path in (ROOT / "values").glob("*.yaml") if path.stem != "catalog"),
    ]


@pytest.mark.parametrize("path", committed(), ids=lambda path: path.stem)
def test_no_committed_file_holds_one(path: Path) -> None:
    assert secret_problems(yaml.safe_load(path.read_text()) or {}) == []


OWN_PORT = {"name": "w", "image": "i", "ports": [{"name": "web", "containerPort": 8000}]}
NAMED_PORT = {"name": "w", "image": "i", "ports": [{"name": "http", "containerPort": 9999}]}
S3_SECRET = {"model": {"source": {"type": "s3", "uri": "s3://b/m", "existingSecret": "s"}}}
COLLISIONS: dict[str, tuple[dict[str, Any], str]] = {
    **{
        f"volume {name}": ({"extraVolumes": [{"name": name, "emptyDir": {}}]}, f"extraVolumes name a volume {name}")
        for name in ("models", "home", "tmp", "shm", "group", "source", "credentials", "tls", "template", "download")
    },
    **{
        f"path {path}": (
            {"extraVolumes": [{"name": "x", "emptyDir": {}}], "extraVolumeMounts": [{"name": "x", "mountPath": path}]},
            f"extraVolumeMounts mount x at {path}",
        )
        for path in ("/llm/template", "/llm/template/", "/llm//models", "/llm/./tls", "/", "/llm", "/dev/shm", "/tmp/")
    },
    **{
        f"container {name}": ({"sidecars": [{"name": name, "image": "i"}]}, f"name a container {name}")
        for name in ("engine", "download", "fetch-model", "wait-model", "fetch-extra-0", "wait-extra-11")
    },
    "port number": ({"sidecars": [OWN_PORT]}, "w has the port web 8000, which is the engine's"),
    "port name": ({"sidecars": [NAMED_PORT]}, "w has the port http 9999, which is the engine's"),
    "variable of a group": ({"engine": {"env": {"GROUP_RANK": "1"}}}, "sets GROUP_RANK, which the chart sets itself"),
    "variable of a download": ({"engine": {"env": {"DOWNLOAD_LINK": "x"}}}, "sets DOWNLOAD_LINK, which the chart"),
    "variable of a Secret": (
        merge(S3_SECRET, {"engine": {"extraEnv": [{"name": "AWS_ACCESS_KEY_ID", "valueFrom": {}}]}}),
        "sets AWS_ACCESS_KEY_ID, which the chart sets itself",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", COLLISIONS)
def test_what_users_add_never_stands_twice(name: str) -> None:
    changes, text = COLLISIONS[name]
    with pytest.raises(RefusedError) as refused:
        in_process(merge(BASE, changes))
    assert text in str(refused.value)


@pytest.mark.parametrize("served", ["$(HF_TOKEN)", "--trust-remote-code", "-x", "a\nb", "a\x1b[0m"])
def test_a_name_is_neither_a_flag_nor_a_variable(served: str) -> None:
    for changes in ({"servedName": served}, {"aliases": [served]}):
        with pytest.raises(RefusedError):
            in_process(merge(BASE, {"model": changes}))
