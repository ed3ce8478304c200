"""One report of everything that was broken in a run: build/faults.json, and a table at the end of pytest's output."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

BUILD = Path(os.environ.get("LLM_SERVING_TEST_REPORTS", Path(__file__).parent.parent.parent / "build"))
LINES = BUILD / "cluster-times.jsonl"  # every worker appends
REPORT = BUILD / "faults.json"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the callers of a release saw. `silence` is the longest time without a right answer, in seconds."""

    right: int
    errors: int
    wrong: int
    silence: float


def fault_log(layout: str, fault: str, seconds: float, outcome: Outcome | None = None, heals: str = "itself") -> None:
    """Keep a line of the table: seconds until it served again (0: it never stopped) and who healed it."""
    line: dict[str, Any] = {"layout": layout, "fault": fault, "seconds": round(seconds, 1), "heals": heals}
    if outcome is not None:
        line |= asdict(outcome)
    LINES.parent.mkdir(parents=True, exist_ok=True)
    with LINES.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def start() -> None:
    """Forget the last run."""
    LINES.unlink(missing_ok=True)
    REPORT.unlink(missing_ok=True)


def table(lines: list[dict[str, Any]]) -> list[str]:
    """The lines as a Markdown table, by layout and in the order of the tests."""
    rows = [
        "| layout | fault | serves again after (s) | healed by | right | errors | wrong |",
        "|---|---|---|---|---|---|---|",
    ]
    for line in sorted(lines, key=lambda line: str(line["layout"])):
        seen = [str(line.get(key, "")) for key in ("right", "errors", "wrong")]
        seconds = f"{line['seconds']:.0f}" if line["seconds"] >= 1 else "never stopped" if "right" in line else "0"
        rows.append("| " + " | ".join([line["layout"], line["fault"], seconds, line["heals"], *seen]) + " |")
    return rows


def finish(terminal: pytest.TerminalReporter) -> None:
    """Write the report and print it."""
    if not LINES.exists():
        return
    lines = [json.loads(text) for text in LINES.read_text(encoding="utf-8").splitlines()]
    REPORT.write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")
    terminal.section("faults")
    for row in table(lines):
        terminal.write_line(row)
    terminal.write_line(f"written to {REPORT}")
