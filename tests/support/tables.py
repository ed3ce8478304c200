"""Tables of a page in Markdown, and the messages that they quote."""

import re

HEADS = {"message", "kind", "reason", "finding", "exit code", "you see"}


def rows(text: str) -> list[list[str]]:
    """Cells of every table, heads left out."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|---")]
    found = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [cells for cells in found if cells[0] not in HEADS]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def pattern(text: str) -> re.Pattern[str]:
    """The form on the page: `…` stands for anything, the end may be left out."""
    return re.compile(".*?".join(re.escape(part) for part in text.split("…")), re.DOTALL)
