"""Stand-in CustomResourceDefinitions for kinds whose operators a test cluster may lack: made of tests/data/schemas."""

import json
from typing import Any

from support.helm import ROOT

Json = dict[str, Any]
SCHEMAS = ROOT / "tests" / "data" / "schemas"
# kind: group, version, plural
KINDS = {
    "BackendTLSPolicy": ("gateway.networking.k8s.io", "v1", "backendtlspolicies"),
    "GRPCRoute": ("gateway.networking.k8s.io", "v1", "grpcroutes"),
    "HTTPRoute": ("gateway.networking.k8s.io", "v1", "httproutes"),
    "InferencePool": ("inference.networking.k8s.io", "v1", "inferencepools"),
    "PodMonitor": ("monitoring.coreos.com", "v1", "podmonitors"),
    "PrometheusRule": ("monitoring.coreos.com", "v1", "prometheusrules"),
    "Route": ("route.openshift.io", "v1", "routes"),
    "ScaledObject": ("keda.sh", "v1alpha1", "scaledobjects"),
    "ServiceMonitor": ("monitoring.coreos.com", "v1", "servicemonitors"),
}
DROPPED = {"$schema", "$comment", "$id", "title"}


def structural(node: Any) -> Any:
    """A JSON schema as a CRD may hold it: every node has a type, and closed objects are closed by saying nothing."""
    if not isinstance(node, dict):
        return node
    found = {key: value for key, value in node.items() if key not in DROPPED}
    if found.get("additionalProperties") is False:
        del found["additionalProperties"]
    if "const" in found:
        found["enum"] = [found.pop("const")]
    if {"integer", "string"} == {option.get("type") for option in found.get("anyOf", [])}:
        return {"x-kubernetes-int-or-string": True}
    if "properties" in found:
        found["properties"] = {name: structural(child) for name, child in found["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in found:
            found[key] = structural(found[key])
    if not found:
        return {"x-kubernetes-preserve-unknown-fields": True}
    if "type" not in found:
        found["type"] = "object" if {"properties", "additionalProperties"} & set(found) else "string"
    return found


def definition(kind: str) -> Json:
    """The CustomResourceDefinition of a kind; metadata and what the operator alone knows are left open."""
    group, version, plural = KINDS[kind]
    schema = structural(json.loads((SCHEMAS / f"{kind}.json").read_text()))
    wanted = {key: value for key, value in schema["properties"].items() if key == "spec"}
    root = {"type": "object", "required": ["spec"], "properties": wanted}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, a stand-in of tests"},
            "labels": {"llm-serving/stand-in": "true"},
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
            "versions": [{"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": root}}],
        },
    }
