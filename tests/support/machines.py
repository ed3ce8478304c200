"""GPU nodes: a cluster's facts, the words for each form, and the check of what comes out."""

import json
from typing import Any

import jsonschema
import yaml
from support.helm import ROOT

DATA = ROOT / "tests" / "data"
FACTS = DATA / "nodes" / "machinesets.yaml"
IN_OPENSHIFT = ["--cluster-facts", str(FACTS)]
IN_KARPENTER = ["--form", "karpenter", "--cluster-name", "prod", "--ami-alias", "al2023@v20260828"]
IN_EKSCTL = ["--form", "eksctl", "--cluster-name", "prod", "--region", "us-east-2"]
FORMS = {"machineset": IN_OPENSHIFT, "karpenter": IN_KARPENTER, "eksctl": IN_EKSCTL}


def check(document: dict[str, Any]) -> None:
    if document["kind"] == "ConfigMap":
        assert set(document) == {"apiVersion", "kind", "metadata", "data"}
        return
    schema = json.loads((DATA / "schemas" / f"{document['kind']}.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(document)
    if document["kind"] == "MachineSet":
        labels = document["spec"]["selector"]["matchLabels"]
        assert labels.items() <= document["spec"]["template"]["metadata"]["labels"].items()
        assert all(len(value) <= 63 for value in labels.values())
    if document["kind"] == "EC2NodeClass":  # rules of the CRD that are not in the schema (CEL)
        assert [len(term) for term in document["spec"]["amiSelectorTerms"]] == [1]


def item() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FACTS.read_text())["items"][0]
    return found
