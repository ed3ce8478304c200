"""Markdown tables."""

from collections.abc import Sequence


def cell(text: str) -> str:
    """Text as a cell: no line breaks, no bare pipes."""
    return " ".join(text.split()).replace("|", "\\|")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with a line break at its end."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"
