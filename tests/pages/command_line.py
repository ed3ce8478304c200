"""What the command line prints for a question to the planner, compared with what the planner answers."""

import contextlib
import io
import json
from typing import Any

from llm_serving_planner.cli.main import main


def run(command: str, words: list[str], *more: str) -> tuple[int, str, list[str]]:
    """Exit code, stdout and the lines of stderr but notes, of `llm-serving COMMAND WORDS --offline`."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([command, *words, "--offline", *more])
        except SystemExit as usage:
            code = int(usage.code or 0)
    return code, out.getvalue(), [line for line in err.getvalue().splitlines() if not line.startswith("note: ")]


def assert_same(words: list[str], answer: dict[str, Any]) -> None:
    """Every number of the plan, every byte of the values file, every reason, hint and way out are equal."""
    code, printed, said = run("plan", words, "--format", "json")
    assert answer["ok"] == (code in {0, 5, 6}), (words, said)
    if answer["ok"]:
        assert answer["plan"] == json.loads(printed), words
        if code == 6:
            assert answer["values"] is None
            return
        _, text, said = run("values", words)
        assert answer["values"] == (text or None), words
        assert answer["missing"] == (_joined(said) if said else None), words
        return
    if code == 2:
        return  # the parser's own words; the page has the table's
    assert code in {1, 4}, (words, said)
    assert [f"  try: {way}" for way in answer["ways_out"]] == [line for line in said if line.startswith("  try: ")], (
        words
    )
    reasons = json.loads(printed)["reasons"] if printed else []
    assert answer["reasons"] == reasons, words
    if reasons:
        assert said[0] == f"error: {answer['error']}: {'; '.join(reasons)}", words
    else:
        assert _joined(said) == ": ".join(part for part in (answer["error"], answer["hint"]) if part), words


def _joined(said: list[str]) -> str:
    return "\n".join(said).removeprefix("error: ").replace("\nhint: ", ": ")
