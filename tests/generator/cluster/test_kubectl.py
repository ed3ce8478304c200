"""The one client of a cluster: bounded in time and bytes, whatever kubectl does."""

import time
from pathlib import Path

import pytest
from llm_serving_planner.base.errors import InputError, SchemaError
from llm_serving_planner.cluster import kubectl
from llm_serving_planner.cluster.kubectl import Client, CommandError


def client(folder: Path, script: str) -> Client:
    program = folder / "kubectl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Client(str(program))


@pytest.mark.parametrize("script", ["while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxx; done", "exec cat /dev/zero"])
def test_an_endless_answer_of_the_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr(kubectl, "MOST_BYTES", 1_000_000)
    with pytest.raises(InputError, match="kubectl answers with more than 1,000,000 bytes"):
        client(tmp_path, script).run("get", "pods")


def test_a_silent_cluster_and_all_calls_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubectl, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(kubectl, "TOTAL_SECONDS", 0.7)
    asked = client(tmp_path, "exec sleep 60")
    started = time.monotonic()
    for _ in range(20):
        with pytest.raises(InputError, match="kubectl gave no answer within"):
            asked.run("get", "pods")
    assert time.monotonic() - started < 5


def test_a_child_that_keeps_the_pipe_open_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubectl, "ANSWER_SECONDS", 0.3)
    started = time.monotonic()
    with pytest.raises(InputError, match="gave no answer"):
        client(tmp_path, "sleep 60 & exit 0").run("get", "pods")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ('{"items": "x"}', "/items: 'x' is not of type 'array', 'null'"),
        ('{"items": [5]}', "/items/0: 5 is not of type 'object'"),
        ('{"items": [{"metadata": null}]}', "/items/0/metadata"),
        ('{"items": [{"metadata": {"name": "n", "labels": {"a": 5}}}]}', "/items/0/metadata/labels/a"),
        ('{"items": [{"metadata": {"name": "n"}, "status": {"conditions": ["x"]}}]}', "/items/0/status/conditions/0"),
        ("[]", "holds a list"),
        ("{", "is not valid JSON"),
    ],
)
def test_an_answer_in_another_shape(tmp_path: Path, answer: str, problem: str) -> None:
    with pytest.raises((InputError, SchemaError)) as refused:
        client(tmp_path, f"echo '{answer}'").items("nodes")
    assert problem in str(refused.value)


def test_what_the_api_leaves_out_is_empty(tmp_path: Path) -> None:
    assert client(tmp_path, """echo '{"items": null}'""").items("nodes") == []
    answer = '{"items": [{"metadata": {"name": "n", "labels": null}, "spec": null}]}'
    assert client(tmp_path, f"echo '{answer}'").items("nodes") == [
        {"metadata": {"name": "n", "labels": {}, "annotations": {}}, "spec": {}, "status": {}}
    ]


def test_what_the_client_says_is_one_harmless_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as refused:
        client(tmp_path, r"printf 'one\ntwo \033[2J\007 %0.sx' $(seq 9000) >&2; exit 1").run("get", "pods")
    assert "two \\x1b[2J\\x07" in str(refused.value)
    assert len(str(refused.value)) < 700
