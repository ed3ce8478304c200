"""The plan as OpenShift MachineSets, one per zone (machine.openshift.io/v1beta1, openshift/api 2a3d739)."""

import copy
import re
from typing import Any

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.nodes.machinesets_read import CLUSTER_LABEL, NAMESPACE, ClusterFacts, Source
from llm_serving_planner.nodes.pool import NodePlan, architecture

# The name is the value of a label on each Machine, and 63 characters are the most of such a value (kubernetes.io,
# "Labels and Selectors", read 2026-11-25).
_LONGEST_NAME = 63
_MACHINESET_LABEL = "machine.openshift.io/cluster-api-machineset"
# What belongs to the cluster and not to one kind of machine. Left out on purpose: capacityReservationId, cpuOptions,
# marketType, networkInterfaceType, placement.host, placementGroupName and spotMarketOptions were chosen for other
# machines.
_COPIED = (
    "ami",
    "credentialsSecret",
    "deviceIndex",
    "iamInstanceProfile",
    "keyName",
    "loadBalancers",
    "metadataServiceOptions",
    "publicIp",
    "securityGroups",
    "subnet",
    "tags",
    "userDataSecret",
)
_ZONE = re.compile(r"[a-z0-9-]+")


def machinesets(plan: NodePlan, facts: ClusterFacts) -> tuple[list[dict[str, Any]], list[str]]:
    """The MachineSets and remarks about them.

    Raises:
        InputError: another region, a zone without a known subnet, an AMI that does not run on the machine.
    """
    options = plan.options
    if options.region is not None and options.region != facts.region:
        raise InputError(
            f"--region is {options.region}, the MachineSets of {facts.where} are in {facts.region}",
            hint="AMI, subnets and security groups belong to one region: leave --region away, or read that cluster",
        )
    sources: dict[str, Source] = {}
    for source in facts.of_architecture(plan.instance.type):
        sources.setdefault(source.zone, source)
    zones, notes = _zones(plan, facts, sorted(sources))
    share, rest = divmod(plan.nodes, len(zones))
    found = []
    for index, zone in enumerate(zones):
        replicas = share + (1 if index < rest else 0)
        found.append(_machineset(plan, facts, sources[zone], replicas))
        notes.append(f"{zone}: {replicas} of {plan.nodes} nodes; AMI, subnet and secrets of {sources[zone].name}")
    return found, notes


def _zones(plan: NodePlan, facts: ClusterFacts, known: list[str]) -> tuple[list[str], list[str]]:
    """Full names of the zones in order, and why where nobody chose."""
    options = plan.options
    if options.all_zones:
        others = sorted({source.zone for source in facts.sources} - set(known))
        return known, [f"{zone} is left out: its MachineSet has an AMI of another architecture" for zone in others]
    if not options.zones:
        choice = f"{known[0]} is taken, of {', '.join(known)}: choose with --zone or --all-zones"
        return known[:1], [choice] if len(known) > 1 else []
    zones = []
    for given in options.zones:
        zone = full_zone(given, facts.region)
        if zone not in known:
            raise InputError(
                f"--zone {given}: {facts.where} has no MachineSet for {architecture(plan.instance.type)} in {zone}, "
                f"so AMI and subnet are not known",
                hint=f"known zones: {', '.join(known)}",
            )
        if zone not in zones:
            zones.append(zone)
    return zones, []


def full_zone(given: str, region: str) -> str:
    """The full name of a zone given as a letter or in full.

    Raises:
        InputError: the zone is not in the region.
    """
    zone = region + given if len(given) == 1 else given
    if not _ZONE.fullmatch(zone) or not zone.startswith(region) or zone == region:
        raise InputError(
            f"--zone is {given!r}, which is no zone of {region}", hint=f"write a letter such as a, or {region}a"
        )
    return zone


def _machineset(plan: NodePlan, facts: ClusterFacts, source: Source, replicas: int) -> dict[str, Any]:
    name = f"{facts.infrastructure_id}-{plan.name}-{source.zone}"
    if len(name) > _LONGEST_NAME:
        raise InputError(
            f"the MachineSet's name {name} has {len(name)} characters, {_LONGEST_NAME} are the most",
            hint="choose a shorter middle part with --name",
        )
    labels = {CLUSTER_LABEL: facts.infrastructure_id, _MACHINESET_LABEL: name}
    node: dict[str, Any] = {
        "metadata": {
            "labels": {
                "node-role.kubernetes.io/gpu": "",
                "cluster-api/accelerator": plan.accelerator,
                **plan.product_label,
            }
        },
        "providerSpec": {"value": _provider(plan, source, facts.region)},
    }
    if plan.taints:
        node["taints"] = plan.taints
    return {
        "apiVersion": "machine.openshift.io/v1beta1",
        "kind": "MachineSet",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {CLUSTER_LABEL: facts.infrastructure_id},
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {
                    "labels": {
                        **labels,
                        "machine.openshift.io/cluster-api-machine-role": "worker",
                        "machine.openshift.io/cluster-api-machine-type": "worker",
                    }
                },
                "spec": node,
            },
        },
    }


def _provider(plan: NodePlan, source: Source, region: str) -> dict[str, Any]:
    given = source.provider
    value: dict[str, Any] = {
        "apiVersion": "machine.openshift.io/v1beta1",
        "kind": "AWSMachineProviderConfig",
        "instanceType": plan.instance.type,
        "placement": {"region": region, "availabilityZone": source.zone, **_tenancy(given)},
        "blockDevices": [_root_device(given, plan.root_volume_gib)],
        "deviceIndex": 0,
        **{key: copy.deepcopy(given[key]) for key in _COPIED if given.get(key) not in (None, {}, [])},
    }
    if plan.options.spot:
        price = plan.options.spot_max_price
        value["spotMarketOptions"] = {} if price is None else {"maxPrice": price}
    return value


def _tenancy(given: dict[str, Any]) -> dict[str, str]:
    """The cluster's rule on shared hardware; `host` names hosts for other machines."""
    tenancy = given["placement"].get("tenancy")
    return {"tenancy": tenancy} if tenancy in ("default", "dedicated") else {}


def _root_device(given: dict[str, Any], size_gib: int) -> dict[str, Any]:
    """The root volume: type and encryption as in the source, the size of the plan."""
    devices = [device for device in given.get("blockDevices") or [] if isinstance(device, dict)]
    # The Machine API takes the device without a name as the root device.
    roots = [device.get("ebs") for device in devices if not device.get("deviceName")]
    old: dict[str, Any] = next((root for root in roots if isinstance(root, dict)), {})
    ebs: dict[str, Any] = {
        "volumeSize": size_gib,
        "volumeType": old.get("volumeType") or "gp3",
        "encrypted": old.get("encrypted", True),
    }
    key = old.get("kmsKey")
    if isinstance(key, dict) and any(key.values()):
        ebs["kmsKey"] = {name: value for name, value in key.items() if value}
    if old.get("iops"):
        ebs["iops"] = old["iops"]
    if old.get("throughputMib") and ebs["volumeType"] == "gp3":
        ebs["throughputMib"] = old["throughputMib"]
    return {"ebs": ebs}
