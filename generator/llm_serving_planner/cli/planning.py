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
    values.add_argument("--catalog", help="take name and options from this catalog where it lists the model")


def add_planning(command: argparse.ArgumentParser) -> None:
    """Model, profile and every pin of a plan."""
    command.add_argument("model", metavar="MODEL", help="Hugging Face id, or a folder with config.json")
    command.add_argument(
        "--profile", required=True, metavar="P", help="2xt4, 2x8xh100 (nodes x GPUs), g5.48xlarge, cpu, my-gpus.yaml"
    )
    command.add_argument("--offline", action="store_true", help="do not ask the hub: HF cache and embedded catalogue")
    add_format(command)
    add_pins(command)


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


def make(model: str, profile: str, options: Options, *, offline: bool) -> "Plan":
    """The plan, or DoesNotFitError with the ways out; says what it waits for."""
    from llm_serving_planner.models.offline import is_offline
    from llm_serving_planner.planner.service import decide, read

    asks = not is_offline(asked=offline)
    with waiting(f"reading what the hub knows of {model}") if asks else nullcontext(say) as progress:
        asked = read(model, profile, options, offline=offline, progress=progress, tell=tell)
    return decide(*asked)


def _plan(arguments: argparse.Namespace) -> int:
    plan = make(arguments.model, arguments.profile, planning_options(arguments), offline=arguments.offline)
    if arguments.format == "json":
        print(json.dumps(plan.to_dict(), indent=2))
    else:
        from llm_serving_planner.output.report import text_report

        show(text_report(plan))
    return Exit.OK


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
    plan = make(arguments.model, arguments.profile, options, offline=arguments.offline)
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
    return Exit.OK


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
