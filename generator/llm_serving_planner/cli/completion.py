"""`completion`: the shell script that completes commands, options and their choices, made from the parser by shtab."""

import argparse
from collections.abc import Iterator

from llm_serving_planner.cli.console import Add, Exit

SHELLS = ("bash", "fish", "zsh")
_HOW = """where to put it:
  bash: llm-serving completion bash > ~/.local/share/bash-completion/completions/llm-serving
  zsh:  llm-serving completion zsh > "${fpath[1]}/_llm-serving"
  fish: llm-serving completion fish > ~/.config/fish/completions/llm-serving.fish"""


def register(add: Add) -> None:
    """Add the command."""
    command = add("completion", _completion, "print the completion script of a shell")
    command.add_argument("shell", choices=SHELLS, help="which shell")
    command.epilog = _HOW
    command.formatter_class = argparse.RawDescriptionHelpFormatter


def _completion(arguments: argparse.Namespace) -> int:
    print(script(arguments.shell, arguments.whole()), end="")
    return Exit.OK


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """The completion script of a shell for a parser with subcommands."""
    import shtab  # no other command needs it

    for action in _actions(parser):
        if action.nargs != 0 and not action.choices and action.type not in {int, float}:
            action.complete = shtab.FILE  # type: ignore[attr-defined] # any other word may be a path
    return f"{shtab.complete(parser, shell).rstrip()}\n"


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for command in action.choices.values():
                yield from _actions(command)
        else:
            yield action
