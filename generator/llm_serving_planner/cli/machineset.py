"""`machineset`: manifests that make GPU nodes on AWS, for OpenShift, Karpenter or eksctl."""

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.cli.console import Add, Exit, say, tell, waiting

if TYPE_CHECKING:
    from llm_serving_planner.nodes.machinesets_read import ClusterFacts
    from llm_serving_planner.nodes.pool import NodePlan


FORMS = ("machineset", "karpenter", "eksctl", "gpu-operator")
_FACTS = "--cluster-facts FILE (an existing MachineSet, or a list of them) or --from-cluster"
# Options in the order of the header: name of the argument, option.
_SHOWN = (
    ("profile", "--profile"),
    ("values", "--values"),
    ("form", "--form"),
    ("cluster_facts", "--cluster-facts"),
    ("from_cluster", "--from-cluster"),
    ("region", "--region"),
    ("zone", "--zone"),
    ("all_zones", "--all-zones"),
    ("replicas", "--replicas"),
    ("spot", "--spot"),
    ("spot_max_price", "--spot-max-price"),
    ("root_volume_gib", "--root-volume-gib"),
    ("name", "--name"),
    ("cluster_name", "--cluster-name"),
    ("node_role", "--node-role"),
    ("ami", "--ami"),
    ("ami_alias", "--ami-alias"),
)


def register(add: Add) -> None:
    """Add the command."""
    command = add("machineset", _machineset, "write manifests that make GPU nodes on AWS")
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--profile", metavar="P", help="g5.48xlarge, 2xg4dn.12xlarge, 8xa10g, 2x1xt4 (nodes x GPUs x GPU)"
    )
    what.add_argument("--values", type=Path, metavar="FILE", help="a values file: its plan.profile, pods and storage")
    command.add_argument("--form", choices=FORMS, default="machineset", help="what is written (default: machineset)")
    command.add_argument("--format", choices=("yaml", "json"), default="yaml", help="form of the text")
    command.add_argument("-o", "--output", type=Path, metavar="FILE", help="file to write (default: stdout)")
    nodes = command.add_argument_group("nodes")
    nodes.add_argument("--region", help="region of AWS (machineset: that of the facts)")
    nodes.add_argument("--zone", action="append", default=[], metavar="Z", help="a, b, c or us-east-1a; repeatable")
    nodes.add_argument("--all-zones", action="store_true", help="spread the nodes over all known zones")
    nodes.add_argument("--replicas", type=int, metavar="N", help="nodes in all (default: those of the profile)")
    nodes.add_argument("--spot", action="store_true", help="spot machines, which AWS may take away")
    nodes.add_argument("--spot-max-price", metavar="USD", help="most per hour (default: the on-demand price)")
    nodes.add_argument("--root-volume-gib", type=int, metavar="N", help="root volume (default: computed)")
    nodes.add_argument("--taint", action=argparse.BooleanOptionalAction, default=True,
                       help="keep other pods away; the chart's pods tolerate it")  # fmt: skip
    nodes.add_argument("--name", help="middle part of the name (default: gpu-<machine type>)")
    openshift = command.add_argument_group("OpenShift").add_mutually_exclusive_group()
    openshift.add_argument("--cluster-facts", type=Path, metavar="FILE", help="existing MachineSets, YAML or JSON")
    openshift.add_argument("--from-cluster", action="store_true", help="ask oc or kubectl for them")
    eks = command.add_argument_group("EKS")
    eks.add_argument("--cluster-name", metavar="NAME", help="the EKS cluster")
    eks.add_argument("--node-role", metavar="ROLE", help="IAM role of Karpenter's nodes")
    eks.add_argument("--ami", metavar="ID", help="image of Karpenter's nodes")
    eks.add_argument("--ami-alias", metavar="A", help="al2023@vYYYYMMDD: EKS's own image, pinned")


def _machineset(arguments: argparse.Namespace) -> int:
    from llm_serving_planner.base.writing import check_target, write_text
    from llm_serving_planner.nodes.manifests import json_text, yaml_text

    if arguments.output is not None:
        check_target(arguments.output)
    plan = _plan(arguments)
    documents, notes = _documents(plan, arguments)
    if arguments.form == "gpu-operator":
        title = f"NVIDIA driver without GSP firmware, for {plan.instance.type}"
    else:
        title, notes = plan.summary, [*plan.notes, *notes]
    if arguments.format == "json":
        text = json_text(documents)
    else:
        text = yaml_text(title, _command(arguments), notes, documents)
    for note in notes:
        tell(note)
    if arguments.output is None:
        sys.stdout.write(text)
        return Exit.OK
    write_text(arguments.output, text)
    say(f"wrote {arguments.output}")
    return Exit.OK


def _plan(arguments: argparse.Namespace) -> "NodePlan":
    from llm_serving_planner.nodes.pool import NodeOptions, make_node_plan
    from llm_serving_planner.nodes.workload import read_workload

    options = NodeOptions(
        region=arguments.region,
        zones=tuple(arguments.zone),
        all_zones=arguments.all_zones,
        replicas=arguments.replicas,
        spot=arguments.spot,
        spot_max_price=arguments.spot_max_price,
        root_volume_gib=arguments.root_volume_gib,
        taint=arguments.taint,
        name=arguments.name,
    )
    if arguments.values is None:
        return make_node_plan(arguments.profile, options)
    profile, workload = read_workload(arguments.values)
    return make_node_plan(profile, options, workload)


def _documents(plan: "NodePlan", arguments: argparse.Namespace) -> tuple[list[dict[str, Any]], list[str]]:
    from llm_serving_planner.nodes.eks import EksOptions, eksctl, karpenter
    from llm_serving_planner.nodes.gpu_operator import gpu_operator, reason
    from llm_serving_planner.nodes.machineset import machinesets

    _refuse_idle_options(arguments)
    if arguments.form == "gpu-operator":
        return gpu_operator(plan)
    if arguments.form in {"karpenter", "eksctl"}:
        eks = EksOptions(arguments.cluster_name, arguments.node_role, arguments.ami, arguments.ami_alias)
        return (karpenter if arguments.form == "karpenter" else eksctl)(plan, eks)
    documents, notes = machinesets(plan, _facts(arguments))
    if reason(plan.instance.type) is not None:
        notes.append(
            f"{plan.instance.type} may need the driver without GSP firmware: "
            f"llm-serving machineset --profile {plan.instance.type} --form gpu-operator writes that"
        )
    return documents, notes


def _facts(arguments: argparse.Namespace) -> "ClusterFacts":
    from llm_serving_planner.nodes.machinesets_read import ask_cluster, read_facts

    if arguments.from_cluster:
        with waiting("asking the cluster for its MachineSets"):
            return ask_cluster()
    if arguments.cluster_facts is None:
        raise InputError(
            "--form machineset: AMI, subnets and secrets of the cluster are not known", hint=f"add {_FACTS}"
        )
    return read_facts(arguments.cluster_facts)


def _refuse_idle_options(arguments: argparse.Namespace) -> None:
    """No option is ignored: one that the form has no use for is refused."""
    nodes = {"region", "zone", "all_zones", "replicas", "spot", "spot_max_price", "root_volume_gib", "name"}
    openshift, eks = {"cluster_facts", "from_cluster"}, {"cluster_name", "node_role", "ami", "ami_alias"}
    idle = {"machineset": eks, "karpenter": openshift, "eksctl": openshift, "gpu-operator": nodes | openshift | eks}
    for name, option in _SHOWN:
        if name in idle[arguments.form] and getattr(arguments, name) not in (None, False, []):
            forms = "karpenter and eksctl" if name in eks else "machineset"
            raise InputError(
                f"{option}: --form {arguments.form} has no use for it", hint=f"leave it away; it is for --form {forms}"
            )


def _command(arguments: argparse.Namespace) -> str:
    """The command in one line, options in a fixed order, without the output file."""
    words = ["llm-serving", "machineset"]
    for name, option in _SHOWN:
        value = getattr(arguments, name)
        if value in (None, False, []) or (name == "form" and value == "machineset"):
            continue
        for one in value if isinstance(value, list) else [value]:
            words += [option] if one is True else [option, str(one)]
    return shlex.join([*words, *([] if arguments.taint else ["--no-taint"])])
