"""`completion`: the shell script that completes commands, options and their choices, made from the parser itself."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from llm_serving_planner.cli.console import Add, Exit

PROGRAM = "llm-serving"
_HOW = """where to put it:
  bash: llm-serving completion bash > ~/.local/share/bash-completion/completions/llm-serving
  zsh:  llm-serving completion zsh > "${fpath[1]}/_llm-serving"
  fish: llm-serving completion fish > ~/.config/fish/completions/llm-serving.fish"""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a command: its names, help, what may follow (None: nothing; empty: anything; else choices)."""

    names: tuple[str, ...]
    text: str
    choices: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Command:
    """One command: options, and the choices of its positional argument (empty: a file)."""

    name: str
    text: str
    options: tuple[Option, ...]
    choices: tuple[str, ...]


def register(add: Add) -> None:
    """Add the command."""
    command = add("completion", _completion, "print the completion script of a shell")
    command.add_argument("shell", choices=sorted(_SCRIPTS), help="which shell")
    command.epilog = _HOW
    command.formatter_class = argparse.RawDescriptionHelpFormatter


def _completion(arguments: argparse.Namespace) -> int:
    print(script(arguments.shell, arguments.parser), end="")
    return Exit.OK


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """The completion script of a shell for a parser with subcommands."""
    return "".join(f"{line}\n" for line in _SCRIPTS[shell](tuple(_commands(parser))))


def _commands(parser: argparse.ArgumentParser) -> Iterator[Command]:
    (subparsers,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))  # noqa: SLF001
    texts = {action.dest: action.help or "" for action in subparsers._choices_actions}  # noqa: SLF001
    for name, command in subparsers.choices.items():
        actions = command._actions  # noqa: SLF001
        positional = [action for action in actions if not action.option_strings]
        yield Command(
            name,
            texts[name],
            tuple(_option(action) for action in actions if action.option_strings),
            tuple(str(choice) for action in positional for choice in action.choices or ()),
        )


def _option(action: argparse.Action) -> Option:
    choices = None if action.nargs == 0 else tuple(str(choice) for choice in action.choices or ())
    text = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
    return Option(tuple(action.option_strings), text, choices)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _bash(commands: tuple[Command, ...]) -> Iterator[str]:
    function = "_llm_serving"
    yield f"# bash completion of {PROGRAM}; made by `{PROGRAM} completion bash`"
    yield f"{function}() {{"
    yield '  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" words=""'
    yield "  COMPREPLY=()"
    yield '  if [ "$COMP_CWORD" -eq 1 ]; then'
    yield f'    words="{" ".join(command.name for command in commands)} --help --version"'
    yield "  else"
    yield '    case "${COMP_WORDS[1]}:$previous" in'
    for command in commands:
        for option in command.options:
            if option.choices is not None:
                pattern = "|".join(f"{command.name}:{name}" for name in option.names)
                yield f'      {pattern}) words="{" ".join(option.choices)}" ;;'
        names = [name for option in command.options for name in option.names]
        yield f'      {command.name}:*) words="{" ".join([*command.choices, *names])}" ;;'
    yield "    esac"
    yield "  fi"
    yield "  local IFS=$' \\t\\n' word"
    yield '  while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -W "$words" -- "$current")'
    yield "}"
    yield f"complete -o bashdefault -o default -F {function} {PROGRAM}"


def _zsh(commands: tuple[Command, ...]) -> Iterator[str]:
    yield f"#compdef {PROGRAM}"
    yield f"# zsh completion of {PROGRAM}; made by `{PROGRAM} completion zsh`"
    yield "_llm_serving() {"
    yield "  local -a commands"
    yield "  commands=("
    for command in commands:
        yield f"    {_quoted(f'{command.name}:{command.text}')}"
    yield "  )"
    yield "  if (( CURRENT == 2 )); then"
    yield "    _describe command commands"
    yield "    return"
    yield "  fi"
    yield '  local command="${words[2]}"'
    yield "  shift words; (( CURRENT-- ))"
    yield '  case "$command" in'
    for command in commands:
        yield f"    {command.name}) _arguments -s \\"
        for option in command.options:
            yield f"      {_zsh_option(option)} \\"
        words = f"*:argument:({' '.join(command.choices)})" if command.choices else "*:file:_files"
        yield f"      {_quoted(words)} ;;"
    yield "  esac"
    yield "}"
    yield 'if [ "$funcstack[1]" = "_llm-serving" ]; then _llm_serving "$@"; else compdef _llm_serving llm-serving; fi'


def _zsh_option(option: Option) -> str:
    text = option.text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
    follows = ""
    if option.choices is not None:
        follows = f":value:({' '.join(option.choices)})" if option.choices else ":value:_files"
    names = option.names
    if len(names) == 1:
        return _quoted(f"{names[0]}[{text}]{follows}")
    together, braces = " ".join(names), ",".join(names)
    return _quoted(f"({together})") + "{" + braces + "}" + _quoted(f"[{text}]{follows}")


def _fish(commands: tuple[Command, ...]) -> Iterator[str]:
    yield f"# fish completion of {PROGRAM}; made by `{PROGRAM} completion fish`"
    yield f"complete -c {PROGRAM} -n __fish_use_subcommand -f -l help -d 'show help'"
    yield f"complete -c {PROGRAM} -n __fish_use_subcommand -f -l version -d 'show the version'"
    for command in commands:
        yield f"complete -c {PROGRAM} -n __fish_use_subcommand -f -a {command.name} -d {_fish_quoted(command.text)}"
        seen = f"'__fish_seen_subcommand_from {command.name}'"
        if command.choices:
            yield f"complete -c {PROGRAM} -n {seen} -f -a {_fish_quoted(' '.join(command.choices))}"
        for option in command.options:
            names = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names)
            follows = ""
            if option.choices is not None:
                follows = f" -x -a {_fish_quoted(' '.join(option.choices))}" if option.choices else " -r"
            yield f"complete -c {PROGRAM} -n {seen} {names}{follows} -d {_fish_quoted(option.text)}"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_SCRIPTS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
