"""What became of a values document: refused in due form, rendered and valid, or else a fault of the chart."""

import functools
import json
import re
from typing import Any

import jsonschema
import yaml
from referencing import Registry, Resource
from support.helm import CHART, OPERATORS, ROOT, Manifest, RefusedError, templates
from support.pod_rules import containers, restricted

Values = dict[str, Any]
HEAD = re.compile(r"llm-serving: (\d+) problems? with the values:\n")
PROBLEM = re.compile(r"  (\d+)\. (.+)")
SCHEMAS = ROOT / "tests" / "data" / "schemas"
GROUPS = {"LeaderWorkerSet", "RayCluster"}
NEWEST = "1.35"


class FaultError(AssertionError):
    """The chart neither rendered valid manifests nor refused in due form."""


class Loader(yaml.CSafeLoader):
    """The fast parser; it too refuses a key that stands twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """As the parent's, with the check."""
        found = super().construct_mapping(node, deep)
        if len(found) != len(node.value):
            raise yaml.YAMLError(f"a key stands twice: {[key.value for key, _ in node.value]}")
        return found


# "=" is a text of its own in YAML 1.1, for which PyYAML has no reading
yaml.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value, Loader)


@functools.cache
def _chart() -> Any:
    from helm_python import Chart

    return Chart.load(str(CHART))


def render(values: Values, kube: str = NEWEST, namespace: str = "llm") -> dict[str, str]:
    """Every template's output in process; RefusedError with what Helm says where it does not render."""
    from helm_python import HelmError, _native

    options = {"name": "fuzz", "namespace": namespace, "api_versions": list(OPERATORS), "kube_version": kube}
    try:
        text = _native.call_string("helm_render", _chart()._raw(), json.dumps(values), json.dumps(options))
    except HelmError as error:
        raise RefusedError(str(error)) from error
    rendered: dict[str, str] = json.loads(text)
    return rendered


def problems(text: str) -> list[str]:
    """The refusals that a message of Helm holds; FaultError where it is not the chart's own, in its form."""
    head = HEAD.search(text)
    if head is None or "validate.yaml" not in text[: head.start()]:
        raise FaultError(f"no refusal of the chart: {text}")
    found = PROBLEM.findall(text[head.end() :])
    numbers = [int(number) for number, _ in found]
    if numbers != list(range(1, int(head[1]) + 1)):
        raise FaultError(f"numbers {numbers} of {head[1]} problems: {text}")
    for _, problem in found:
        if not problem.endswith(".") or ". " not in problem or "%!" in problem:
            raise FaultError(f"not of the form 'key (value found) rule. Way out.': {problem}")
    return [problem for _, problem in found]


@functools.cache
def _kubernetes(name: str, version: str) -> jsonschema.Draft202012Validator:
    import kubernetes_validate

    folder = f"kubernetes-json-schema/v{version}.0-local-strict"
    definitions = kubernetes_validate.utils.schema_contents(f"{folder}/_definitions.json", version)
    schema = kubernetes_validate.utils.schema_contents(f"{folder}/{name}.json", version)
    registry: Any = Resource.from_contents(definitions) @ Registry()
    return jsonschema.Draft202012Validator(schema, registry=registry)


@functools.cache
def _derived(kind: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads((SCHEMAS / f"{kind}.json").read_text()))


def _complaints(manifest: Manifest, version: str) -> list[str]:
    """What the schema of an object's kind has against it; of groups their pods, for the rest has no schema here."""
    kind = manifest["kind"]
    if kind in GROUPS:
        parts = [{"apiVersion": "v1", "kind": "Pod", **template} for template in templates([manifest])]
        return [word for part in parts for word in _complaints(part, version)]
    if (SCHEMAS / f"{kind}.json").exists():
        validator = _derived(kind)
    else:
        group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", manifest["apiVersion"])
        validator = _kubernetes(f"{kind.lower()}-{group}", version)
    return [f"{kind} {error.json_path}: {error.message[:300]}" for error in validator.iter_errors(manifest)]


def _pods(manifests: list[Manifest]) -> list[Manifest]:
    specs = [template["spec"] for template in templates(manifests)]
    specs += [m["spec"]["template"]["spec"] for m in manifests if m["kind"] == "Job"]
    return specs + [m["spec"] for m in manifests if m["kind"] == "Pod"]


def _asked_for(values: Values, word: str) -> bool:
    """Whether the document itself asks for what Pod Security restricted does not admit."""
    storage, source = values.get("storage", {}), values.get("model", {}).get("source", {})
    if word == "hostIPC":
        return bool(values.get("hostIPC"))
    if word == "volume hostPath":
        return "hostPath" in {storage.get("type"), source.get("type")}
    if word.endswith("adds IPC_LOCK"):
        return bool(values["network"]["rdma"]["enabled"])
    return bool(re.search(r": runAs(NonRoot|User 0)$", word)) and bool(values.get("security", {}).get("allowRoot"))


def _pod_rules(values: Values, manifests: list[Manifest]) -> list[str]:
    found = []
    # Who asks the API server has a token, and a role for that alone; nobody else has one.
    bound = {subject["name"] for m in manifests if m["kind"] == "RoleBinding" for subject in m["subjects"]}
    for spec in _pods(manifests):
        found += [word for word in restricted(spec) if not _asked_for(values, word)]
        if spec.get("automountServiceAccountToken") is not (spec.get("serviceAccountName") in bound):
            found.append("automountServiceAccountToken")
        if spec.get("enableServiceLinks") is not False:
            found.append("enableServiceLinks")
        names = [container["name"] for container in containers(spec)]
        found += [f"containers {names}"] if len(names) != len(set(names)) else []
        volumes = [volume["name"] for volume in spec.get("volumes", [])]
        found += [f"volumes {volumes}"] if len(volumes) != len(set(volumes)) else []
        for container in containers(spec):
            mounts = container.get("volumeMounts", [])
            paths = [mount["mountPath"] for mount in mounts]
            found += [f"mounts {paths}"] if len(paths) != len(set(paths)) else []
            found += [f"no volume {m['name']}" for m in mounts if m["name"] not in {*volumes, *_claims(manifests)}]
    return found


def _claims(manifests: list[Manifest]) -> set[str]:
    """Volumes that a controller makes of its claim templates."""
    entries: list[Manifest] = []
    for manifest in manifests:
        spec = manifest.get("spec", {})
        entries += spec.get("leaderWorkerTemplate", spec).get("volumeClaimTemplates", [])
    return {entry["metadata"]["name"] for entry in entries}


def _names(manifests: list[Manifest]) -> list[str]:
    found, seen = [], set()
    for manifest in manifests:
        identity = (manifest["kind"], manifest["metadata"]["name"])
        found += [f"twice {identity}"] if identity in seen else []
        seen.add(identity)
        labels = manifest["metadata"].get("labels", {})
        found += [f"label {key}={value}" for key, value in labels.items() if len(value) > 63]
    return found


def judge(values: Values, kube: str = NEWEST, namespace: str = "llm") -> list[Manifest] | None:
    """Manifests of a document that renders, None where it is refused in due form; else FaultError."""
    try:
        rendered = render(values, kube, namespace)
    except RefusedError as refusal:
        problems(str(refusal))
        return None
    manifests = []
    for path, text in sorted(rendered.items()):
        if path.endswith(".yaml"):
            try:
                manifests += [document for document in yaml.load_all(text, Loader) if document]
            except yaml.YAMLError as error:
                raise FaultError(f"{path} is no YAML: {error}\n{text}") from error
    # a document that forgoes the question what the cluster serves is not for an old one
    version = NEWEST if values.get("skipApiCheck") else kube
    found = [word for manifest in manifests for word in _complaints(manifest, version)]
    found += _pod_rules(values, manifests) + _names(manifests)
    if found:
        raise FaultError("; ".join(found))
    return manifests
