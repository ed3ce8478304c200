"""Command line: the parser, errors and exit codes; each command has a module in `commands`.

Exit codes: see `exits`.
"""

import argparse
import importlib
import json
import os
import sys
from collections.abc import Callable, Sequence

from llm_serving_planner.base.deadline import DeadlineError, deadline
from llm_serving_planner.base.errors import DoesNotFitError, LlmServingError
from llm_serving_planner.base.printable import one_line
from llm_serving_planner.base.version import __version__
from llm_serving_planner.cli.console import Exit, Formatter, complain, say, seconds

# Every command and the module that has it: a command loads its own and no other.
_COMMANDS = {
    "plan": "planning",
    "values": "planning",
    "advise": "advising",
    "profiles": "listing",
    "models": "listing",
    "schema": "listing",
    "validate": "validating",
    "check": "checking",
    "machineset": "machineset",
    "preflight": "preflight",
    "query": "talking",
    "chat": "talking",
    "completion": "completion",
}

_LONGEST_REASONS = 8000
# Seconds: a plan from a slow hub takes 30; a conversation lasts as long as its user wants.
_DEADLINES = {"query": 600.0, "chat": 86_400.0}
_DEADLINE = 120.0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the console script; returns the exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    module = _COMMANDS.get(words[0]) if words else None
    arguments = build_parser(module).parse_args(words)
    over = f"error: {arguments.command} did not end within {arguments.deadline:g} seconds"
    try:
        with deadline(arguments.deadline, over, Exit.REFUSED):
            code: int = arguments.run(arguments)
            sys.stdout.flush()
    except DeadlineError:
        say(f"{over}\nhint: --deadline gives it longer; --offline asks no hub")
        return Exit.REFUSED
    except LlmServingError as error:
        _print_error(error, arguments)
        return Exit.MISFIT if isinstance(error, DoesNotFitError) else Exit.REFUSED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except OSError as error:
        say(f"error: {one_line(str(error.filename or 'output'))}: {error.strerror}")
        return Exit.REFUSED
    except KeyboardInterrupt:
        say("interrupted")
        return Exit.INTERRUPTED
    except Exception as error:
        if arguments.debug:
            raise
        say(f"bug: {type(error).__name__}: {one_line(str(error))}; run again with --debug for the traceback")
        return Exit.BUG
    return code


def _print_error(error: LlmServingError, arguments: argparse.Namespace) -> None:
    if isinstance(error, DoesNotFitError) and getattr(arguments, "format", "text") == "json":
        print(json.dumps({"verdict": "does not fit", "reasons": error.reasons, "ways_out": error.ways_out}))
    if isinstance(error, DoesNotFitError):
        say(f"error: {one_line(str(error))}: {one_line('; '.join(error.reasons), _LONGEST_REASONS)}")
        for way in error.ways_out:
            say(f"  try: {one_line(way)}")
        return
    complain(error)


class _Formatter(Formatter, argparse.RawDescriptionHelpFormatter):
    """For the examples."""


def build_parser(module: str | None = None) -> argparse.ArgumentParser:
    """The command line: the commands of one module, or the whole."""
    parser = argparse.ArgumentParser(
        prog="llm-serving",
        description="From a model's name and a GPU profile to a computed, explained Helm values file.",
        epilog="examples:\n"
        "  llm-serving plan mistralai/Mistral-7B-Instruct-v0.2 --profile 2xt4\n"
        "  llm-serving values meta-llama/Llama-3.1-8B-Instruct --profile g5.12xlarge "
        "--hf-token-secret hf-token -o values/\n"
        "  llm-serving plan ./my-model --profile 4xl40s --max-model-len 16384 --format json\n"
        "  llm-serving advise Qwen/Qwen3-8B --workload chat --users 200 --ttft 1s --itl 33ms --cloud aws\n"
        "  llm-serving validate values/*.yaml\n"
        "  kubectl logs deploy/mistral-llm-serving | llm-serving check - --values values/mistral-2xt4.yaml",
        formatter_class=_Formatter,
    )
    parser.add_argument("--version", action="version", version=f"llm-serving {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", prog=parser.prog)

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name, help=text, description=text[0].upper() + text[1:] + ".", formatter_class=Formatter
        )
        command.add_argument("--debug", action="store_true", help="show the traceback of a bug")
        command.add_argument(
            "--deadline", type=seconds, default=_DEADLINES.get(name, _DEADLINE), metavar="S",
            help="seconds after which the command gives up (default: %(default)g)",
        )  # fmt: skip
        command.set_defaults(run=run, whole=build_parser, command=name)
        return command

    for each in [module] if module else dict.fromkeys(_COMMANDS.values()):
        importlib.import_module(f"{__package__}.{each}").register(add)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
