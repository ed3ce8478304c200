"""`check`: hold an engine's log against the plan."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.cli.console import Add, Exit, add_format, say, show, tell, waiting
from llm_serving_planner.cli.planning import add_pins, make, planning_options

if TYPE_CHECKING:
    from llm_serving_planner.logs.compare import Report
    from llm_serving_planner.logs.promise import Promise
    from llm_serving_planner.logs.startup import Startup


_SOURCES = "--values FILE, --plan FILE, or --model M with --profile P"


def register(add: Add) -> None:
    """Add the command."""
    command = add("check", _check, "hold an engine's log against the plan")
    command.add_argument("log", metavar="LOG", nargs="?", help="log of an engine, - for stdin")
    cluster = command.add_argument_group("of a release in the cluster that kubectl is logged in to")
    cluster.add_argument("--release", metavar="NAME", help="its pods' logs and its own plan")
    cluster.add_argument("--namespace", metavar="NS", default="default", help="where the release is")
    plan = command.add_argument_group("the plan", "without one the log is only read")
    plan.add_argument("--values", type=Path, metavar="FILE", help="values file")
    plan.add_argument("--plan", type=Path, metavar="FILE", help="output of `plan --format json`, or a plan block")
    plan.add_argument("--model", metavar="M", help="plan this model now")
    plan.add_argument("--profile", metavar="P", help="on this profile")
    command.add_argument("--offline", action="store_true", help="do not ask the hub: HF cache and embedded catalogue")
    add_format(command)
    add_pins(command)


def _check(arguments: argparse.Namespace) -> int:
    from llm_serving_planner.logs import reading
    from llm_serving_planner.logs.compare import compare

    promise = _promise(arguments)
    if arguments.release is not None:
        startup, own = _of_release(arguments, promise)
        promise = promise or own
    else:
        startup = _of_log(arguments.log)
    if reading.is_empty(startup):
        raise InputError(
            f"{arguments.release or arguments.log}: none of its {startup.lines:,} lines says anything of memory",
            hint="vLLM, TGI and TGIS say it while they start: give the log from the beginning, at level INFO",
        )
    report = compare(startup, promise)
    if arguments.format == "json":
        print(json.dumps(report.to_dict(), indent=2))
    else:
        _print(report)
    return Exit.OK if report.ok else Exit.REFUSED


def _promise(arguments: argparse.Namespace) -> "Promise | None":
    from llm_serving_planner.logs import promise

    pins = planning_options(arguments).pinned()
    given = [name for name in ("values", "plan", "model") if getattr(arguments, name) is not None]
    if len(given) > 1:
        raise InputError(f"--{given[0]} and --{given[1]} are two plans", hint=f"give one of {_SOURCES}")
    if (arguments.profile is None) != (arguments.model is None):
        raise InputError("--model and --profile belong together", hint=f"give one of {_SOURCES}")
    if pins and arguments.model is None:
        name = next(iter(pins)).replace("_", "-")
        raise InputError(f"--{name} is a pin of a plan made now", hint="add --model and --profile, or leave it away")
    if arguments.values is not None:
        from llm_serving_planner.base.documents import load_values
        from llm_serving_planner.output.schema import validate

        values = load_values(arguments.values, tell)
        validate(values, str(arguments.values))
        return promise.of_values(values, str(arguments.values))
    if arguments.plan is not None:
        return _of_plan_file(arguments.plan)
    if arguments.model is not None:
        plan = make(arguments.model, arguments.profile, planning_options(arguments), offline=arguments.offline)
        return promise.of_json(plan.to_dict(), f"plan of {plan.spec.model_id} on {plan.profile.name}")
    return None


def _of_plan_file(path: Path) -> "Promise":
    from llm_serving_planner.base.documents import parse_documents
    from llm_serving_planner.base.files import read_text
    from llm_serving_planner.base.shapes import understood
    from llm_serving_planner.logs import promise

    documents = parse_documents(read_text(path), str(path))
    plan = documents[0] if documents else None
    plan = _plan_shaped(plan, path)
    if inner := (plan.get("data") or {}).get("plan.yaml"):
        plan = _plan_shaped(next(iter(parse_documents(inner, str(path))), None), path)
    with understood(str(path)):
        if "plan" in plan:
            return promise.of_values(plan, str(path))
        of = promise.of_block if "estimateGiBPerGpu" in plan else promise.of_json
        return of(plan, str(path))


def _plan_shaped(plan: Any, path: Path) -> dict[str, Any]:
    from llm_serving_planner.base.shapes import check_shape

    if not isinstance(plan, dict):
        raise InputError(f"{path}: holds no mapping; a plan is meant")
    check_shape("planFile", plan, str(path))
    return plan


def _of_log(name: str | None) -> "Startup":
    from llm_serving_planner.base.files import opened
    from llm_serving_planner.logs.reading import read_log, text_lines

    if name is None:
        raise InputError("no log is given", hint="name a file, - for stdin, or --release NAME")
    if name == "-":
        return read_log(text_lines(sys.stdin.buffer))
    with opened(Path(name), hint="pipe it in, and name the log -") as handle:
        return read_log(text_lines(handle))


def _of_release(arguments: argparse.Namespace, given: "Promise | None") -> "tuple[Startup, Promise | None]":
    from llm_serving_planner.cluster.release import read_release
    from llm_serving_planner.logs import promise, reading
    from llm_serving_planner.logs.startup import Failure

    if arguments.log is not None:
        raise InputError("--release reads the log itself", hint=f"leave {arguments.log} away, or --release")
    with waiting(f"asking the cluster for the logs of {arguments.release}"):
        release = read_release(arguments.release, arguments.namespace)
    parts = [
        reading.read_log(text.splitlines(), pod if len(release.logs) > 1 else "") for pod, text in release.logs.items()
    ]
    startup = reading.merge(parts)
    for pod in release.killed:
        startup.failures.insert(0, Failure("killed for host memory", f"pod {pod}: OOMKilled"))
    if given is not None or release.plan is None:
        return startup, None
    tensor = release.args.get("tensor-parallel-size", 1)
    tensor = tensor if isinstance(tensor, int) else 1
    return startup, promise.of_block(
        release.plan, f"plan of release {arguments.release}", args=release.args, tensor=tensor
    )


def _print(report: "Report") -> None:
    from llm_serving_planner.logs.text import text_report

    show(text_report(report))
    if report.promise is None:
        say(f"note: no plan to compare with; give {_SOURCES}")
