"""Completion scripts, in the shells themselves."""

import shutil
import subprocess
import sys
from shlex import quote

import pytest
from llm_serving_planner.cli.completion import script
from llm_serving_planner.cli.main import build_parser, main

COMMANDS = ("plan", "values", "profiles", "models", "schema", "validate", "machineset", "completion")
SHELLS = ("bash", "zsh", "fish")


def complete(line: str) -> list[str]:
    """What bash offers after a line, by sourcing the script and calling what it registered."""
    program = (
        f"source /dev/stdin <<'SCRIPT'\n{script('bash', build_parser())}SCRIPT\n"
        f"complete -p llm-serving >/dev/null || exit 9\n"
        f"COMP_WORDS=({line.replace('<>', chr(39) * 2)}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n"
        '_shtab_llm_serving; printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(["bash", "--norc", "-c", program], check=True, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("llm-serving pl", ["plan"]),
        ("llm-serving --v", ["--version"]),
        ("llm-serving plan --platform <>", ["kubernetes", "openshift"]),
        ("llm-serving plan --format j", ["json"]),
        ("llm-serving values --max-model", ["--max-model-len"]),
        ("llm-serving completion z", ["zsh"]),
        ("llm-serving validate --for", ["--format"]),
        ("llm-serving plan --max-model-len <>", []),
        ("llm-serving plan --executor <>", ["mp", "ray"]),
    ],
)
def test_bash_completes(line: str, offered: list[str]) -> None:
    assert complete(line) == offered


def test_bash_offers_every_command() -> None:
    assert set(COMMANDS) <= set(complete("llm-serving <>"))


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_option_is_in_every_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    text = capsys.readouterr().out
    for word in (*COMMANDS, "max-model-len", "openshift", "kubernetes"):
        assert word in text


@pytest.mark.parametrize("shell", [shell for shell in SHELLS if shutil.which(shell)])
def test_the_shell_takes_its_script(shell: str) -> None:
    done = subprocess.run(
        [shell, "-n"], input=script(shell, build_parser()), check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    if shell == "fish":
        program = script(shell, build_parser()) + "complete -C 'llm-serving plan --platform '\n"
        done = subprocess.run([shell, "--no-config", "-c", program], check=True, capture_output=True, text=True)
        assert {line.split("\t")[0] for line in done.stdout.splitlines()} == {"kubernetes", "openshift"}
    if shell == "zsh":
        program = f"autoload -U compinit; compinit -u -D\neval {quote(script(shell, build_parser()))}\n"
        registered = f"{program}print -r -- ${{_comps[llm-serving]}}"
        done = subprocess.run([shell, "-f", "-c", registered], check=True, capture_output=True, text=True)
        assert done.stdout == "_shtab_llm_serving\n"


def test_no_other_command_loads_the_library() -> None:
    code = (
        "import sys\nfrom llm_serving_planner.cli.main import main\n"
        "main(['plan', 'openai-community/gpt2', '--profile', '1xl4', '--offline'])\n"
        "try:\n    main(['--version'])\nexcept SystemExit:\n    sys.exit('shtab' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_an_unknown_shell_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["completion", "tcsh"])
    assert caught.value.code == 2
    assert "invalid choice: 'tcsh'" in capsys.readouterr().err
