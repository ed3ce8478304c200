"""Command line: options, output and exit codes, nothing else.

Exit codes: 0 done, 1 expected refusal, 2 usage, 3 `--check` found a difference, 70 a bug, 130 Ctrl-C.
"""

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_serving import __version__
from llm_serving.errors import DoesNotFitError, InputError, LlmServingError

if TYPE_CHECKING:
    from llm_serving.options import Options
    from llm_serving.plan import Plan

_PATIENCE_SECONDS = 1.0


class Exit(IntEnum):
    """Exit codes of the command."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    DIFFERS = 3
    BUG = 70
    INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the console script; returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except LlmServingError as error:
        _print_error(error, arguments)
        return Exit.REFUSED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except OSError as error:
        _say(f"error: {error.filename or 'output'}: {error.strerror}")
        return Exit.REFUSED
    except KeyboardInterrupt:
        _say("interrupted")
        return Exit.INTERRUPTED
    except Exception as error:
        if arguments.debug:
            raise
        _say(f"bug: {type(error).__name__}: {error}; run again with --debug for the traceback")
        return Exit.BUG
    return code


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _tell(text: str) -> None:
    _say(f"note: {text}")


def _print_error(error: LlmServingError, arguments: argparse.Namespace) -> None:
    if isinstance(error, DoesNotFitError) and getattr(arguments, "format", "text") == "json":
        print(json.dumps({"verdict": "does not fit", "reasons": error.reasons, "ways_out": error.ways_out}))
    if isinstance(error, DoesNotFitError):
        _say(f"error: {error}: {'; '.join(error.reasons)}")
        for way in error.ways_out:
            _say(f"  try: {way}")
        return
    _say(f"error: {error}")
    if error.hint:
        _say(f"hint: {error.hint}")


@contextmanager
def _waiting(what: str) -> Iterator[Callable[[str], None]]:
    """Progress on stderr, silent during the first second."""
    started = time.monotonic()
    timer = threading.Timer(_PATIENCE_SECONDS, _say, (f"{what} ...",))
    timer.daemon = True
    timer.start()

    def progress(text: str) -> None:
        if time.monotonic() - started >= _PATIENCE_SECONDS:
            _say(text)

    try:
        yield progress
    finally:
        timer.cancel()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llm-serving",
        description="From a model's name and a GPU profile to a computed, explained Helm values file.",
        epilog="examples:\n"
        "  llm-serving plan mistralai/Mistral-7B-Instruct-v0.2 --profile 2xt4\n"
        "  llm-serving values meta-llama/Llama-3.1-8B-Instruct --profile g5.12xlarge "
        "--hf-token-secret hf-token -o values/\n"
        "  llm-serving plan ./my-model --profile 4xl40s --max-model-len 16384 --format json\n"
        "  llm-serving validate values/*.yaml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"llm-serving {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        command.add_argument("--debug", action="store_true", help="show the traceback of a bug")
        command.set_defaults(run=run)
        return command

    plan = add("plan", _plan, "size a model on GPUs and say why")
    values = add("values", _values, "write the values file of a plan")
    for command in (plan, values):
        _add_planning(command)
    values.add_argument("-o", "--output", help="file, or folder with a trailing slash (default: stdout)")
    values.add_argument("--check", action="store_true", help="write nothing; exit 3 when the file would change")
    values.add_argument("--catalog", type=Path, help="take name and options from this catalog where it lists the model")
    for name, run, text in (
        ("profiles", _profiles, "list the GPUs and machine types that a profile can name"),
        ("models", _models, "list the models that can be planned offline"),
    ):
        _add_format(add(name, run, text))
    schema = add("schema", _schema, "print the JSON Schema of the chart's values")
    schema.set_defaults(format="json")
    validate = add("validate", _validate, "check values files against the schema and the engine's flags")
    validate.add_argument("files", nargs="+", type=Path, metavar="FILE")
    _add_format(validate)
    return parser


def _add_format(command: argparse.ArgumentParser) -> None:
    command.add_argument("--format", choices=("text", "json"), default="text", help="form of the answer")


def _add_planning(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", metavar="MODEL", help="Hugging Face id, or a folder with config.json")
    command.add_argument("--profile", required=True, metavar="P", help="2xt4, 8xa10g, g5.48xlarge, my-gpus.yaml")
    command.add_argument("--offline", action="store_true", help="do not ask the hub: HF cache and embedded catalogue")
    _add_format(command)
    command.set_defaults(about=None)
    pins = command.add_argument_group("pins", "obeyed or refused with the reason; unset ones are planned")
    pins.add_argument("--name", help="name of the release and the file (default: from the model)")
    pins.add_argument("--max-model-len", type=int, metavar="N", help="tokens of a request, prompt and answer")
    pins.add_argument("--tensor-parallel-size", type=int, metavar="N", help="GPUs that share each layer")
    pins.add_argument("--dtype", help="auto, float16 or bfloat16")
    pins.add_argument("--quantization", metavar="Q", help="fp8: quantise at start; else the checkpoint's own method")
    pins.add_argument("--kv-cache-dtype", metavar="T", help="auto or fp8")
    pins.add_argument("--gpu-memory-utilization", type=float, metavar="U", help="share of the GPU's memory, 0 to 1")
    pins.add_argument("--max-num-seqs", type=int, metavar="N", help="requests that run at once")
    pins.add_argument("--max-num-batched-tokens", type=int, metavar="N", help="tokens per step")
    pins.add_argument("--enforce-eager", action="store_true", help="no CUDA graphs: starts faster, decodes slower")
    pins.add_argument("--engine-version", metavar="V", help="version of vLLM")
    pins.add_argument("--revision", metavar="R", help="branch, tag or commit of the model")
    pins.add_argument("--served-name", metavar="NAME", help="name of the model in the API")
    pins.add_argument("--replicas", type=int, default=1, metavar="N", help="engines behind the Service")
    pins.add_argument("--platform", choices=("kubernetes", "openshift"), default="kubernetes", help="kind of cluster")
    pins.add_argument("--storage", default="pvc", help="pvc, emptyDir, existingClaim or hostPath")
    pins.add_argument("--storage-name", metavar="NAME", help="the existing claim, or the path on the host")
    pins.add_argument("--storage-class", metavar="NAME", help="storage class of the claim")
    pins.add_argument("--hf-token-secret", metavar="NAME", help="Secret with the Hugging Face token (key token)")
    pins.add_argument("--download-gbps", type=float, metavar="G", help="rate of the download, for the start-up budget")


def _options(arguments: argparse.Namespace) -> "Options":
    from llm_serving.options import Options

    return Options(**{field.name: getattr(arguments, field.name) for field in fields(Options)})


def _make(model: str, profile: str, options: "Options", *, offline: bool) -> "Plan":
    from llm_serving.plan import check_options, make_plan
    from llm_serving.profiles import parse_profile
    from llm_serving.source import resolve

    check_options(options)
    target = parse_profile(profile)
    with _waiting(f"reading what the hub knows of {model}") as progress:
        spec = resolve(model, revision=options.revision, offline=offline, progress=progress, tell=_tell)
    try:
        return make_plan(spec, target, options)
    except DoesNotFitError as error:
        from llm_serving.alternatives import ways_out

        raise DoesNotFitError(str(error), error.reasons, ways_out(spec, target, options)) from None


def _plan(arguments: argparse.Namespace) -> int:
    plan = _make(arguments.model, arguments.profile, _options(arguments), offline=arguments.offline)
    if arguments.format == "json":
        print(json.dumps(plan.to_dict(), indent=2))
    else:
        from llm_serving.report import text_report

        sys.stdout.write(text_report(plan))
    return Exit.OK


def _values(arguments: argparse.Namespace) -> int:
    from llm_serving.render import render_values, write_text
    from llm_serving.report import next_command, text_report
    from llm_serving.schema import validate

    options = _options(arguments)
    if arguments.catalog is not None:
        options = _from_catalog(arguments, options)
    plan = _make(arguments.model, arguments.profile, options, offline=arguments.offline)
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
    _say(text_report(plan).rstrip("\n"))
    _say(f"wrote {path}")
    _say(f"next: {next_command(plan, path)}")
    return Exit.OK


def _from_catalog(arguments: argparse.Namespace, options: "Options") -> "Options":
    from dataclasses import replace

    from llm_serving.catalog import load_catalog

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
        _say(f"{path} differs from what would be generated")
        return Exit.DIFFERS
    return Exit.OK


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
    _say(f"{len(names)} models, facts of {catalogue.date()}; any other hub model is read from the hub")
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


def _validate(arguments: argparse.Namespace) -> int:
    from llm_serving.schema import load_values, validate

    results = []
    for path in arguments.files:
        try:
            values = load_values(path)
            validate(values, str(path))
            problem = _flag_problems(values, str(path))
        except LlmServingError as error:
            problem = str(error)
        results.append({"file": str(path), "ok": problem is None, "problem": problem})
    if arguments.format == "json":
        print(json.dumps(results, indent=2))
    for result in results:
        if result["ok"] and arguments.format == "text":
            print(f"{result['file']}: ok")
        elif not result["ok"]:
            _say(f"error: {result['problem']}")
    return Exit.OK if all(result["ok"] for result in results) else Exit.REFUSED


def _flag_problems(values: dict[str, Any], where: str) -> str | None:
    from llm_serving import engines

    engine = values.get("engine") or {}
    version = engines.check_version(str(engine.get("version", engines.default_version())))
    found = [problem for flag in engine.get("args") or {} if (problem := engines.flag_problem(flag, version))]
    return f"{where}: /engine/args: {'; '.join(found)}" if found else None


if __name__ == "__main__":
    raise SystemExit(main())
