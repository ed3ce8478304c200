"""What the random documents came to, over all hands and all workers."""

from collections import Counter

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line at the end of the run."""
    outcomes: Counter[str] = Counter()
    keys: dict[str, tuple[int, int]] = {}
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        if report.when == "call":
            told = dict(report.user_properties)
            outcomes.update(told.get("outcomes", {}))
            keys.update(told.get("keys", {}))
    if keys:
        few, rare = (min(keys.items(), key=lambda item: item[1][side]) for side in (0, 1))
        terminalreporter.write_line(
            f"random documents: {outcomes.total()}, {outcomes['rendered']} rendered, {outcomes['refused']} refused; "
            f"{len(keys)} keys, each set in {few[1][0]} or more, rendered at least {rare[1][1]} times ({rare[0]})"
        )
