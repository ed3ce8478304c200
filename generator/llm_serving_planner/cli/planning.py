"""`plan` and `values`: size a model on GPUs, write what the chart needs."""

import argparse
import json
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.records import replace
from llm_serving_planner.cli.console import Add, Exit, add_format, say, show, tell, waiting
from llm_serving_planner.planner.options import GROUPS, Options, options_of, table

if TYPE_CHECKING:
    from pathlib import Path

    from llm_serving_planner.planner.plan import Plan
    from llm_serving_planner.speed.workload import Workload


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
    values.add_argument(
        "--force", action="store_true", help="write also what is predicted not to start, inside the error band"
    )
    values.add_argument("--catalog", help="take name and options from this catalog where it lists the model")


def add_planning(command: argparse.ArgumentParser) -> None:
    """Model, profile and every pin of a plan."""
    command.add_argument("model", metavar="MODEL", help="Hugging Face id, or a folder with config.json")
    command.add_argument(
        "--profile", required=True, metavar="P", help="2xt4, 2x8xh100 (nodes x GPUs), g5.48xlarge, cpu, my-gpus.yaml"
    )
    command.add_argument("--offline", action="store_true", help="do not ask the hub: HF cache and embedded catalogue")
    add_format(command)
    add_workload(command)
    add_pins(command)


def add_workload(command: argparse.ArgumentParser) -> None:
    """What the service has to bear, and what its users expect."""
    group = command.add_argument_group("workload", "chooses and judges the plan; without it no speed is predicted")
    for flag, facts in WORKLOAD.items():
        group.add_argument(flag, **facts)


def duration(text: str) -> float:
    """A time of the command line: seconds, or with ms or s behind the number."""
    from llm_serving_planner.speed.workload import seconds

    return seconds(text)


# One row per option; `workload_of` hands them on by name.
WORKLOAD: dict[str, dict[str, Any]] = {
    "--workload": {"metavar": "NAME|FILE", "help": "chat, rag, code, summarisation, agent, batch, or a YAML file"},
    "--prompt-tokens": {"type": int, "metavar": "N", "help": "prompt of the usual request"},
    "--answer-tokens": {"type": int, "metavar": "N", "help": "answer of the usual request"},
    "--users": {"type": int, "metavar": "N", "help": "people who ask, read and ask again"},
    "--concurrency": {"type": int, "metavar": "N", "help": "requests in flight, in place of users"},
    "--request-rate": {"type": float, "metavar": "R", "help": "requests per second, in place of users"},
    "--ttft": {"type": duration, "metavar": "T", "help": "target: time to the first token, as in 1s or 500ms"},
    "--itl": {"type": duration, "metavar": "T", "help": "target: time between tokens, as in 33ms (30 tokens/s)"},
    "--e2e": {"type": duration, "metavar": "T", "help": "target: time of a whole request"},
    "--percentile": {"type": float, "metavar": "P", "help": "percent of the requests that meet the targets (90)"},
}


def workload_of(arguments: argparse.Namespace) -> "Workload | None":
    """The workload that was given; None without any of its options.

    Raises:
        InputError: a figure that is none, or two that contradict each other.
    """
    given = {flag.removeprefix("--").replace("-", "_"): None for flag in WORKLOAD}
    values = {name: getattr(arguments, name) for name in given}
    kind = values.pop("workload")
    if kind is None and all(value is None for value in values.values()):
        return None
    from llm_serving_planner.speed.workload import workload

    return workload(kind, **values)


def add_pins(command: argparse.ArgumentParser) -> None:
    """Every option of a plan that has a default, from the table."""
    groups = {name: command.add_argument_group(name, text) for name, text in GROUPS.items()}
    for row in table():
        facts: dict[str, Any] = {"default": row.default, "help": row.help}
        if row.type is bool:
            groups[row.group].add_argument(row.flag, action="store_true", **facts)
            continue
        if row.repeatable:
            facts |= {"action": "append", "default": []}
        if row.choices:
            facts |= {"choices": row.choices, "metavar": f"{{{','.join(row.offered)}}}"}
        groups[row.group].add_argument(row.flag, **{"type": row.type, "metavar": row.metavar} | facts)


def planning_options(arguments: argparse.Namespace) -> Options:
    """The pins that were given."""
    return options_of({row.name: getattr(arguments, row.name) for row in table()})


def make(model: str, profile: str, options: Options, *, offline: bool, workload: "Workload | None" = None) -> "Plan":
    """The plan, or DoesNotFitError with the ways out; says what it waits for."""
    from llm_serving_planner.models.offline import is_offline
    from llm_serving_planner.planner.service import decide, read

    asks = not is_offline(asked=offline)
    with waiting(f"reading what the hub knows of {model}") if asks else nullcontext(say) as progress:
        asked = read(model, profile, options, offline=offline, progress=progress, tell=tell)
    if workload is None:
        return decide(*asked)
    from llm_serving_planner.speed.service import decide as decide_for

    return decide_for(*asked, workload)


def _plan(arguments: argparse.Namespace) -> int:
    load = workload_of(arguments)
    options = planning_options(arguments)
    plan = make(arguments.model, arguments.profile, options, offline=arguments.offline, workload=load)
    if arguments.format == "json":
        print(json.dumps(plan.to_dict(), indent=2))
    else:
        from llm_serving_planner.output.report import text_report

        show(text_report(plan))
        _say_alternatives(plan, arguments, load)
    return _exit_of(plan)


def _exit_of(plan: "Plan") -> Exit:
    if plan.verdict == "doubtful":
        return Exit.DOUBTFUL
    return Exit.MISSES if plan.promise is not None and plan.promise["misses"] else Exit.OK


def _say_alternatives(plan: "Plan", arguments: argparse.Namespace, load: "Workload | None") -> None:
    """At most three other plans, each as the command that was planned and works as typed."""
    from llm_serving_planner.output.explain import plan_command
    from llm_serving_planner.planner.alternatives import alternatives

    if plan.verdict == "doubtful":
        from llm_serving_planner.planner.ways_out import ways_out

        for way in ways_out(plan.spec, plan.profile, plan.options):
            show(f"  try: {way}\n")
        return
    if load is not None:
        from llm_serving_planner.speed.choice import changes

        for change in changes(plan, load)[:2] if plan.promise is not None and plan.promise["misses"] else ():
            command = plan_command(
                change.model, change.profile, change.options, offline=arguments.offline, asked=plan.asked
            )
            show(f"  {'or:':<9} {command}  # meets: {change.what}\n")
        if plan.promise is not None and plan.promise["misses"]:
            words = " ".join(["llm-serving advise", plan.spec.model_id, *plan.asked])
            show(f"  {'or:':<9} {words}{' --offline' if arguments.offline else ''}  # every machine\n")
        return
    for other in alternatives(plan):
        command = plan_command(other.model, other.profile, other.options, offline=arguments.offline)
        show(f"  {'or:':<9} {command}  # {other.kind}: {other.gain}\n")


def _values(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from llm_serving_planner.base.documents import parse_documents
    from llm_serving_planner.base.writing import check_target, write_text
    from llm_serving_planner.output.render import render_values
    from llm_serving_planner.output.report import next_command, text_report
    from llm_serving_planner.output.schema import validate

    options = planning_options(arguments)
    if arguments.catalog is not None:
        options = _from_catalog(arguments, options)
    path = None if arguments.output is None else Path(arguments.output)
    named = path is not None and not (path.is_dir() or str(arguments.output).endswith("/"))
    if path is not None and named and not arguments.check:
        check_target(path)
    load = workload_of(arguments)
    plan = make(arguments.model, arguments.profile, options, offline=arguments.offline, workload=load)
    if plan.verdict == "doubtful" and not arguments.force:
        say(text_report(plan).rstrip("\n"))
        say("error: predicted not to start, inside the error band: nothing is written")
        say("hint: `llm-serving plan` names other plans; --force writes the file all the same")
        return Exit.DOUBTFUL
    text = render_values(plan)
    (values,) = parse_documents(text, "values")
    validate(values, f"values of {plan.file_stem}")
    if path is None:
        if arguments.check:
            raise InputError("--check compares with a file: name it with -o")
        sys.stdout.write(text if arguments.format == "text" else json.dumps(values, indent=2) + "\n")
        return Exit.OK
    if not named:
        path = path / f"{plan.file_stem}.yaml"
    if arguments.check:
        return _check(path, text)
    write_text(path, text)
    say(text_report(plan).rstrip("\n"))
    say(f"wrote {path}")
    say(f"next: {next_command(plan, path, arguments.chart)}")
    return Exit.MISSES if _exit_of(plan) == Exit.MISSES else Exit.OK


def _from_catalog(arguments: argparse.Namespace, options: Options) -> Options:

    from pathlib import Path

    from llm_serving_planner.output.committed import load_catalog

    for entry in load_catalog(Path(arguments.catalog)):
        if (entry.model.lower(), entry.profile) == (arguments.model.lower(), arguments.profile.lower()):
            return replace(entry.options, **options.pinned())
    return options


def _check(path: "Path", text: str) -> int:
    from llm_serving_planner.base.files import read_text

    if read_text(path) != text:
        say(f"{path} differs from what would be generated")
        return Exit.DIFFERS
    return Exit.OK
