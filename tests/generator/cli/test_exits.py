"""The table of exit codes: every code has a meaning, is told apart, and is what commands end with."""

from pathlib import Path

import pytest
from llm_serving_planner.cli.exits import MEANING, Exit
from support.command import run

OFFLINE = ("--offline",)
LLAMA = "meta-llama/Llama-3.1-8B-Instruct"


def test_every_code_has_one_meaning() -> None:
    assert set(MEANING) == set(Exit)
    assert len(set(MEANING.values())) == len(Exit)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("plan", LLAMA, "--profile", "1xl4", *OFFLINE), Exit.OK),
        (("plan", LLAMA, "--profile", "1xnothing", *OFFLINE), Exit.REFUSED),
        (("plan", LLAMA, "--profle", "1xl4", *OFFLINE), Exit.USAGE),
        (("values", LLAMA, "--profile", "1xl4", "--hf-token-secret", "t", "--check", "-o", "x.yaml", *OFFLINE),
         Exit.DIFFERS),
        (("plan", LLAMA, "--profile", "1xt4", *OFFLINE), Exit.MISFIT),
    ],
)  # fmt: skip
def test_commands_end_with_it(tmp_path: Path, words: tuple[str, ...], code: Exit) -> None:
    (tmp_path / "x.yaml").write_text("{}\n")
    assert run(*words, cwd=tmp_path).returncode == code
