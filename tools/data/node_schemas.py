"""Derive the schemas by which node manifests and facts of clusters are judged, from the APIs' own definitions.

PYTHONPATH=tools python -m data.node_schemas OPENSHIFT_API KARPENTER_PROVIDER_AWS EKSCTL GPU_OPERATOR

Each argument is a clone (bare or not) of the repository of that name: openshift/api, aws/karpenter-provider-aws,
eksctl-io/eksctl, NVIDIA/gpu-operator, all Apache-2.0. HEAD is read. Written is tests/data/schemas/*.json: the keys that
the generator may write, every other key refused, descriptions and defaults left out. What a CRD says in CEL rules is
not in them. data/aws-machine.schema.json of the package is for reading a cluster's own MachineSets: the same
types, but a key of a newer API is let pass.
"""

import argparse
import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
OUT = ROOT / "tests" / "data" / "schemas"
FACTS = ROOT / "generator" / "llm_serving_planner" / "data" / "aws-machine.schema.json"
Json = dict[str, Any]
# Keywords of OpenAPI v3 that JSON Schema knows with the same meaning.
KEPT = ("enum", "maxItems", "maxLength", "maximum", "minItems", "minLength", "minimum", "pattern", "type")

LABELS: Json = {"labels": {}}
TAINTS: Json = {"key": {}, "value": {}, "effect": {}}
MACHINESET: Json = {
    "replicas": {},
    "selector": {"matchLabels": {}},
    "template": {
        "metadata": LABELS,
        "spec": {"metadata": LABELS, "taints": TAINTS, "providerSpec": {"value": {}}},
    },
}
NODE_POOL: Json = {
    "template": {
        "metadata": LABELS,
        "spec": {
            "nodeClassRef": {"group": {}, "kind": {}, "name": {}},
            "requirements": {"key": {}, "operator": {}, "values": {}},
            "taints": TAINTS,
            "expireAfter": {},
        },
    },
    "limits": {},
    "disruption": {"consolidationPolicy": {}, "consolidateAfter": {}, "budgets": {"nodes": {}, "reasons": {}}},
}
NODE_CLASS: Json = {
    "amiFamily": {},
    "amiSelectorTerms": {"alias": {}, "id": {}},
    "role": {},
    "subnetSelectorTerms": {"tags": {}},
    "securityGroupSelectorTerms": {"tags": {}},
    "blockDeviceMappings": {
        "deviceName": {},
        "rootVolume": {},
        "ebs": {"volumeSize": {}, "volumeType": {}, "encrypted": {}, "deleteOnTermination": {}},
    },
}
CLUSTER_CONFIG: Json = {
    "apiVersion": {},
    "kind": {},
    "metadata": {"name": {}, "region": {}},
    "managedNodeGroups": {
        **{key: {} for key in ("name", "amiFamily", "instanceType", "minSize", "desiredCapacity", "maxSize", "spot")},
        **{key: {} for key in ("volumeSize", "volumeType", "volumeEncrypted", "labels", "availabilityZones")},
        "taints": TAINTS,
    },
}
CLUSTER_POLICY: Json = {"driver": {"kernelModuleType": {}, "kernelModuleConfig": {"name": {}}}}
# Go types of the provider spec that a copied MachineSet may use.
GO_STRUCTS = (
    "AWSMachineProviderConfig", "AWSResourceReference", "BlockDeviceMappingSpec", "EBSBlockDeviceSpec", "Filter",
    "LoadBalancerReference", "MetadataServiceOptions", "Placement", "SpotMarketOptions", "TagSpecification",
)  # fmt: skip
GO_SCALARS = {"string": "string", "bool": "boolean", "int64": "integer", "int32": "integer"}


def show(repository: str, path: str) -> str:
    """A file of HEAD."""
    return subprocess.run(
        ["git", "-C", repository, "show", f"HEAD:{path}"], capture_output=True, text=True, check=True
    ).stdout


def origin(repository: str, name: str, *paths: str) -> str:
    """Where a schema comes from: repository, commit, day, files."""
    head = subprocess.run(
        ["git", "-C", repository, "log", "-1", "--format=%H of %cs"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return f"DERIVED by tools/data/node_schemas.py from {name} {head} (Apache-2.0): {', '.join(paths)}"


def trim(node: Json, keep: Json, resolve: Json, *, partial: bool = False) -> Json:
    """The part of a schema that `keep` names; unknown keys are refused.

    Raises:
        KeyError: the API has no such key, or demands one that is not kept.
    """
    node = {**resolve.get(str(node.get("$ref")).rsplit("/", 1)[-1], {}), **node} if "$ref" in node else node
    kept: Json = {key: node[key] for key in KEPT if key in node}
    if node.get("x-kubernetes-int-or-string"):
        return {"anyOf": [{"type": "integer"}, {"type": "string"}], **kept}
    if node.get("type") == "array":
        items = trim(node["items"], keep, resolve)
        # controller-gen writes limits of an item's text beside the list's type, where JSON Schema does not look
        for key in ("pattern", "maxLength"):
            if key in kept:
                items[key] = kept.pop(key)
        return {**kept, "items": items}
    if "properties" in node:
        kept["type"] = "object"
        kept["properties"] = {key: trim(node["properties"][key], keep.get(key, {}), resolve) for key in keep}
        kept["additionalProperties"] = False
        required = [] if partial else node.get("required", [])
        if missing := set(required) - set(keep):
            raise KeyError(f"demanded but not kept: {missing}")
        if required:
            kept["required"] = sorted(required)
    elif isinstance(node.get("additionalProperties"), dict):
        kept["additionalProperties"] = trim(node["additionalProperties"], {}, resolve)
    return kept


def annotated(schema: Json) -> Json:
    """The schema of a manifest that may have annotations."""
    schema["properties"]["metadata"]["properties"]["annotations"] = {"additionalProperties": {"type": "string"}}
    return schema


def custom_resource(crd: str, version: str, keep: Json, *, namespaced: bool, partial: bool = False) -> Json:
    """A whole manifest of a custom resource."""
    document = yaml.safe_load(crd)
    names, group = document["spec"]["names"], document["spec"]["group"]
    found = next(entry for entry in document["spec"]["versions"] if entry["name"] == version)
    spec = trim(found["schema"]["openAPIV3Schema"]["properties"]["spec"], keep, {}, partial=partial)
    metadata: Json = {"name": {"type": "string", "maxLength": 253}}
    if namespaced:
        metadata |= {"namespace": {"type": "string"}, "labels": {"additionalProperties": {"type": "string"}}}
    return strict(
        {
            "apiVersion": {"const": f"{group}/{version}"},
            "kind": {"const": names["kind"]},
            "metadata": strict(metadata, ["name"]),
            "spec": spec,
        },
        ["apiVersion", "kind", "metadata", "spec"],
    )


def strict(properties: Json, required: Iterable[str] = ()) -> Json:
    """An object that knows these keys only."""
    node: Json = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**node, "required": sorted(required)} if required else node


def go_structs(source: str) -> Json:
    """JSON Schema of the Go structs: a field is demanded unless its comment says +optional."""
    found: Json = {}
    for name in GO_STRUCTS:
        body = re.search(rf"^type {name} struct {{\n(.*?)^}}", source, re.MULTILINE | re.DOTALL)
        if body is None:
            raise KeyError(name)
        properties: Json = {}
        required = []
        comment = ""
        for line in body.group(1).splitlines():
            field = re.match(r'\s*\w+\s+(\S+)\s+`json:"(\w+)[^`]*`', line)
            if line.strip().startswith("//"):
                comment += line + "\n"
                continue
            kind = go_type(field.group(1), comment) if field else None
            if field and kind is not None:
                properties[field.group(2)] = kind
                required += [] if "+optional" in comment else [field.group(2)]
            comment = ""
        found[name] = strict(properties, required)
    found["AWSResourceReference"]["maxProperties"] = 1  # "Only one of ID, ARN or Filters may be specified"
    provider = found["AWSMachineProviderConfig"]
    provider["properties"] |= {
        "apiVersion": {"const": "machine.openshift.io/v1beta1"},
        "kind": {"const": "AWSMachineProviderConfig"},
    }
    provider["required"] = sorted([*provider["required"], "apiVersion", "kind"])
    return found


def go_type(text: str, comment: str) -> Json | None:
    """JSON Schema of a Go type, None for one that is not kept."""
    name = text.removeprefix("[]").removeprefix("*")
    enum = re.search(r"\+kubebuilder:validation:Enum:?=(\S+)", comment)
    if name in GO_STRUCTS:
        kind: Json = {"$ref": f"#/$defs/{name}"}
    elif name == "corev1.LocalObjectReference":
        kind = strict({"name": {"type": "string"}}, ["name"])
    elif name in GO_SCALARS:
        kind = {"type": GO_SCALARS[name]}
    elif name in {"InstanceTenancy", "AWSLoadBalancerType"} or enum:
        kind = {"type": "string"}
    else:
        return None
    if enum:
        kind["enum"] = enum.group(1).replace('"', "").split(";")
    return {"type": "array", "items": kind} if text.startswith("[]") else kind


def lenient(node: Any) -> Any:
    """The same types without the refusal of unknown keys, and without constants."""
    if isinstance(node, dict):
        return {
            key: lenient(value)
            for key, value in node.items()
            if not (key == "additionalProperties" and value is False)
            and not (isinstance(value, dict) and "const" in value)
        }
    return [lenient(entry) for entry in node] if isinstance(node, list) else node


def write(path: Path, comment: str, schema: Json) -> None:
    """One schema as a file."""
    text = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$comment": comment, **schema}
    path.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")


def sources(description: str | None, *names: str) -> list[str]:
    """The folders that the command line gives, one per name."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in names:
        parser.add_argument(name)
    found = vars(parser.parse_args())
    return [found[name] for name in names]


def main() -> None:
    """Read four clones, write six schemas."""
    api, karpenter, eksctl, operator = sources(
        __doc__, "OPENSHIFT_API", "KARPENTER_PROVIDER_AWS", "EKSCTL", "GPU_OPERATOR"
    )
    crd = "machine/v1beta1/zz_generated.crd-manifests/0000_10_machine-api_01_machinesets-Default.crd.yaml"
    types = "machine/v1beta1/types_awsprovider.go"
    machineset = custom_resource(show(api, crd), "v1beta1", MACHINESET, namespaced=True)
    definitions = go_structs(show(api, types))
    node = machineset["properties"]["spec"]["properties"]["template"]["properties"]["spec"]["properties"]
    node["providerSpec"]["properties"]["value"] = {"$ref": "#/$defs/AWSMachineProviderConfig"}
    write(OUT / "MachineSet.json", origin(api, "openshift/api", crd, types), {**machineset, "$defs": definitions})
    # A reference stays strict: one with an unknown key alone would name nothing.
    known = {**lenient(definitions), "AWSResourceReference": definitions["AWSResourceReference"]}
    provider = {"$ref": "#/$defs/AWSMachineProviderConfig", "$defs": known}
    write(FACTS, origin(api, "openshift/api", types), provider)
    for kind, name, keep in (
        ("NodePool", "karpenter.sh_nodepools", NODE_POOL),
        ("EC2NodeClass", "karpenter.k8s.aws_ec2nodeclasses", NODE_CLASS),
    ):
        path = f"pkg/apis/crds/{name}.yaml"
        schema = custom_resource(show(karpenter, path), "v1", keep, namespaced=False)
        write(OUT / f"{kind}.json", origin(karpenter, "aws/karpenter-provider-aws", path), schema)
    path = "pkg/apis/eksctl.io/v1alpha5/assets/schema.json"
    whole = json.loads(show(eksctl, path))
    config = trim({"$ref": whole["$ref"]}, CLUSTER_CONFIG, whole["definitions"])
    write(OUT / "ClusterConfig.json", origin(eksctl, "eksctl-io/eksctl", path), config)
    path = "config/crd/bases/nvidia.com_clusterpolicies.yaml"
    policy = custom_resource(show(operator, path), "v1", CLUSTER_POLICY, namespaced=False, partial=True)
    write(
        OUT / "ClusterPolicy.json",
        origin(operator, "NVIDIA/gpu-operator", path) + "; a part of one, for a patch",
        policy,
    )


if __name__ == "__main__":
    main()
