"""`profiles`, `models` and `schema`: what there is to choose from."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.units import GIB
from llm_serving_planner.cli.console import Add, Exit, add_format, say, tell, waiting


def register(add: Add) -> None:
    """Add the commands."""
    profiles = add("profiles", _profiles, "list the GPUs and machine types that a profile can name")
    add_format(profiles)
    profiles.add_argument("--from-cluster", action="store_true", help="write a profile from the labels of GPU nodes")
    profiles.add_argument("--product", metavar="P", help="which nodes: label of the GPU, or gaudi1, gaudi2, gaudi3")
    profiles.add_argument("--context", help="context of the kubeconfig (default: the current one)")
    profiles.add_argument("-o", "--output", type=Path, metavar="FILE", help="file to write (default: stdout)")
    add_format(add("models", _models, "list the models that can be planned offline"))
    add("schema", _schema, "print the JSON Schema of the chart's values").set_defaults(format="json")


def _from_cluster(arguments: argparse.Namespace) -> int:
    from llm_serving_planner.base.writing import check_target, write_text
    from llm_serving_planner.cluster.capacity import read_nodes
    from llm_serving_planner.cluster.kubectl import Client, ForbiddenError
    from llm_serving_planner.cluster.labels import profile_of
    from llm_serving_planner.output.render import to_yaml

    if arguments.output is not None:
        check_target(arguments.output)
    try:
        with waiting("asking the cluster for its nodes"):
            nodes = Client.find(arguments.context).items("nodes")
    except ForbiddenError as error:
        raise InputError(f"you may not read {error.what}", hint="ask an administrator for the profile") from None
    profile, notes = profile_of(read_nodes(nodes, None), arguments.product)
    if arguments.format == "json":
        text = json.dumps(profile, indent=2) + "\n"
    else:
        head = ["# GPU profile from the labels of a cluster's nodes (llm-serving profiles --from-cluster)"]
        lines = [f"{key}: {to_yaml(value)}" for key, value in profile.items()]
        text = "\n".join([*head, *(f"# {note}" for note in notes), *lines]) + "\n"
    for note in notes:
        tell(note)
    if arguments.output is None:
        sys.stdout.write(text)
    else:
        write_text(arguments.output, text)
        say(f"wrote {arguments.output}; plan with --profile {arguments.output}")
    return Exit.OK


def _profiles(arguments: argparse.Namespace) -> int:
    if arguments.from_cluster:
        return _from_cluster(arguments)
    if idle := [name for name in ("product", "context", "output") if getattr(arguments, name) is not None]:
        raise InputError(f"--{idle[0]} has no use without --from-cluster")
    from llm_serving_planner.hardware.profiles import all_gpus, all_instances

    gpus: list[dict[str, Any]] = [
        {"id": gpu.id, "name": gpu.device_name, "usable_gib": gpu.memory_usable_gib,
         "compute_capability": gpu.compute_capability}
        for gpu in all_gpus()
    ]  # fmt: skip
    machines: list[dict[str, Any]] = [
        {"type": m.type, "cloud": m.cloud, "gpu": m.gpu, "count": m.count, "usd_per_hour": m.usd_per_hour}
        for m in all_instances()
    ]
    if arguments.format == "json":
        print(json.dumps({"gpus": gpus, "machines": machines}, indent=2))
        return Exit.OK
    print("GPUs: write <count>x<id>, or <nodes>x<count>x<id>")
    for row in gpus:
        print(f"  {row['id']:<16} {row['usable_gib']:>7.2f} GiB  {row['compute_capability'] or '':<5} {row['name']}")
    print("machine types: write their name, or <nodes>x<name>")
    for row in machines:
        price = f"{row['usd_per_hour']:.2f} USD/h" if row["usd_per_hour"] is not None else "no price known"
        print(f"  {row['type']:<28} {row['cloud']:<6} {row['count']} x {row['gpu']:<14} {price}")
    return Exit.OK


def _models(arguments: argparse.Namespace) -> int:
    from llm_serving_planner.models import embedded

    names = embedded.model_ids()
    if arguments.format == "json":
        print(json.dumps([_model_row(name) for name in names], indent=2))
        return Exit.OK
    for name in names:
        row = _model_row(name)
        gated = {True: "gated", False: "open", None: "gated?"}[row["gated"]]
        print(f"{name:<56} {row['weights_gib']:>8.1f} GiB  {row['quantization'] or '-':<20} {gated}")
    say(f"{len(names)} models, facts of {embedded.date()}; any other hub model is read from the hub")
    return Exit.OK


def _model_row(name: str) -> dict[str, Any]:
    from llm_serving_planner.models import embedded

    spec = embedded.find(name)
    if spec is None:
        raise KeyError(name)
    return {
        "id": name,
        "architecture": spec.architecture,
        "weights_gib": round(spec.weights.loaded_bytes / GIB, 2),
        "quantization": spec.quantization.method if spec.quantization else None,
        "gated": spec.gated,
        "max_position": spec.max_position,
    }


def _schema(_: argparse.Namespace) -> int:
    from llm_serving_planner.output.schema import load_schema

    print(json.dumps(load_schema(), indent=2))
    return Exit.OK
