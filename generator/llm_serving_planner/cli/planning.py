"""`plan` and `values`: size a model on GPUs, write what the chart needs."""

import argparse
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_serving_planner.base.errors import DoesNotFitError, InputError
from llm_serving_planner.cli.console import Add, Exit, add_format, say, tell, waiting
from llm_serving_planner.cli.using import add_use
from llm_serving_planner.engines import registry

if TYPE_CHECKING:
    from llm_serving_planner.planner.options import Options
    from llm_serving_planner.planner.plan import Plan


def register(add: Add) -> None:
    """Add the commands."""
    plan = add("plan", _plan, "size a model on GPUs and say why")
    values = add("values", _values, "write the values file of a plan")
    for command in (plan, values):
        add_planning(command)
    values.add_argument("-o", "--output", help="file, or folder with a trailing slash (default: stdout)")
    values.add_argument("--check", action="store_true", help="write nothing; exit 3 when the file would change")
    values.add_argument(
        "--chart",
        metavar="REF",
        help="chart that the next command names: oci://..., a .tgz or a folder (default: LLM_SERVING_CHART, else the "
        "folder charts/llm-serving where there is one, else the published chart of this version)",
    )
    values.add_argument("--catalog", type=Path, help="take name and options from this catalog where it lists the model")


def add_planning(command: argparse.ArgumentParser) -> None:
    """Model, profile and every pin of a plan."""
    command.add_argument("model", metavar="MODEL", help="Hugging Face id, or a folder with config.json")
    command.add_argument(
        "--profile", required=True, metavar="P", help="2xt4, 2x8xh100 (nodes x GPUs), g5.48xlarge, cpu, my-gpus.yaml"
    )
    command.add_argument("--offline", action="store_true", help="do not ask the hub: HF cache and embedded catalogue")
    add_format(command)
    command.set_defaults(about=None)
    add_pins(command)


def add_pins(command: argparse.ArgumentParser) -> None:
    """Every option of a plan that has a default."""
    pins = command.add_argument_group("pins", "obeyed or refused with the reason; unset ones are planned")
    pins.add_argument("--name", help="name of the release and the file (default: from the model)")
    *others, last = registry.names()
    pins.add_argument("--engine", default=registry.DEFAULT, help=f"{', '.join(others)} or {last}")
    pins.add_argument("--max-model-len", type=int, metavar="N", help="tokens of a request, prompt and answer")
    pins.add_argument("--tensor-parallel-size", type=int, metavar="N", help="GPUs that share each layer")
    pins.add_argument("--pipeline-parallel-size", type=int, metavar="N", help="stages of layers, one or more per node")
    pins.add_argument(
        "--data-parallel-size", type=int, metavar="N", help="engines behind one API, each on its own GPUs"
    )
    pins.add_argument("--enable-expert-parallel", action="store_true", help="whole experts per GPU, not slices of each")
    pins.add_argument("--controller", metavar="C", help="deployment, statefulset, leaderworkerset or raycluster")
    pins.add_argument("--executor", metavar="E", help="mp (the engine's own way over nodes) or ray")
    pins.add_argument("--share-nodes", action="store_true", help="two members of one engine may share a node")
    pins.add_argument("--dtype", help="auto, float16 or bfloat16")
    pins.add_argument("--quantization", metavar="Q", help="fp8: quantise at start; else the checkpoint's own method")
    pins.add_argument("--kv-cache-dtype", metavar="T", help="auto or fp8")
    pins.add_argument("--gpu-memory-utilization", type=float, metavar="U", help="share of the GPU's memory, 0 to 1")
    pins.add_argument("--max-num-seqs", type=int, metavar="N", help="requests that run at once")
    pins.add_argument("--max-num-batched-tokens", type=int, metavar="N", help="tokens per step")
    pins.add_argument("--enforce-eager", action="store_true", help="no CUDA graphs: starts faster, decodes slower")
    pins.add_argument("--language-model-only", action="store_true", help="leave encoders of images and sound out")
    pins.add_argument("--engine-version", metavar="V", help="version of the engine")
    pins.add_argument("--image", metavar="NAME:TAG", help="image of yours in place of the stock one")
    pins.add_argument("--image-has-ray", action="store_true", help="that image holds Ray")
    pins.add_argument("--revision", metavar="R", help="branch, tag or commit of the model")
    pins.add_argument("--served-name", metavar="NAME", help="name of the model in the API")
    pins.add_argument("--replicas", type=int, default=1, metavar="N", help="engines behind the Service")
    pins.add_argument("--platform", choices=("kubernetes", "openshift"), default="kubernetes", help="kind of cluster")
    pins.add_argument("--storage", help="pvc, perReplica, emptyDir, existingClaim or hostPath")
    pins.add_argument("--storage-name", metavar="NAME", help="the existing claim, or the path on the host")
    pins.add_argument("--storage-class", metavar="NAME", help="storage class of the claim")
    pins.add_argument("--hf-token-secret", metavar="NAME", help="Secret with the Hugging Face token (key token)")
    pins.add_argument("--download-gbps", type=float, metavar="G", help="rate of the download, for the start-up budget")
    add_use(command)


def planning_options(arguments: argparse.Namespace) -> "Options":
    """The pins that were given."""
    from llm_serving_planner.planner.options import Options

    found: dict[str, Any] = {field.name: getattr(arguments, field.name) for field in fields(Options)}
    repeated = {name: tuple(value) for name, value in found.items() if isinstance(value, list)}
    return Options(**(found | repeated))


def make(model: str, profile: str, options: "Options", *, offline: bool) -> "Plan":
    """The plan, or DoesNotFitError with the ways out."""
    from llm_serving_planner.hardware.profiles import parse_profile
    from llm_serving_planner.models.resolve import resolve
    from llm_serving_planner.planner.features.resolving import resolved
    from llm_serving_planner.planner.option_checks import check_options
    from llm_serving_planner.planner.service import make_plan

    check_options(options)
    target = parse_profile(profile)
    with waiting(f"reading what the hub knows of {model}") as progress:
        spec = resolve(model, revision=options.revision, offline=offline, progress=progress, tell=tell)
        options = resolved(options, offline=offline, progress=progress, tell=tell)
    try:
        return make_plan(spec, target, options)
    except DoesNotFitError as error:
        from llm_serving_planner.planner.ways_out import ways_out

        raise DoesNotFitError(str(error), error.reasons, ways_out(spec, target, options)) from None


def _plan(arguments: argparse.Namespace) -> int:
    plan = make(arguments.model, arguments.profile, planning_options(arguments), offline=arguments.offline)
    if arguments.format == "json":
        print(json.dumps(plan.to_dict(), indent=2))
    else:
        from llm_serving_planner.output.report import text_report

        sys.stdout.write(text_report(plan))
    return Exit.OK


def _values(arguments: argparse.Namespace) -> int:
    from llm_serving_planner.base.files import write_text
    from llm_serving_planner.output.render import render_values
    from llm_serving_planner.output.report import next_command, text_report
    from llm_serving_planner.output.schema import validate

    options = planning_options(arguments)
    if arguments.catalog is not None:
        options = _from_catalog(arguments, options)
    plan = make(arguments.model, arguments.profile, options, offline=arguments.offline)
    text = render_values(plan)
    import yaml

    validate(yaml.safe_load(text), f"values of {plan.file_stem}")
    if arguments.output is None:
        if arguments.check:
            raise InputError("--check compares with a file: name it with -o")
        sys.stdout.write(text if arguments.format == "text" else json.dumps(yaml.safe_load(text), indent=2) + "\n")
        return Exit.OK
    path = Path(arguments.output)
    if path.is_dir() or arguments.output.endswith("/"):
        path = path / f"{plan.file_stem}.yaml"
    if arguments.check:
        return _check(path, text)
    write_text(path, text)
    say(text_report(plan).rstrip("\n"))
    say(f"wrote {path}")
    say(f"next: {next_command(plan, path, arguments.chart)}")
    return Exit.OK


def _from_catalog(arguments: argparse.Namespace, options: "Options") -> "Options":
    from dataclasses import replace

    from llm_serving_planner.output.committed import load_catalog

    for entry in load_catalog(arguments.catalog):
        if (entry.model.lower(), entry.profile) == (arguments.model.lower(), arguments.profile.lower()):
            return replace(entry.options, **options.pinned())
    return options


def _check(path: Path, text: str) -> int:
    try:
        same = path.read_text(encoding="utf-8") == text
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if not same:
        say(f"{path} differs from what would be generated")
        return Exit.DIFFERS
    return Exit.OK
