"""The plan for Amazon EKS: Karpenter's NodePool and EC2NodeClass, or eksctl's ClusterConfig.

Sources: aws/karpenter-provider-aws 1d92708 (CRDs, website/content/en/docs), eksctl-io/eksctl 99984ad
(pkg/apis/eksctl.io/v1alpha5/assets/schema.json), both read 2026-11-25.
"""

import re
from dataclasses import dataclass
from typing import Any

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.nodes.machineset import full_zone
from llm_serving_planner.nodes.pool import NodePlan, architecture
from llm_serving_planner.planner.devices.registry import find

# Amazon EKS: a name of letters, digits, '-' and '_', 100 at most (docs.aws.amazon.com/eks, CreateCluster; 2026-11-25).
_CLUSTER = re.compile(r"[0-9A-Za-z][A-Za-z0-9_-]{0,99}")
_ALIAS = re.compile(r"al2023@v\d{8}")
_AMI = re.compile(r"ami-[0-9a-z]+")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
# Time to let a pod come back before an empty node goes: an assumption. Loading a large model takes longer than this,
# but the pod is on the node by then.
_EMPTY_FOR = "30m"
_PIN = "name one with --ami-alias al2023@vYYYYMMDD (releases of awslabs/amazon-eks-ami) or --ami ami-..."
# Root device of EKS's AL2023 images (aws/karpenter-provider-aws 1d92708, pkg/providers/amifamily/al2023.go).
_ROOT_DEVICE = "/dev/xvda"
# The label that the cluster autoscaler on AWS reads (kubernetes/autoscaler, cloudprovider/aws/README.md; 2026-11-25).
_ACCELERATOR_LABEL = "k8s.amazonaws.com/accelerator"


@dataclass(frozen=True, slots=True)
class EksOptions:
    """The EKS cluster and the image of its nodes."""

    cluster_name: str | None = None
    node_role: str | None = None
    ami: str | None = None
    ami_alias: str | None = None


def karpenter(plan: NodePlan, eks: EksOptions) -> tuple[list[dict[str, Any]], list[str]]:
    """EC2NodeClass and NodePool, and remarks.

    Raises:
        InputError: no cluster, no pinned image, or an option that Karpenter does not know.
    """
    cluster = _cluster(eks, "karpenter")
    if plan.options.spot_max_price is not None:
        raise InputError(
            "--spot-max-price: Karpenter knows no maximum price",
            hint="leave it away: AWS charges the on-demand price at most",
        )
    if plan.nodes == 0:
        raise InputError(
            "--replicas is 0: Karpenter makes nodes when pods ask, the number is only its limit",
            hint="leave --replicas away, or delete the NodePool",
        )
    discovery = [{"tags": {"karpenter.sh/discovery": cluster}}]
    role = eks.node_role or f"KarpenterNodeRole-{cluster}"
    node_class = {
        "apiVersion": "karpenter.k8s.aws/v1",
        "kind": "EC2NodeClass",
        "metadata": {"name": plan.name},
        "spec": {
            "amiFamily": "AL2023",
            "amiSelectorTerms": [_image(eks)],
            "role": role,
            "subnetSelectorTerms": discovery,
            "securityGroupSelectorTerms": [{"tags": dict(discovery[0]["tags"])}],
            "blockDeviceMappings": [
                {
                    "deviceName": _ROOT_DEVICE,
                    "rootVolume": True,
                    "ebs": {
                        "volumeSize": f"{plan.root_volume_gib}Gi",
                        "volumeType": "gp3",
                        "encrypted": True,
                        "deleteOnTermination": True,
                    },
                }
            ],
        },
    }
    notes = [
        f"node role {role}; subnets and security groups by the tag karpenter.sh/discovery={cluster}",
        "a pod that waits makes a node, an empty node goes after "
        f"{_EMPTY_FOR}; nodes with pods are neither consolidated nor expired",
        *_driver_notes(plan),
    ]
    return [node_class, _node_pool(plan)], notes


def _node_pool(plan: NodePlan) -> dict[str, Any]:
    options = plan.options
    requirements = [
        _one_of("node.kubernetes.io/instance-type", plan.instance.type),
        _one_of("karpenter.sh/capacity-type", "spot" if options.spot else "on-demand"),
        _one_of("kubernetes.io/arch", architecture(plan.instance.type)),
        _one_of("kubernetes.io/os", "linux"),
    ]
    zones = _zones(plan)
    if zones:
        requirements.append(_one_of("topology.kubernetes.io/zone", *zones))
    spec: dict[str, Any] = {
        "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": plan.name},
        "requirements": requirements,
        # The default of 720h would evict an engine that loads for half an hour, once a month, for no reason.
        "expireAfter": "Never",
    }
    if plan.taints:
        spec["taints"] = plan.taints
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": plan.name},
        "spec": {
            "template": {"metadata": {"labels": _labels(plan)}, "spec": spec},
            "limits": _limits(plan),
            "disruption": {
                "consolidationPolicy": "WhenEmpty",
                "consolidateAfter": _EMPTY_FOR,
                # Drift follows from a change of these two objects only, the image is pinned: one node after the other.
                "budgets": [{"nodes": "1"}],
            },
        },
    }


def _limits(plan: NodePlan) -> dict[str, str]:
    """GPUs of all nodes; a slice of a GPU is no GPU to Karpenter, so CPUs count there."""
    if plan.instance.gpu_fraction < 1:
        return {"cpu": str(int((plan.instance.vcpu or 0) * plan.nodes))}
    return {plan.gpu.resource_name: str(plan.instance.count * plan.nodes)}


def _one_of(key: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": "In", "values": list(values)}


def _labels(plan: NodePlan) -> dict[str, str]:
    return {_ACCELERATOR_LABEL: plan.accelerator, **plan.product_label}


def _image(eks: EksOptions) -> dict[str, str]:
    if eks.ami is not None and eks.ami_alias is not None:
        raise InputError("--ami and --ami-alias exclude each other", hint="name one image")
    if eks.ami is not None:
        if not _AMI.fullmatch(eks.ami):
            raise InputError(f"--ami is {eks.ami!r}; an id such as ami-0123456789abcdef0 is meant")
        return {"id": eks.ami}
    if eks.ami_alias is None:
        raise InputError("--form karpenter: no image is named, and none is guessed", hint=_PIN)
    if eks.ami_alias.endswith("@latest"):
        raise InputError(
            f"--ami-alias is {eks.ami_alias}: each new image would replace the nodes under running engines",
            hint=f"Karpenter's documentation advises against it in production; {_PIN}",
        )
    if not _ALIAS.fullmatch(eks.ami_alias):
        raise InputError(f"--ami-alias is {eks.ami_alias!r}; al2023@vYYYYMMDD is meant", hint=_PIN)
    return {"alias": eks.ami_alias}


def _cluster(eks: EksOptions, form: str) -> str:
    if eks.cluster_name is None:
        raise InputError(f"--form {form}: the name of the EKS cluster is not known", hint="add --cluster-name NAME")
    if not _CLUSTER.fullmatch(eks.cluster_name):
        raise InputError(
            f"--cluster-name is {eks.cluster_name!r}; letters, digits, '-' and '_' are allowed, 100 at most"
        )
    return eks.cluster_name


def _zones(plan: NodePlan) -> list[str]:
    """Zones in full; none means all that the cluster has."""
    zones = []
    for given in plan.options.zones:
        if plan.options.region is None and len(given) == 1:
            raise InputError(f"--zone is {given!r}: the letter of a zone needs its region", hint="add --region REGION")
        zone = full_zone(given, _region(plan.options.region)) if plan.options.region is not None else given
        if plan.options.region is None and not re.fullmatch(_REGION.pattern + r"[a-z0-9-]+", zone):
            raise InputError(f"--zone is {given!r}, which is no zone of AWS", hint="write it in full: us-east-1a")
        if zone not in zones:
            zones.append(zone)
    return zones


def _region(region: str) -> str:
    if not _REGION.fullmatch(region):
        raise InputError(f"--region is {region!r}, which is no region of AWS", hint="write it like us-east-1")
    return region


def _driver_notes(plan: NodePlan) -> list[str]:
    device = find(plan.gpu)
    if device is not None and device.eks_note:
        return [device.eks_note]
    return [f"EKS's own images hold no driver for {plan.gpu.device_name}: bring an image with --ami"]


def eksctl(plan: NodePlan, eks: EksOptions) -> tuple[list[dict[str, Any]], list[str]]:
    """A ClusterConfig with one managed node group, and remarks.

    Raises:
        InputError: no cluster or region, or an option that managed node groups do not know.
    """
    cluster = _cluster(eks, "eksctl")
    options = plan.options
    if options.region is None:
        raise InputError("--form eksctl: the region of the cluster is not known", hint="add --region REGION")
    if options.spot_max_price is not None:
        raise InputError(
            "--spot-max-price: managed node groups know no maximum price",
            hint="leave it away: AWS charges the on-demand price at most",
        )
    for option, value in (("--ami", eks.ami), ("--ami-alias", eks.ami_alias), ("--node-role", eks.node_role)):
        if value is not None:
            raise InputError(
                f"{option}: a managed node group takes EKS's image and a role of its own",
                hint=f"leave it away, or use --form karpenter; {option} is for that form",
            )
    group: dict[str, Any] = {
        "name": plan.name,
        "amiFamily": "AmazonLinux2023",
        "instanceType": plan.instance.type,
        "minSize": 0,
        "desiredCapacity": plan.nodes,
        "maxSize": max(1, plan.nodes),
        "volumeSize": plan.root_volume_gib,
        "volumeType": "gp3",
        "volumeEncrypted": True,
        "labels": _labels(plan),
    }
    if plan.taints:
        group["taints"] = plan.taints
    if options.spot:
        group["spot"] = True
    zones = _zones(plan)
    if zones:
        group["availabilityZones"] = zones
    config = {
        "apiVersion": "eksctl.io/v1alpha5",
        "kind": "ClusterConfig",
        "metadata": {"name": cluster, "region": _region(options.region)},
        "managedNodeGroups": [group],
    }
    notes = [f"add the group to the cluster: eksctl create nodegroup -f FILE --include {plan.name}"]
    return [config], [*notes, *_driver_notes(plan)]
