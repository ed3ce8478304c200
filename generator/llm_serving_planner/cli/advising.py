"""`advise`: which GPUs and machines serve a model for a workload, cheapest first."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.cli.console import Add, Exit, say, show, tell, waiting
from llm_serving_planner.cli.planning import add_workload, workload_of

if TYPE_CHECKING:
    from llm_serving_planner.models.spec import ModelSpec


_FORMS = ("text", "json", "csv", "markdown")
_ENDINGS = (".svg", ".png")


def register(add: Add) -> None:
    """Add the command."""
    command = add("advise", _advise, "rank GPUs and cloud machines that serve a model, cheapest first")
    command.add_argument("model", metavar="MODEL", help="Hugging Face id, or a folder with config.json")
    command.add_argument("--offline", action="store_true", help="do not ask the hub: HF cache and embedded catalogue")
    command.add_argument("--revision", metavar="R", help="branch, tag or commit of the model")
    add_workload(command)
    command.add_argument("--max-model-len", type=int, metavar="N", help="longest request in tokens (by the workload)")
    choice = command.add_argument_group("filters")
    choice.add_argument(
        "--cloud", action="append", default=[], metavar="C", help="aws, azure, gcp, ibm or oci; repeatable"
    )
    choice.add_argument("--gpu", action="append", default=[], metavar="G", help="t4, l4, h100 ...; repeatable")
    choice.add_argument("--max-price", type=float, metavar="USD", help="most USD per hour")
    choice.add_argument("--top", type=int, metavar="N", help="rows to show (text: 10, other forms: all)")
    choice.add_argument(
        "--quantised", action=argparse.BooleanOptionalAction, default=True, help="the model's quantised checkpoints too"
    )
    choice.add_argument(
        "--quantized", dest="quantised", action=argparse.BooleanOptionalAction, default=True, help=argparse.SUPPRESS
    )
    command.add_argument("--format", choices=_FORMS, default="text", help="form of the answer")
    command.add_argument(
        "--plot", type=Path, metavar="FILE", help="write a picture: .svg or .png (needs llm-serving-planner[plot])"
    )


def _advise(arguments: argparse.Namespace) -> int:
    from llm_serving_planner.advice.candidates import check_filters
    from llm_serving_planner.advice.ranking import MOST_ENGINES, advise
    from llm_serving_planner.advice.table import decisions, render, winner_command
    from llm_serving_planner.models.resolve import resolve
    from llm_serving_planner.speed.workload import workload

    filters = check_filters(arguments.cloud, arguments.gpu, arguments.max_price)
    if arguments.top is not None and arguments.top < 1:
        raise InputError(f"--top is {arguments.top}: a positive whole number is expected")
    if arguments.plot is not None:
        _check_plot(arguments.plot)
    with waiting(f"reading what the hub knows of {arguments.model}") as progress:
        spec = resolve(
            arguments.model, revision=arguments.revision, offline=arguments.offline, progress=progress, tell=tell
        )
    _check_generates(spec)
    load = workload_of(arguments) or workload()
    advice = advise(spec, load, filters, max_model_len=arguments.max_model_len, quantised=arguments.quantised)
    if arguments.plot is not None and advice.rows:
        from llm_serving_planner.advice.plot import write_plot

        write_plot(advice, arguments.plot, arguments.top)
        say(f"wrote {arguments.plot}")
    show(render(advice, arguments.format, arguments.top))
    if arguments.format == "text" and advice.rows:
        best, _ = decisions(advice.rows)[0]
        show(f"cheapest: {winner_command(advice, best, offline=arguments.offline)} -o values/\n")
    if not advice.rows:
        say("error: nothing in the data serves this workload")
        if advice.unbearable is not None:
            most = f"{advice.unbearable:,.0f} requests/s"
            say(f"hint: the most that one kind of machine bears, {MOST_ENGINES:,} engines of it, is {most}")
        else:
            say("hint: ask for less, allow later tokens, or loosen the filters")
        return Exit.MISFIT
    return Exit.OK


def _check_generates(spec: "ModelSpec") -> None:
    from llm_serving_planner.models.architectures import ARCHITECTURES

    if ARCHITECTURES[spec.architecture].pooling:
        raise InputError(
            f"{spec.short_name} writes no text ({spec.architecture}): its speed is not modelled",
            hint="`llm-serving plan MODEL --profile P` says whether it fits",
        )


def _check_plot(path: Path) -> None:
    """Refuse before anything is computed."""
    from importlib.util import find_spec

    from llm_serving_planner.base.writing import check_target

    if path.suffix.lower() not in _ENDINGS:
        raise InputError(f"--plot is {path}: a file that ends in {' or '.join(_ENDINGS)} is expected")
    check_target(path)
    if find_spec("matplotlib") is None:
        raise InputError(
            "--plot draws with matplotlib, which is not installed", hint="pip install 'llm-serving-planner[plot]'"
        )
