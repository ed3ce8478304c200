"""`profiles`, `models` and `schema`: what there is to choose from."""

import argparse
import json
from typing import Any

from llm_serving.commands.console import Add, Exit, add_format, say


def register(add: Add) -> None:
    """Add the commands."""
    add_format(add("profiles", _profiles, "list the GPUs and machine types that a profile can name"))
    add_format(add("models", _models, "list the models that can be planned offline"))
    add("schema", _schema, "print the JSON Schema of the chart's values").set_defaults(format="json")


def _profiles(arguments: argparse.Namespace) -> int:
    from llm_serving.profiles import all_gpus, all_instances

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
    from llm_serving import catalogue

    names = catalogue.model_ids()
    if arguments.format == "json":
        print(json.dumps([_model_row(name) for name in names], indent=2))
        return Exit.OK
    for name in names:
        row = _model_row(name)
        gated = {True: "gated", False: "open", None: "gated?"}[row["gated"]]
        print(f"{name:<56} {row['weights_gib']:>8.1f} GiB  {row['quantization'] or '-':<20} {gated}")
    say(f"{len(names)} models, facts of {catalogue.date()}; any other hub model is read from the hub")
    return Exit.OK


def _model_row(name: str) -> dict[str, Any]:
    from llm_serving import catalogue

    spec = catalogue.find(name)
    if spec is None:
        raise KeyError(name)
    return {
        "id": name,
        "architecture": spec.architecture,
        "weights_gib": round(spec.weights.loaded_bytes / 2**30, 2),
        "quantization": spec.quantization.method if spec.quantization else None,
        "gated": spec.gated,
        "max_position": spec.max_position,
    }


def _schema(_: argparse.Namespace) -> int:
    from llm_serving.schema import load_schema

    print(json.dumps(load_schema(), indent=2))
    return Exit.OK
