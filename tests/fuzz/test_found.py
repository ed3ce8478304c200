"""What random documents found, each as the smallest document that shows it."""

from typing import Any

import pytest
import yaml
from fuzz.documents import LEAVES, put
from fuzz.judging import judge, render
from llm_serving_planner.output.schema import validate
from support.helm import RefusedError, find, merge

BASE: dict[str, Any] = {"model": {"id": "org/model"}}
YAML_WORDS = ("on", "no", "null", "1e3", "0x1f", "0123", "2026-11-25", "1048576")


@pytest.mark.parametrize("key", ["nameOverride", "fullnameOverride"])
@pytest.mark.parametrize("word", YAML_WORDS)
def test_a_name_that_yaml_reads_as_something_else(key: str, word: str) -> None:
    """They came unquoted: `name: on` is true. One that begins with a digit no Service may have."""
    changes = {key: word, "replicas": 2, "storage": {"type": "emptyDir"}, "expose": {"ingress": {"enabled": True}}}
    if key == "fullnameOverride" and not word[0].isalpha():
        with pytest.raises(RefusedError, match=f"named {word}, which does not begin with a letter"):
            render(merge(BASE, changes))
        return
    manifests = judge(merge(BASE, changes)) or []
    service = find(manifests, "Service")
    assert service["metadata"]["name"] == (word if key == "fullnameOverride" else f"fuzz-{word}")


@pytest.mark.parametrize("word", YAML_WORDS)
def test_an_account_and_a_variable_of_such_a_name(word: str) -> None:
    name = word if word[0].isalpha() else f"_{word}"
    variables = {name: word} if word.isalpha() else {}
    manifests = judge(merge(BASE, {"serviceAccount": {"name": word}, "engine": {"env": variables}})) or []
    own = [
        m for m in manifests if "helm.sh/hook" not in m["metadata"].get("annotations", {})
    ]  # hooks have accounts too
    assert find(own, "ServiceAccount")["metadata"]["name"] == word
    env = find(manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0]["env"]
    for variable in variables:
        assert {"name": variable, "value": word} in env


@pytest.mark.parametrize("namespace", ["on", "1e3", "123"])
def test_a_namespace_of_such_a_name(namespace: str) -> None:
    manifests = judge(BASE, namespace=namespace) or []
    assert {manifest["metadata"]["namespace"] for manifest in manifests} == {namespace}


def test_a_name_that_is_cut_ends_in_a_letter() -> None:
    """Cut at 50 and 53, they ended in `.` or `--`."""
    for override in ("a" * 49 + ".b" * 20, "a" * 48 + "--b", "a" * 51 + "---" + "b" * 9):
        for key in ("nameOverride", "fullnameOverride"):
            for manifest in judge(merge(BASE, {key: override})) or []:
                assert manifest["metadata"]["name"][-1].isalnum()
                assert manifest["metadata"]["labels"]["app.kubernetes.io/name"][-1].isalnum()


def test_a_plan_with_a_line_end_that_only_unicode_knows() -> None:
    """Such a line end tore the block of text in which the plan is shown."""
    plan = {"summary": "a\u2028b\u2029c", "more": ["\u2028", "x\ny"]}
    manifests = judge(merge(BASE, {"plan": plan})) or []
    shown = find([m for m in manifests if m["metadata"]["name"].endswith("-plan")], "ConfigMap")["data"]["plan.yaml"]
    assert yaml.safe_load(shown) == plan


@pytest.mark.parametrize("value", [["a", 1], True, {"a": 1}, 7])
def test_a_load_format_that_is_no_text(value: Any) -> None:
    """A flag may have any value; the look at its beginning crashed."""
    streamed = {"model": {"source": {"type": "s3", "uri": "s3://a"}}, "engine": {"args": {"load-format": value}}}
    with pytest.raises(RefusedError, match="needs runai_streamer or runai_streamer_sharded"):
        render(streamed)


def test_null_takes_any_default_away() -> None:
    """`--set storage=null` removes a default: some template met a nil pointer, or rendered an empty field."""
    sections = {path.rsplit(".", count)[0] for path in LEAVES for count in range(1, path.count(".") + 1)}
    refused = {path for path in {*LEAVES, *sections} if judge(put(BASE, path, None)) is None}
    assert refused == {"enabled", "model", "model.id"}, "a release of its own that is off, or has nothing to serve"
    for path in {*LEAVES, *sections}:
        validate(put(BASE, path, None), path)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"podLabels": {"a b": "c"}}, "': invalid propertyName 'a b"),
        ({"podLabels": {"a": "not a label"}}, "/podLabels/a"),
        ({"podAnnotations": {"": "c"}}, "': invalid propertyName ''"),
        ({"nodeSelector": {"gpu": "-t4"}}, "/nodeSelector/gpu"),
        ({"replicas": 10**10}, "/replicas"),
        ({"security": {"runAsUser": 2**31}}, "/security/runAsUser"),
        ({"expose": {"host": "10.1.2.3"}}, "/expose/host"),
        ({"expose": {"host": "a..b"}}, "/expose/host"),
        ({"storage": {"storageClass": "Not A Class"}}, "/storage/storageClass"),
        ({"storage": {"size": "0Gi"}}, "/storage/size"),
        ({"memory": {"sharedMemory": "0Mi"}}, "/memory/sharedMemory"),
        ({"storage": {"hostPath": "/a/../b"}}, "/storage/hostPath"),
        ({"network": {"rdma": {"hugepages": "1.5Mi"}}}, "/network/rdma/hugepages"),
        ({"lifecycle": {"preStop": {"httpGet": {"port": 0}}}}, "/lifecycle/preStop/httpGet/port"),
        ({"imagePullSecrets": ["registry"]}, "/imagePullSecrets/0"),
        ({"imagePullSecrets": [{"name": "a"}, {"name": "a"}]}, "/imagePullSecrets"),
        ({"engine": {"image": {"repository": "a b"}}}, "/engine/image/repository"),
        ({"engine": {"extraEnv": [{"name": "a=b"}]}}, "/engine/extraEnv/0/name"),
        ({"networkPolicy": {"nodes": ["10.0.0.1"]}}, "/networkPolicy/nodes/0"),
        ({"kueue": {"queue": "a.b"}}, "/kueue/queue"),
        ({"plan": {"warnings": "a"}}, "/plan/warnings"),
        ({"plan": {"summary": ["a"]}}, "/plan/summary"),
        ({"plan": {"estimateGiBPerGpu": 7}}, "/plan/estimateGiBPerGpu"),
        ({"tolerations": [{"kee": "a"}]}, "/tolerations/0"),
        ({"topologySpreadConstraints": [{"maxSkew": 1}]}, "/topologySpreadConstraints/0"),
        ({"network": {"glooInterface": "^lo,docker0"}}, "/network/glooInterface"),
    ],
)
def test_what_would_be_wrong_later_is_refused_by_the_schema(changes: dict[str, Any], path: str) -> None:
    with pytest.raises(RefusedError, match=f"at '{path}"):
        render(merge(BASE, changes))
