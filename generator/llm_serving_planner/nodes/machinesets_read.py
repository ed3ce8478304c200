"""Facts of an OpenShift cluster, read from its own MachineSets: AMI, subnets, security groups, secrets.

A new MachineSet differs from an existing one in few fields; everything else is the cluster's and is copied.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_serving_planner.base.documents import parse_documents
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.files import read_text
from llm_serving_planner.base.tables import load_data
from llm_serving_planner.base.validation import validate_with
from llm_serving_planner.cluster.kubectl import Client
from llm_serving_planner.hardware.profiles import all_instances
from llm_serving_planner.nodes.pool import architecture

NAMESPACE = "openshift-machine-api"
CLUSTER_LABEL = "machine.openshift.io/cluster-api-cluster"
# Annotation that the machine controller keeps on each MachineSet (openshift/machine-api-provider-aws 1071858,
# pkg/actuators/machineset/controller.go, 2026-07-04).
_CAPACITY_LABELS = "capacity.cluster-autoscaler.kubernetes.io/labels"
_TEMPLATE_LABELS = "spec/template/metadata/labels"
_OS_LABEL = "machine.openshift.io/os-id"
_VALUE = "/spec/template/spec/providerSpec/value"
# What a new MachineSet cannot do without, besides what the API demands.
_NEEDED = ("ami", "subnet", "placement/region", "placement/availabilityZone", "userDataSecret/name", "instanceType")
_HOW = f"`oc get machineset -n {NAMESPACE} -o yaml > machinesets.yaml` writes the file that is meant"


@dataclass(frozen=True, slots=True)
class Source:
    """One existing MachineSet: its zone and what its machines are made of."""

    name: str
    zone: str
    architecture: str
    preferred: bool
    provider: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What all MachineSets of a cluster share, and the sources, best first."""

    where: str
    infrastructure_id: str
    region: str
    sources: tuple[Source, ...]

    def of_architecture(self, machine: str) -> list[Source]:
        """Sources whose AMI runs on the machine.

        Raises:
            InputError: all are of the other architecture.
        """
        wanted = architecture(machine)
        found = [source for source in self.sources if source.architecture == wanted]
        if not found:
            other = self.sources[0]
            raise InputError(
                f"{self.where}: the AMI of MachineSet {other.name} is for {other.architecture}, "
                f"{machine} needs one for {wanted}",
                hint=f"add a MachineSet with {wanted} machines to the file; an AMI starts on its own architecture only",
            )
        return found


def read_facts(path: Path) -> ClusterFacts:
    """Facts of a file: one MachineSet or a list of them, YAML or JSON, one or several documents.

    Raises:
        InputError: what was found where, and what is meant.
    """
    return facts_of(parse_documents(read_text(path), str(path)), str(path))


def ask_cluster() -> ClusterFacts:
    """Facts of the cluster that oc or kubectl is logged in to.

    Raises:
        InputError: no client, no answer, or no MachineSets.
    """
    client = Client.find(
        option="--from-cluster",
        missing=f"install one, or run elsewhere: {_HOW}; then --cluster-facts machinesets.yaml",
        way_out="log in to an OpenShift cluster with the right to read MachineSets, or use --cluster-facts FILE",
    )
    found = client.items("machinesets.machine.openshift.io", NAMESPACE)
    return facts_of([{"kind": "List", "items": found}], f"output of {client.name}")


def facts_of(documents: Iterable[Any], where: str) -> ClusterFacts:
    """Facts of parsed documents.

    Raises:
        InputError: no usable MachineSet of AWS, a field missing, or MachineSets of two clusters.
    """
    pairs = [_source(item, where) for item in _items(documents, where) if not _is_windows(item)]
    if not pairs:
        raise InputError(f"{where}: holds no MachineSet for Linux machines", hint=_HOW)
    for what, values in (
        ("infrastructure ids", sorted({infra for infra, _, _ in pairs})),
        ("regions", sorted({region for _, region, _ in pairs})),
    ):
        if len(values) > 1:
            raise InputError(
                f"{where}: MachineSets of several {what}: {', '.join(values)}",
                hint="give the MachineSets of one cluster only",
            )
    sources = sorted((source for _, _, source in pairs), key=lambda s: (not s.preferred, s.name))
    return ClusterFacts(where, pairs[0][0], pairs[0][1], tuple(sources))


def _items(documents: Iterable[Any], where: str) -> Iterator[dict[str, Any]]:
    """The MachineSets, lists opened."""
    for document in documents:
        if isinstance(document, dict) and document.get("kind") in ("List", "MachineSetList"):
            items = document.get("items")
            if not isinstance(items, list):
                raise InputError(f"{where}: /items of the {document['kind']} is no list", hint=_HOW)
            yield from (_machineset(entry, where) for entry in items)
        elif document is not None:
            yield _machineset(document, where)


def _machineset(document: Any, where: str) -> dict[str, Any]:
    """The document, when it is a MachineSet of the Machine API."""
    if not isinstance(document, dict):
        raise InputError(f"{where}: holds a {type(document).__name__}; a MachineSet or a List is meant", hint=_HOW)
    kind, version = document.get("kind"), str(document.get("apiVersion", ""))
    if kind == "MachineSet" and version.startswith("machine.openshift.io/"):
        return document
    found = f"{version} {kind}".strip() if kind else "a mapping without kind"
    raise InputError(
        f"{where}: found {found}; MachineSets of machine.openshift.io or a List of them are meant", hint=_HOW
    )


def _is_windows(machineset: dict[str, Any]) -> bool:
    return any(_dig(machineset, path).get(_OS_LABEL) == "Windows" for path in ("metadata/labels", _TEMPLATE_LABELS))


def _source(machineset: dict[str, Any], where: str) -> tuple[str, str, Source]:
    """Infrastructure id, region and the source of one MachineSet."""
    name = str(_dig(machineset, "metadata").get("name") or "without a name")
    provider = _dig(machineset, "spec/template/spec/providerSpec/value")
    here = f"{where}: MachineSet {name}"
    if provider.get("kind") != "AWSMachineProviderConfig":
        raise InputError(
            f"{here}: {_VALUE}/kind is {provider.get('kind')!r}, not AWSMachineProviderConfig",
            hint="nodes are written for AWS only",
        )
    template = _dig(machineset, _TEMPLATE_LABELS)
    infra = template.get(CLUSTER_LABEL) or _dig(machineset, "metadata/labels").get(CLUSTER_LABEL)
    if not isinstance(infra, str) or not infra:
        raise InputError(
            f"{here}: /spec/template/metadata/labels has no {CLUSTER_LABEL}; it holds the infrastructure id", hint=_HOW
        )
    _check_provider(provider, here)
    placement = provider["placement"]
    region, zone = str(placement["region"]), str(placement["availabilityZone"])
    if not zone.startswith(region):
        raise InputError(f"{here}: zone {zone} is not in region {region}", hint="correct placement in the file")
    machine = str(provider["instanceType"])
    preferred = template.get("machine.openshift.io/cluster-api-machine-role") == "worker" and not any(
        known.type == machine for known in all_instances()
    )
    return infra, region, Source(name, zone, _architecture(machineset, machine), preferred, provider)


def _check_provider(provider: dict[str, Any], here: str) -> None:
    """Refuse a providerSpec that lacks what a new MachineSet needs, or has it in another shape."""
    for path in _NEEDED:
        *parents, key = path.split("/")
        if not (_dig(provider, parents[0]) if parents else provider).get(key):
            raise InputError(f"{here}: {_VALUE}/{path} is missing; a new MachineSet needs it", hint=_HOW)
    schema = load_data("aws-machine.schema.json")
    given = {key: value for key, value in provider.items() if value is not None}
    validate_with(schema, given, f"{here}: {_VALUE}")


def _architecture(machineset: dict[str, Any], machine: str) -> str:
    """By the controller's annotation, else by the name of the machine type."""
    labels = str(_dig(machineset, "metadata/annotations").get(_CAPACITY_LABELS, ""))
    for pair in labels.split(","):
        key, _, value = pair.strip().partition("=")
        if key == "kubernetes.io/arch" and value:
            return value
    return architecture(machine)


def _dig(node: dict[str, Any], path: str) -> dict[str, Any]:
    """The mapping at a path, empty where there is none."""
    for part in path.split("/"):
        found = node.get(part)
        node = found if isinstance(found, dict) else {}
    return node
